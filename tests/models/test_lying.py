"""Servers that lie: answers with anything in the place of anything. Only ModelErrors and sound replies come of them."""

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from hector.core.content import Message, Replay, Text, Thinking, ToolCall, message_from_json, message_to_json, user
from hector.core.errors import ModelError
from hector.core.event import TextDelta, ThinkingDelta
from hector.core.ports import ModelReply, ModelRequest, ToolSpec
from hector.core.usage import FinishReason, Usage
from hector.models.http import HttpModel
from hector.models.schema_turn import SchemaTurn
from hector.models.sound import MOST_DEPTH, Mender, sound
from hector.models.wire import parse_call
from hector.net.call import Answer, Caller
from hector.net.retry import RetryPolicy
from tests.models.fakeprovider import DIALECTS, Call, Seen, Turn
from tests.models.formats import FORMATS, Format

JUNK: tuple[Any, ...] = (None, 0, "", [], {}, True, -1, "x", [None], {"a": None}, 1e99, 1e999, [[]], "\ud800", 10**30)
ASKED = ModelRequest("s", (user("hi"),), [ToolSpec("now", "", {})])
TURNS = (
    Turn(thinking="hm hm", redacted=True, text="a b c"),
    Turn(text="x", calls=(Call("now", {"a": 1}), Call("now"))),
)
ROUNDS = 60
SPOILT = [found for found in FORMATS if found.name != "azure"]  # Azure's answers are those of chat/completions


class Bytes:
    """A body in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""

    async def aclose(self) -> None:
        return None


class Liar:
    """A Caller whose every answer is the same."""

    def __init__(self, kind: str, *pieces: bytes) -> None:
        self._kind = kind
        self._pieces = pieces
        self.path = ""
        self.sent: Any = None

    async def send(
        self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Answer:
        self.path, self.sent = path, json.loads(body)
        return Answer(200, {"content-type": self._kind}, Bytes(*self._pieces))

    async def aclose(self) -> None:
        return None


def spoil(value: Any, chance: random.Random) -> Any:
    """The same value, here and there replaced or left out."""
    if chance.random() < 0.08:
        return chance.choice(JUNK)
    if isinstance(value, dict):
        return {key: spoil(item, chance) for key, item in value.items() if chance.random() > 0.03}
    if isinstance(value, list):
        return [spoil(item, chance) for item in value]
    return value


def spoil_event(event: bytes, chance: random.Random) -> bytes:
    head, mark, data = event.decode().rpartition("data: ")
    try:
        value = json.loads(data)
    except ValueError:
        return event
    end = "\n\n" if mark else "\n"
    return f"{head}{mark}{json.dumps(spoil(value, chance))}{end}".encode()


def talking_to(format_: Format, caller: Caller) -> HttpModel:
    """The format's model over another connection."""
    model = format_.model("http://127.0.0.1:1")
    if isinstance(model, SchemaTurn):
        model = model.inner
    assert isinstance(model, HttpModel)
    return HttpModel(model._wire, lambda: caller, RetryPolicy(max_attempts=1))


async def answers(format_: Format, turn: Turn, *, stream: bool) -> tuple[str, list[bytes]]:
    """What the fake provider would send."""
    liar = Liar("application/json", b"{}")
    with pytest.raises(ModelError):
        await read(talking_to(format_, liar), stream=stream)
    path, _, query = liar.path.partition("?")
    seen = Seen("POST", format_.path + path, query, {}, liar.sent)
    dialect = next(found for found in (kind() for kind in DIALECTS) if found.handles(seen))
    return dialect.stream_type, dialect.events(seen, turn) if stream else [dialect.body(seen, turn)]


async def read(model: HttpModel, *, stream: bool) -> ModelReply:
    if not stream:
        return await model.complete(ASKED)
    found = [item async for item in model.stream(ASKED)][-1]
    assert isinstance(found, ModelReply)
    return found


def assert_sound(reply: ModelReply) -> None:
    stored = json.dumps(message_to_json(reply.message), ensure_ascii=False, allow_nan=False)
    stored.encode()
    assert message_from_json(json.loads(stored)) == reply.message
    for part in reply.message.parts:
        match part:
            case Text(text) | Thinking(text):
                assert isinstance(text, str)
            case ToolCall(call_id, name, args):
                assert isinstance(call_id, str)
                assert isinstance(name, str)
                assert isinstance(args, dict)
            case _:
                pass
    counts = reply.usage.to_json().values()
    assert all(type(count) is int and count >= 0 for count in counts)


