"""Newline-delimited JSON: bytes as they arrive in, whole lines out."""

from typing import Final

from hector.net.errors import ProtocolViolation

LINE_LIMIT: Final = 128 * 1024 * 1024
"""Bytes of one line."""


class NdjsonDecoder:
    """One stream. Lines may end with LF or CRLF; empty ones are left out."""

    __slots__ = ("_limit", "_pieces", "_size")

    def __init__(self, *, limit: int = LINE_LIMIT) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._limit = limit

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes. Raises ProtocolViolation when one grows over the limit."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            return []
        block = data[:end]
        if self._pieces:
            block = b"".join([*self._pieces, block])
            self._pieces.clear()
            self._size = 0
        if end < len(data):
            self._keep(data[end:])
        return _lines(block)

    def finish(self) -> list[str]:
        """The last line, when the server has left out the line feed after it."""
        rest = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        return _lines(rest)

    def _keep(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self._limit:
            raise ProtocolViolation(f"one line of the stream is over {self._limit} bytes", answered=True)


def _lines(block: bytes) -> list[str]:
    """Whole lines without their ends."""
    return [text for line in block.decode("utf-8", "replace").split("\n") if (text := line.strip("\r\t "))]
