"""Server-sent events: one blob of bytes per batch of updates, and next to nothing per token.

A token's event is always the same text around the token, so that text is rendered once per stream. Every event carries
the position behind it as its `id`: a client that was cut off sends the last one back as `Last-Event-ID`, which every
EventSource does by itself.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from hector.a2a import wire
from hector.core.content import JsonObject
from hector.core.event import TextDelta
from hector.core.task import (
    AgentDelta,
    AnswerDelta,
    ArtifactUpdate,
    ClientMessage,
    StatusUpdate,
    Task,
    TaskState,
    ToolProgress,
    Update,
)

PING: Final = b": ping\n\n"
RESUMED: Final = b": resumed\n\n"
END: Final = "end"
"""Stands for the number of the update that says how the task has ended."""
_MARK: Final = "\x00hector:text\x00"
_QUOTED_MARK: Final = wire.quote(_MARK)


class Dialect(Protocol):
    """How one version of the protocol words things; modules `render` and `v03` are its implementations."""

    def answer(self, value: Task | ClientMessage, /) -> JsonObject:
        """What a send gives, and the first event of a stream."""

    def event(self, owner: Task, value: StatusUpdate | ArtifactUpdate | ToolProgress | AgentDelta, /) -> JsonObject:
        """An update."""

    def text_chunk(self, owner: Task, artifact_id: str, text: str, /, *, append: bool) -> JsonObject:
        """A piece of the answer."""

    def thought(self, owner: Task, artifact_id: str, text: str, /) -> JsonObject:
        """A piece of the thinking."""


def runs(value: AnswerDelta) -> Iterator[tuple[bool, str]]:
    """Neighbouring deltas of one kind joined, since what came in one read leaves in one event: (is it text, text)."""
    joined, is_text = "", False
    for delta in value.deltas:
        if joined and isinstance(delta, TextDelta) is not is_text:
            yield is_text, joined
            joined = ""
        is_text = isinstance(delta, TextDelta)
        joined += delta.text
    if joined:
        yield is_text, joined


class EventStream:
    """The encoder of one stream. `request_id` is the JSON of the JSON-RPC id, or None for bare events (REST).

    `at` is the position of the first event; a `resumed` stream goes on behind what its client has, so it has none.
    """

    def __init__(
        self,
        dialect: Dialect,
        first: Task | ClientMessage,
        request_id: str | None,
        at: str = "",
        *,
        resumed: bool = False,
    ) -> None:
        self._dialect = dialect
        self._first = first
        self._at = at
        self._resumed = resumed
        self._open = "data: " if request_id is None else f'data: {{"jsonrpc":"2.0","id":{request_id},"result":'
        self._close = "\n\n" if request_id is None else "}\n\n"
        self._around: dict[tuple[str, bool], tuple[str, str]] = {}
        self._task = first if isinstance(first, Task) else None
        self.state: TaskState | None = self._task.status.state if self._task else None
        """What the client was last told; None for a direct message, which is the only event of its stream."""
        if resumed:
            self.state = TaskState.WORKING

    def begin(self) -> bytes:
        """The first event."""
        if self._resumed:
            return RESUMED
        event = self._event(self._dialect.answer(self._first))
        return f"{_line(self._at)}{event}".encode("ascii")

    def encode(self, batch: Sequence[Update], prefix: str = "", first: int = 0) -> bytes:
        """All events of a batch. With a `prefix` they carry ids: the first update's is that and the number `first`."""
        if self._task is None:
            return b""
        frames: list[str] = []
        for number, update in enumerate(batch, first):
            line = f"id: {prefix}{number}\n" if prefix else ""
            if isinstance(update, AnswerDelta):
                deltas = update.deltas
                if len(deltas) == 1 and isinstance(deltas[0], TextDelta) and deltas[0].text:  # nearly all updates
                    key = (update.artifact_id, not update.first)
                    around = self._around.get(key) or self._frame(self._task, *key)
                    frames.append(f"{line}{around[0]}{wire.quote(deltas[0].text)}{around[1]}")
                else:
                    self._grow(frames, self._task, update, line)
                continue
            if isinstance(update, StatusUpdate):
                self.state = update.status.state
                if prefix and self.state.terminal:
                    line = f"id: {prefix}{END}\n"
            frames.append(line + self._event(self._dialect.event(self._task, update)))
        return "".join(frames).encode("ascii")

    def _grow(self, frames: list[str], owner: Task, update: AnswerDelta, line: str) -> None:
        """More of the answer, or of the thinking. Of several events only the last stands for the whole update."""
        append = not update.first
        start = len(frames)
        for is_text, text in runs(update):
            if not is_text:
                frames.append(self._event(self._dialect.thought(owner, update.artifact_id, text)))
                continue
            around = self._around.get((update.artifact_id, append)) or self._frame(owner, update.artifact_id, append)
            frames.append(around[0] + wire.quote(text) + around[1])
            append = True
        if len(frames) > start:
            frames[-1] = line + frames[-1]

    def _frame(self, owner: Task, artifact_id: str, append: bool) -> tuple[str, str]:
        """The event of a piece of the answer, cut in two where the text goes."""
        whole = self._event(self._dialect.text_chunk(owner, artifact_id, _MARK, append=append))
        before, _, after = whole.partition(_QUOTED_MARK)
        self._around[artifact_id, append] = (before, after)
        return before, after

    def _event(self, value: JsonObject) -> str:
        return f"{self._open}{wire.dumps(value)}{self._close}"


def _line(position: str) -> str:
    return f"id: {position}\n" if position else ""


def failure(error: JsonObject) -> bytes:
    """What ends a stream that cannot go on. `error` is a whole JSON-RPC response or a REST error body."""
    return f"event: error\ndata: {wire.dumps(error)}\n\n".encode("ascii")