@pytest.mark.proves("serve.model-down", "models.faults")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("format_", SPOILT, ids=lambda found: found.name)
async def test_spoilt_answers(format_: Format, stream: bool) -> None:
    chance = random.Random(f"{format_.name} {stream}")
    for turn in TURNS:
        kind, pieces = await answers(format_, turn, stream=stream)
        for _ in range(ROUNDS):
            spoilt = [spoil_event(piece, chance) for piece in pieces if chance.random() > 0.03]
            model = talking_to(format_, Liar(kind if stream else "application/json", *spoilt))
            try:
                reply = await read(model, stream=stream)
            except ModelError:
                continue
            assert_sound(reply)
            history = ModelRequest("s", (user("hi"), reply.message, user("and")), ASKED.tools)
            model._wire.encode(history, stream=stream, dropped=frozenset())


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b"9" * 10_000, b'{"content": "\\ud800"}'])
async def test_documents_meant_to_break_the_reader(body: bytes) -> None:
    for kind in ("application/json", "text/event-stream"):
        framed = body if kind == "application/json" else b"data: " + body + b"\n\n"
        with pytest.raises(ModelError):
            await read(talking_to(FORMATS[0], Liar(kind, framed)), stream=True)


# soundness itself


def reply_of(*parts: Any, usage: Usage | None = None) -> ModelReply:
    return ModelReply(Message("assistant", parts), FinishReason.STOP, usage or Usage())


def test_a_sound_reply_stays_the_same_object() -> None:
    given = reply_of(Text("ä"), Thinking("🗼", Replay("o", {"a": "🗼"})), ToolCall("1", "n", {"a": [1, "ß"]}))
    assert sound(given) is given


def test_halves_of_characters() -> None:
    given = reply_of(
        Text("a\ud83d\uddfc\ud800"), ToolCall("1", "n", {"k": "\ud83d\uddfc"}, None, Replay("o", {"x": "\udc00"}))
    )
    found = sound(given).message.parts
    assert found == (Text("a🗼\ufffd"), ToolCall("1", "n", {"k": "🗼"}, None, Replay("o", {"x": "\ufffd"})))


def test_numbers_that_json_has_not() -> None:
    item = {"functionCall": {"args": {"n": float("inf")}}}
    (call,) = sound(reply_of(ToolCall("1", "n", {"n": float("inf")}, None, Replay("o", item)))).message.parts
    assert call == ToolCall("1", "n", {}, '{"n":Infinity}')
    with pytest.raises(ValueError, match="not JSON compliant"):
        sound(reply_of(Text("x", Replay("o", {"n": float("nan")}))))


def test_equal_ids_in_one_turn() -> None:
    calls = sound(reply_of(ToolCall("0", "a", {}), ToolCall("0", "b", {}))).message.tool_calls
    assert [call.name for call in calls] == ["a", "b"]
    assert calls[0].id == "0" != calls[1].id


def test_counts_that_are_none() -> None:
    spoilt: Any = {"input": "many", "output": 4, "cache_read": None, "reasoning": -1}
    assert sound(reply_of(usage=Usage(**spoilt))).usage == Usage(0, 4)


@pytest.mark.parametrize("part", [Text(None), Thinking(3), ToolCall("1", None, {}), ToolCall("1", "n", [])])  # type: ignore[arg-type]
def test_parts_that_are_none(part: Any) -> None:
    with pytest.raises(TypeError):
        sound(reply_of(part))


def test_a_character_cut_in_half_by_the_stream() -> None:
    mender = Mender()
    assert mender.feed([TextDelta("ab")]) == [TextDelta("ab")]
    assert mender.feed([TextDelta("c\ud83d")]) == [TextDelta("c")]
    assert mender.feed([TextDelta("\uddfcd"), ThinkingDelta("\udc00")]) == [TextDelta("🗼d"), ThinkingDelta("\ufffd")]
    assert mender.feed([TextDelta("\ud83d")]) == []
    assert mender.feed([TextDelta("\uddfc")]) == [TextDelta("🗼")]


def _nested(depth: int) -> str:
    return '{"a":' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize("depth", [MOST_DEPTH, 900, 100_000])
def test_arguments_that_no_encoder_can_follow_are_no_arguments(depth: int) -> None:
    call = parse_call("1", "now", _nested(depth))
    (found,) = sound(ModelReply(Message("assistant", (call,)), FinishReason.TOOL_CALLS, Usage())).message.tool_calls
    assert found.args == {}
    assert found.raw


def test_arguments_may_be_as_deep_as_anything_that_clients_send() -> None:
    call = parse_call("1", "now", _nested(MOST_DEPTH - 1))
    (found,) = sound(ModelReply(Message("assistant", (call,)), FinishReason.TOOL_CALLS, Usage())).message.tool_calls
    assert found is call


def test_an_id_is_a_key_that_every_database_takes() -> None:
    reply = ModelReply(Message("assistant", (ToolCall("a\0b", "now", {}),)), FinishReason.TOOL_CALLS, Usage())
    assert [call.id for call in sound(reply).message.tool_calls] == ["a\ufffdb"]
