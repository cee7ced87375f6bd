"""Server-sent events with the fields that MCP needs to go on after a cut: the id and the pause before the next try."""

from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

from hector.mcp.errors import ServerFault
from hector.mcp.link import MESSAGE_LIMIT
from hector.net.call import Answer

_PAUSES: Final = (100, 30_000)
"""The shortest and the longest pause that a server may ask for, in milliseconds."""


class SentEvent(NamedTuple):
    """`data` may be empty where only the id counts; `retry` is in seconds."""

    name: str
    data: str
    id: str
    retry: float | None


async def events(answer: Answer) -> AsyncGenerator[SentEvent]:
    """Those of a stream as they arrive. Raises NetError, and ServerFault for one that is too long."""
    held, looked, cut = bytearray(), 0, b""
    async for piece in answer:
        piece, cut = cut + piece, b""
        if piece.endswith(b"\r"):
            piece, cut = piece[:-1], b"\r"  # its line feed may be on its way
        held += piece.replace(b"\r\n", b"\n")
        while (end := held.find(b"\n\n", looked)) >= 0:
            event = parse(held[:end].decode("utf-8", "replace"))
            del held[: end + 2]
            looked = 0
            if event is not None:
                yield event
        looked = max(0, len(held) - 1)  # each byte is looked at once, however long an event becomes
        if len(held) > MESSAGE_LIMIT:
            raise ServerFault(f"one event of the server is longer than {MESSAGE_LIMIT} bytes", sent=True)


def parse(block: str) -> SentEvent | None:
    """One event from its lines; None for a comment."""
    name, data, mark, retry = "message", [], "", None
    seen = False
    for line in block.replace("\r", "\n").split("\n"):
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        seen = seen or key in ("event", "data", "id", "retry")
        match key:
            case "event":
                name = value
            case "data":
                data.append(value)
            case "id":
                mark = value
            case "retry" if value.isdecimal():
                retry = min(max(int(value[:9]), _PAUSES[0]), _PAUSES[1]) / 1000
            case _:
                pass
    return SentEvent(name, "\n".join(data), mark, retry) if seen else None
