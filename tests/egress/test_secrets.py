"""Known secrets that tools, models and people repeat land neither in what is stored nor in what is shown."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from hector.agents.invoke import discreet as output_of
from hector.config.root import HectorConfig
from hector.config.secrets import password_of, secrets_of
from hector.core.content import Data, Message, Replay, Text, Thinking, ToolCall, ToolResult
from hector.core.event import ApprovalRequired, Artifact, Delta, Event, PendingCall, TextDelta, ThinkingDelta
from hector.core.ports import ModelReply, ModelRequest, ToolOutput
from hector.core.usage import FinishReason, Usage
from hector.models.discreet import Discreet, Pieces
from hector.observe.redact import holds_secret, redact, remember, undecided
from hector.store.codec import event_from_row, event_row
from tests.web.live import helper, live, user

CANARY = "canary-egress-Zq7/€-0815"
OTHER = "canary-egress-second"


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered here is forgotten behind each test."""
    monkeypatch.setattr("hector.observe.redact._secrets", [])
    monkeypatch.setattr("hector.observe.redact._begins", set())
    remember(CANARY, OTHER)


def forms(text: str) -> list[str]:
    return [text, json.dumps(text)[1:-1], *(base64.b64encode(f"{'x' * n}{text}{'y' * m}".encode()).decode()
            for n in range(4) for m in range(3))]  # fmt: skip


@pytest.mark.proves("secrets.repeated")
def test_every_form_is_replaced() -> None:
    for form in forms(CANARY):
        assert holds_secret(form), form
        assert "***" in redact(f"it is {form} indeed")
    assert not holds_secret("canary-egress")


@pytest.mark.proves("secrets.repeated")
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pieces_never_add_up_to_a_secret(size: int) -> None:
    whole = f"a canary-egress- bird: {CANARY}, {OTHER}{OTHER} canary-egress-Zq and canary-egress-seconds: done"
    pieces, shown = Pieces(), ""
    for at in range(0, len(whole), size):
        for delta in pieces.feed((TextDelta(whole[at : at + size]),)):
            shown += delta.text
            assert not holds_secret(shown)
    shown += "".join(delta.text for delta in pieces.finish())
    assert shown == redact(whole)
    assert CANARY not in shown


def test_thinking_and_text_stay_apart() -> None:
    pieces = Pieces()
    assert pieces.feed((ThinkingDelta("thinking cana"),)) == (ThinkingDelta("thinking "),)
    assert pieces.feed((TextDelta("answer"),)) == (ThinkingDelta("cana"), TextDelta("answer"))
    plain = (TextDelta("nothing in it!"),)
    assert pieces.feed(plain) == plain
    assert pieces.feed((TextDelta("one "), TextDelta("read."))) == (TextDelta("one read."),)
    assert undecided("some text") == 0


class Parrot:
    """A model that says one thing, piece by piece."""

    def __init__(self, text: str) -> None:
        parts = (Thinking(text), Text(text, Replay("x:y", {"text": text})), ToolCall("1", "f", {"a": [text]}))
        self._reply = ModelReply(Message("assistant", parts), FinishReason.STOP, Usage())
        self._text = text

    async def complete(self, request: ModelRequest) -> ModelReply:
        return self._reply

    async def stream(self, request: ModelRequest) -> AsyncGenerator[tuple[Delta, ...] | ModelReply, None]:
        for letter in self._text:
            yield (TextDelta(letter),)
        yield self._reply

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.mark.proves("secrets.repeated")
async def test_a_model_that_repeats_it() -> None:
    model, request = Discreet(Parrot(f"key: {CANARY}.")), ModelRequest("", ())
    for reply in (await model.complete(request), [item async for item in model.stream(request)][-1]):
        assert isinstance(reply, ModelReply)
        thinking, text, call = reply.message.parts
        assert (thinking, text) == (Thinking("key: ***."), Text("key: ***."))
        assert call == ToolCall("1", "f", {"a": ["key: ***."]})
    said = [item async for item in model.stream(request)][:-1]
    assert "".join(delta.text for deltas in said if isinstance(deltas, tuple) for delta in deltas) == "key: ***."
    plain = Parrot("nothing")
    assert await Discreet(plain).complete(request) is await plain.complete(request)


