"""What has arrived of one unit of a stream whose end has not come yet."""

from typing import ClassVar

from hector.net.errors import ProtocolViolation


class Held:
    """Base of the decoders that cut a stream into `unit`s of `limit` bytes at most.

    Pieces are joined once, when the end has come, so that a long unit is not copied with each of them.
    """

    __slots__ = ("_limit", "_pieces", "_size")

    unit: ClassVar[str]

    def __init__(self, limit: int) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._limit = limit

    def _keep(self, data: bytes) -> None:
        """Raises ProtocolViolation when a unit grows over the limit."""
        if not data:
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > self._limit:
            raise ProtocolViolation(f"one {self.unit} of the stream is over {self._limit} bytes", answered=True)

    def _with_held(self, block: bytes) -> bytes:
        """What was held and `block`, which ends it; nothing is held any more."""
        if not self._pieces:
            return block
        whole = b"".join([*self._pieces, block])
        self._pieces.clear()
        self._size = 0
        return whole
