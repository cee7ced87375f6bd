"""Newline-delimited JSON: bytes as they arrive in, whole lines out."""

from typing import Final

from hector.net.held import Held

LINE_LIMIT: Final = 128 * 1024 * 1024
"""Bytes of one line."""


class NdjsonDecoder(Held):
    """One stream. Lines may end with LF or CRLF; empty ones are left out."""

    __slots__ = ()

    unit = "line"

    def __init__(self, *, limit: int = LINE_LIMIT) -> None:
        super().__init__(limit)

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes. Raises ProtocolViolation when one grows over the limit."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            return []
        block = self._with_held(data[:end])
        if end < len(data):
            self._keep(data[end:])
        return _lines(block)

    def finish(self) -> list[str]:
        """The last line, when the server has left out the line feed after it."""
        return _lines(self._with_held(b""))


def _lines(block: bytes) -> list[str]:
    """Whole lines without their ends."""
    return [text for line in block.decode("utf-8", "replace").split("\n") if (text := line.strip("\r\t "))]
