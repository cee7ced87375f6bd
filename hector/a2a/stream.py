"""Server-sent events: one blob of bytes per batch of updates, and next to nothing per token.

A token's event is always the same text around the token, so that text is rendered once per stream.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from hector.a2a import wire
from hector.core.content import JsonObject
from hector.core.event import TextDelta
from hector.core.task import (
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
_MARK: Final = "\x00hector:text\x00"
_QUOTED_MARK: Final = wire.quote(_MARK)


class Dialect(Protocol):
    """How one version of the protocol words things; modules `render` and `v03` are its implementations."""

    def answer(self, value: Task | ClientMessage, /) -> JsonObject:
        """What a send gives, and the first event of a stream."""

    def event(self, owner: Task, value: StatusUpdate | ArtifactUpdate | ToolProgress, /) -> JsonObject:
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
    """The encoder of one stream. `request_id` is the JSON of the JSON-RPC id, or None for bare events (REST)."""

    def __init__(self, dialect: Dialect, first: Task | ClientMessage, request_id: str | None) -> None:
        self._dialect = dialect
        self._first = first
        self._open = "data: " if request_id is None else f'data: {{"jsonrpc":"2.0","id":{request_id},"result":'
        self._close = "\n\n" if request_id is None else "}\n\n"
        self._around: dict[tuple[str, bool], tuple[str, str]] = {}
        self._task = first if isinstance(first, Task) else None
        self.state: TaskState | None = self._task.status.state if self._task else None
        """What the client was last told; None for a direct message, which is the only event of its stream."""

    def begin(self) -> bytes:
        """The first event."""
        return self._event(self._dialect.answer(self._first)).encode("ascii")

    def encode(self, batch: Sequence[Update]) -> bytes:
        """All events of a batch."""
        if self._task is None:
            return b""
        frames: list[str] = []
        for update in batch:
            if isinstance(update, AnswerDelta):
                self._grow(frames, self._task, update)
                continue
            if isinstance(update, StatusUpdate):
                self.state = update.status.state
            frames.append(self._event(self._dialect.event(self._task, update)))
        return "".join(frames).encode("ascii")

    def _grow(self, frames: list[str], owner: Task, update: AnswerDelta) -> None:
        """The hot path: more of the answer."""
        append = not update.first
        for is_text, text in runs(update):
            if not is_text:
                frames.append(self._event(self._dialect.thought(owner, update.artifact_id, text)))
                continue
            around = self._around.get((update.artifact_id, append)) or self._frame(owner, update.artifact_id, append)
            frames.append(around[0] + wire.quote(text) + around[1])
            append = True

    def _frame(self, owner: Task, artifact_id: str, append: bool) -> tuple[str, str]:
        """The event of a piece of the answer, cut in two where the text goes."""
        whole = self._event(self._dialect.text_chunk(owner, artifact_id, _MARK, append=append))
        before, _, after = whole.partition(_QUOTED_MARK)
        self._around[artifact_id, append] = (before, after)
        return before, after

    def _event(self, value: JsonObject) -> str:
        return f"{self._open}{wire.dumps(value)}{self._close}"


def failure(error: JsonObject) -> bytes:
    """What ends a stream that cannot go on. `error` is a whole JSON-RPC response or a REST error body."""
    return f"event: error\ndata: {wire.dumps(error)}\n\n".encode("ascii")
