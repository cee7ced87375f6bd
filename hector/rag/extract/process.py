"""The program that reads documents, one after the other, until its orders end or it is worn out."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from hector.rag import apart
from hector.rag.chunking import chunk
from hector.rag.errors import Unreadable
from hector.rag.extract import wire
from hector.rag.extract.limits import Limits
from hector.rag.extract.reading import read

_WORN: Final = 256 * 2**20
"""Bytes in memory after which the program makes room for a fresh one."""


def main() -> None:
    """Take orders and answer them."""
    orders, answers = apart.settle()
    while order := _ordered(orders):
        data = orders.read(order.size)
        if len(data) < order.size:
            return
        _bound(order.limits)
        for message in _answered(order, data):
            answers.write(message)
        del data
        worn = _is_worn()
        answers.write(wire.packed({"worn": worn}))
        answers.flush()
        if worn:
            return


def _ordered(orders: BinaryIO) -> wire.Order | None:
    """The next order; None where there is no server any more."""
    head = orders.read(wire.LENGTH)
    if len(head) < wire.LENGTH:
        return None
    return wire.order(orders.read(int.from_bytes(head, "big")))


def _answered(order: wire.Order, data: bytes) -> Iterator[bytes]:
    try:
        extracted = read(order.content(data), order.limits)
        chunks = chunk(extracted, order.rules)
    except Unreadable as error:
        yield wire.packed({"problem": str(error)})
        return
    except MemoryError:
        yield wire.packed({"problem": "it takes too much memory to be read"})
        return
    yield from wire.answers(extracted, chunks)


def _is_worn() -> bool:
    """Whether it holds much memory now. What getrusage counts began with the server's own, and says nothing here."""
    with suppress(OSError, ValueError, IndexError):
        resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return resident * os.sysconf("SC_PAGE_SIZE") > _WORN
    return False


def _bound(limits: Limits) -> None:
    """Memory for good, processor time from now on: beyond it the system ends the program."""
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - not on every system

        used = resource.getrusage(resource.RUSAGE_SELF)
        until = int(used.ru_utime + used.ru_stime + limits.seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, resource.getrlimit(resource.RLIMIT_DATA)[1]))
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
