"""Server-Sent Events: bytes as they arrive in, events out.

Works on bytes up to the last blank line of what has arrived, so that neither a split character nor an event of many
megabytes costs more than a look at each new byte. Line ends may be LF, CRLF or CR.
"""

from typing import Final, NamedTuple

from hector.net.held import Held

EVENT_LIMIT: Final = 128 * 1024 * 1024
"""Bytes of one event."""

_BOM: Final = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """`event` is None when the server gave no name; several data lines are joined by a line feed."""

    event: str | None
    data: str


_make: Final = tuple.__new__
"""SseEvent(...) without the call in between: this runs once per token."""


class SseDecoder(Held):
    """One stream. `feed` it, then `finish` when the stream has ended."""

    __slots__ = ("_held", "_started")

    unit = "event"

    def __init__(self, *, limit: int = EVENT_LIMIT) -> None:
        super().__init__(limit)
        self._held = False
        self._started = False

    def feed(self, data: bytes) -> list[SseEvent]:
        """The events that `data` completes. Raises ProtocolViolation when one grows over the limit."""
        if self._held or b"\r" in data:
            data = self._line_feeds(data)
        if not self._started:
            data = self._without_mark(data)
        end = data.rfind(b"\n\n") + 2
        if end == 1:  # none inside; but the line feed that makes it may have come before
            end = int(data.startswith(b"\n") and bool(self._pieces) and self._pieces[-1].endswith(b"\n"))
        if end == 0:
            self._keep(data)
            return []
        block = self._with_held(data[:end])
        if end < len(data):
            self._keep(data[end:])
        return _events(block)

    def finish(self) -> list[SseEvent]:
        """The last event, when the server has left out the blank line after it."""
        return _events(self._with_held(b""))

    def _line_feeds(self, data: bytes) -> bytes:
        """LF in place of CRLF and CR. A CR at the end counts at once; an LF right after it is then dropped."""
        if self._held and data:
            data = data.removeprefix(b"\n")
            self._held = False
        if data.endswith(b"\r"):
            self._held = True
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_mark(self, data: bytes) -> bytes:
        """Drop a byte order mark at the very start, even one that comes in pieces."""
        data = self._with_held(data)
        if len(data) < len(_BOM) and _BOM.startswith(data):
            if data:
                self._pieces.append(data)
            return b""
        self._started = True
        return data.removeprefix(_BOM)


def _events(block: bytes) -> list[SseEvent]:
    """The events in a run of lines that ends with a blank one."""
    found: list[SseEvent] = []
    for lines in block.decode("utf-8", "replace").split("\n\n"):
        if lines[:6] == "data: " and "\n" not in lines:  # nearly all events of nearly all servers
            if len(lines) > 6:
                found.append(_make(SseEvent, (None, lines[6:])))
        elif lines and (event := _event(lines)) is not None:
            found.append(event)
    return found


def _event(lines: str) -> SseEvent | None:
    """One event from its lines; None when it has no data."""
    name: str | None = None
    data: list[str] = []
    for line in lines.split("\n"):
        key, _, value = line.partition(":")
        if key == "data":
            data.append(value.removeprefix(" "))
        elif key == "event":
            name = value.removeprefix(" ") or None
    text = "\n".join(data)
    return SseEvent(name, text) if text else None