@pytest.mark.proves("secrets.repeated")
def test_what_a_tool_returns() -> None:
    found = output_of(ToolOutput((Text(CANARY), Data({CANARY[:3]: [CANARY]})), state={"k": CANARY}))
    assert found.content == (Text("***"), Data({"can": ["***"]}))
    assert found.state == {"k": "***"}
    plain = ToolOutput((Text("fine"),))
    assert output_of(plain) is plain


@pytest.mark.proves("secrets.repeated")
def test_events_are_stored_without() -> None:
    parts = (Text(CANARY), ToolResult("1", "f", (Data({"deep": [CANARY]}),)))
    asked = ApprovalRequired((PendingCall("1", "f", {"a": CANARY}, "hash", f"May I {CANARY}?"),))
    kept = (Artifact("a", (Text(CANARY),)),)
    event = Event(
        "e", "i", "helper", 1.0, Message("tool", parts), "", None, {"a": CANARY}, kept, asked, {"a2a": {"x": CANARY}},
        ("1",),
    )  # fmt: skip
    row = event_row(event)
    assert not holds_secret(row[-1])
    back = event_from_row((1, *row[1:]))
    assert back.message.parts == (Text("***"), ToolResult("1", "f", (Data({"deep": ["***"]}),)))
    assert (back.id, back.started, back.author) == ("e", ("1",), "helper")
    assert back.control == ApprovalRequired((PendingCall("1", "f", {"a": "***"}, "hash", "May I ***?"),))


@pytest.mark.proves("secrets.repeated")
def test_words_that_the_format_needs_are_never_replaced() -> None:
    remember("message", "assistant", "metadata")
    event = Event("e", "i", "helper", 1.0, Message("assistant", (Text("a message of mine"),)), metadata={"x": 1})
    back = event_from_row((1, *event_row(event)[1:]))
    assert back.message == Message("assistant", (Text("a *** of mine"),))
    assert back.metadata == {"x": 1}


@pytest.mark.proves("secrets.repeated")
def test_nothing_of_a_run_holds_it(tmp_path: Path) -> None:
    rules: list[dict[str, Any]] = [
        {"user": "save (.*)", "turn": 0,
         "tool_calls": [{"name": "save_artifact", "args": {"name": "a.txt", "text": r"\1"}}]},
        {"user": "(.*)", "text": r"you said \1, didn't you"},
    ]  # fmt: skip
    with live(helper(*rules), tmp_path) as server:
        for text in (f"save {CANARY}", f"say {CANARY}"):
            task = server.send(text)
            assert CANARY not in json.dumps(task.get("artifacts", task), ensure_ascii=False)
        body = {"message": user(f"say {CANARY}")}
        with server.client.stream("POST", "/agents/helper/message:stream", json=body) as answer:
            lines = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
        said = "".join(part["text"] for line in lines for part in _parts(line))
        assert "you said" in said
        assert CANARY not in said
        stored = asyncio.run_coroutine_threadsafe(_everything(server.store), server.loop).result(10)
    assert "you said" in stored
    assert not any(form in stored for form in (CANARY, json.dumps(CANARY)[1:-1]))


def _parts(line: dict[str, Any]) -> list[dict[str, Any]]:
    return list(line.get("artifactUpdate", {}).get("artifact", {}).get("parts", []))


async def _everything(store: Any) -> str:
    async def unit(con: Any) -> str:
        names = [name for (name,) in await con.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return str([await con.all(f"SELECT * FROM {name}") for name in names])

    found: str = await store.database.read(unit)
    return found


@pytest.mark.proves("secrets.repeated")
def test_what_counts_as_a_secret_of_a_configuration() -> None:
    config = HectorConfig.model_validate(
        {
            "llms": {"a": {"provider": "openai", "api_key": "the-key-of-a", "base_url": "http://u:the-password@h/v1",
                           "headers": {"Authorization": "Bearer the-bearer", "X-Team": "blue-team"}}},
            "agents": {"helper": {"llm": "a", "instruction": "no secret at all"}},
            "databases": {"main": {"driver": "postgres", "host": "h", "database": "d", "password": "the-db-password"}},
        }
    )  # fmt: skip
    found = set(secrets_of(config))
    assert {"the-key-of-a", "the-bearer", "the-db-password", "the-password"} <= found
    assert not found & {"blue-team", "no secret at all", "helper", "a"}
    assert set(password_of("postgres://u:p%40ss@h/d")) == {"p@ss"}
    assert set(password_of("sqlite://x.db")) == set()
