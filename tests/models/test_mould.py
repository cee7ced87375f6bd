"""Chunks that are read by the mould of the one before say what they would have said, read as a whole."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hector.core.event import Delta, TextDelta
from hector.core.ports import ModelReply
from hector.models.faults import parse_event
from hector.models.mould import Mould
from hector.models.openai_chat_reply import ChatDecoder

DUMPS: Sequence[Callable[[Any], str]] = (
    json.dumps,
    lambda value: json.dumps(value, separators=(",", ":")),
    lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
)
TEXTS = ["a", " b", "", "\n", '"', "\\", "ü", "😀", "\u2028", '"}', '","content":"x', "<think>", "</think>", "content"]


class _Never(Mould):
    def text_of(self, event: str) -> str | None:
        return None


def decoder(mould: type[Mould]) -> ChatDecoder:
    made = ChatDecoder("llm 'x'", "openai-chat:m", {})
    made._mould = mould("content")
    return made


def read(decoder: ChatDecoder, events: Sequence[tuple[str | None, str]]) -> tuple[list[Delta], ModelReply | str]:
    deltas: list[Delta] = []
    try:
        for event, data in events:
            deltas += decoder.feed(event, data)
        return deltas, decoder.finish()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is to be the same
        return deltas, f"{type(error).__name__}: {error}"


def chunk(text: Any, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more}


ODD: Sequence[Callable[[dict[str, Any], dict[str, Any], str], object]] = (
    lambda made, delta, text: made.update(model="n"),
    lambda made, delta, text: made.update(usage={"prompt_tokens": len(text), "completion_tokens": 1}),
    lambda made, delta, text: made["choices"][0].update(finish_reason="stop"),
    lambda made, delta, text: delta.update(role="assistant"),
    lambda made, delta, text: delta.update(reasoning_content=text),
    lambda made, delta, text: delta.update(tool_calls=[{"id": "t", "function": {"name": "f", "arguments": text}}]),
    lambda made, delta, text: made["choices"].clear(),
    lambda made, delta, text: made.update(content=text),
    lambda made, delta, text: delta.update(content=None),
    lambda made, delta, text: made["choices"].append({"index": 1, "delta": {"content": "other"}}),
    lambda made, delta, text: made.update(error={"message": "gone"}),
    lambda made, delta, text: made.update({'x"content":"' + text: 1}),
    lambda made, delta, text: made["choices"].__setitem__(0, {"index": 0, "message": {"content": text}}),
)
"""What makes a chunk unlike the others."""


def odd(chance: random.Random, text: str) -> dict[str, Any]:
    made = chunk(text)
    chance.choice(ODD)(made, made["choices"][0]["delta"], text)
    return made


@pytest.mark.proves("models.openai.chat")
@pytest.mark.parametrize("seed", range(400))
def test_a_stream_says_the_same_with_and_without_it(seed: int) -> None:
    chance = random.Random(seed)
    dumps = chance.choice(DUMPS)
    events: list[tuple[str | None, str]] = []
    for _ in range(chance.randrange(3, 40)):
        text = "".join(chance.choices(TEXTS, k=chance.randrange(1, 3)))
        made = chunk(text) if chance.random() < 0.8 else odd(chance, text)
        data = dumps(made)
        if chance.random() < 0.05:
            data = chance.choice(["[DONE]", "", f" {data} ", data[:-1], data.replace("content", "cont\\u0065nt")])
        events.append((None if chance.random() < 0.98 else "error", data))
    assert read(decoder(Mould), events) == read(decoder(_Never), events)


@pytest.mark.parametrize("dumps", DUMPS[:2])
def test_only_the_first_chunk_of_an_ordinary_stream_is_parsed(
    dumps: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def counting(who: str, text: str) -> Any:
        parsed.append(text)
        return parse_event(who, text)

    monkeypatch.setattr("hector.models.openai_chat_reply.parse_event", counting)
    texts = [f" word{number}" for number in range(50)]
    reader = ChatDecoder("llm 'x'", "openai-chat:m", {})
    assert [delta for text in texts for delta in reader.feed(None, dumps(chunk(text)))] == list(map(TextDelta, texts))
    assert parsed == [dumps(chunk(texts[0]))]


def test_a_stream_whose_chunks_all_differ_is_soon_left_alone() -> None:
    mould = Mould("content")
    events = [json.dumps(chunk("a", padding="x" * number)) for number in range(9)]
    for event in events:
        assert mould.text_of(event) is None
        mould.cast(event, "a")
    assert mould.text_of(events[-1]) is None, "it was cast again and again"
