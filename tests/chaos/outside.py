"""The world outside, which no crash of Hector reaches: a model, and a counter of what the tools have done.

A message says what shall happen: `run NAME STEP...`. The model answers the nth step of a run with what the nth word
says, so that every answer follows from the conversation that it is shown:

    put            call the tool `put`                     put*3       three calls side by side
    put^0.5        the tool's effect takes half a second   put@0.5     the model thinks half a second first
    say            answer                                  say*40~0.1  forty words, one each tenth of a second
    fail           answer with 503, whenever it is asked

Every answer is numbered by how often its step has been asked for: a call's id is `NAME.STEP.NUMBER.INDEX`, a text ends
with `#NUMBER`. So an effect tells which answer of the model it came from, and a step that was asked for twice is seen.
"""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from tests.httpserver import END, HttpServer, Request, write_chunk, write_head, write_whole

_STEP: Final = re.compile(r"(?P<kind>[a-z]+)(?P<marks>(?:[@*~^][0-9.]+)*)")
_MARK: Final = re.compile(r"([@*~^])([0-9.]+)")
_RUN: Final = re.compile(r"run (\S+) (.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """One word of a message: see the module. Times in seconds."""

    kind: str
    count: int = 1
    think: float = 0.0
    pace: float = 0.0
    hold: float = 0.0

    @classmethod
    def parse(cls, word: str) -> "Step":
        """Read a word such as `put*3@0.5`."""
        found = _STEP.fullmatch(word)
        if found is None:
            raise ValueError(f"{word!r} is not a step")
        marks = {mark: float(value) for mark, value in _MARK.findall(found["marks"])}
        return cls(found["kind"], int(marks.get("*", 1)), marks.get("@", 0.0), marks.get("~", 0.0), marks.get("^", 0.0))


@dataclass(frozen=True, slots=True)
class Asked:
    """The model was asked for step `step` of a run, for the `number`th time. `before`: the runs that it was shown."""

    run: str
    step: int
    number: int
    at: float
    before: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """A tool did something. `key` is the id of the call that the model made; `at` as in time.monotonic."""

    tool: str
    key: str
    effect_id: str
    at: float

    @property
    def run(self) -> str:
        """Whose it is."""
        return self.key.partition(".")[0]


@dataclass(slots=True)
class Outside:
    """The server. `port` is open while the context is."""

    asked: list[Asked] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    refusing: bool = False
    """Answer the model's calls with 503."""
    port: int = 0
    changed: Callable[[], None] = lambda: None
    _numbers: Counter[tuple[str, int]] = field(default_factory=Counter)
    _server: HttpServer | None = None

    async def __aenter__(self) -> Self:
        self._server = HttpServer(self._take)
        await self._server.__aenter__()
        self.port = self._server.port
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        await self._server.__aexit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def first_after(self, run: str, moment: float) -> float | None:
        """When a run was first heard of after `moment`."""
        times = [asked.at for asked in self.asked if asked.run == run and asked.at > moment]
        times += [effect.at for effect in self.effects if effect.run == run and effect.at > moment]
        return min(times, default=None)

    async def _take(self, request: Request, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await (self._effect if request.path == "/effect" else self._answer)(writer, request.body)
        return True

    async def _effect(self, writer: asyncio.StreamWriter, body: Any) -> None:
        self.effects.append(Effect(body["tool"], body["key"], body["effect_id"], time.monotonic()))
        self.changed()
        await asyncio.sleep(body["hold"])
        _write(writer, 200, {"done": body["key"]})

    async def _answer(self, writer: asyncio.StreamWriter, body: Any) -> None:
        if self.refusing:
            _write(writer, 503, {"error": {"message": "overloaded", "type": "overloaded_error"}})
            return
        run, number, step, before = _position(body["messages"])
        self._numbers[run, number] += 1
        asked = Asked(run, number, self._numbers[run, number], time.monotonic(), before)
        self.asked.append(asked)
        self.changed()
        await asyncio.sleep(step.think)
        if step.kind == "fail":
            _write(writer, 503, {"error": {"message": "broken for good", "type": "overloaded_error"}})
        elif step.kind == "say":
            words = [f"{run}-{index} " for index in range(step.count)] + [f"#{asked.number}"]
            await _say(writer, body, words, step.pace)
        else:
            await _call(writer, body, asked, step)


def _position(messages: list[Any]) -> tuple[str, int, Step, tuple[str, ...]]:
    """Where in which run this conversation stands: name, number of the step, the step, the runs before it."""
    runs = [(at, found) for at, message in enumerate(messages) if (found := _RUN.match(_text(message)))]
    at, found = runs[-1]
    number = sum(1 for message in messages[at:] if message["role"] == "assistant")
    words = found[2].split()
    step = Step.parse(words[number]) if number < len(words) else Step("say")
    return found[1], number, step, tuple(found[1] for _, found in runs[:-1])


def _text(message: Any) -> str:
    if message["role"] != "user":
        return ""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


async def _say(writer: asyncio.StreamWriter, body: Any, words: list[str], pace: float) -> None:
    if not body.get("stream"):
        await asyncio.sleep(pace * len(words))
        _write(writer, 200, _whole({"role": "assistant", "content": "".join(words)}, "stop"))
        return
    _open(writer)
    for word in words:
        _event(writer, _piece({"content": word}))
        await writer.drain()
        await asyncio.sleep(pace)
    _close(writer, "stop")


async def _call(writer: asyncio.StreamWriter, body: Any, asked: Asked, step: Step) -> None:
    calls = [_tool_call(asked, step, index) for index in range(step.count)]
    if not body.get("stream"):
        _write(writer, 200, _whole({"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"))
        return
    _open(writer)
    _event(writer, _piece({"content": f"step {asked.step} "}))  # something to see in mid-stream
    await writer.drain()
    for index, call in enumerate(calls):
        _event(writer, _piece({"tool_calls": [{"index": index, **call}]}))
    _close(writer, "tool_calls")


def _tool_call(asked: Asked, step: Step, index: int) -> dict[str, Any]:
    key = f"{asked.run}.{asked.step}.{asked.number}.{index}"
    arguments = json.dumps({"key": key, "hold": step.hold})
    return {"id": key, "type": "function", "function": {"name": step.kind, "arguments": arguments}}


def _whole(message: dict[str, Any], finish: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "message": message}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "c", "object": "chat.completion", "model": "chaos", "choices": [choice], "usage": usage}


def _piece(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "model": "chaos", "choices": [choice]}


def _write(writer: asyncio.StreamWriter, status: int, value: Any) -> None:
    write_whole(writer, status, json.dumps(value).encode())


def _open(writer: asyncio.StreamWriter) -> None:
    write_head(writer, 200, {"transfer-encoding": "chunked"}, "text/event-stream")


def _event(writer: asyncio.StreamWriter, value: Any) -> None:
    write_chunk(writer, f"data: {json.dumps(value)}\n\n".encode())


def _close(writer: asyncio.StreamWriter, finish: str) -> None:
    _event(writer, _piece({}, finish))
    write_chunk(writer, b"data: [DONE]\n\n")
    writer.write(END)
