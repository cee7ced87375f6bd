"""A process that adds, changes and removes vectors until it is killed at a moment: `folder moment passage compress`."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from hector.core import points
from hector.rag.flat import FlatIndex
from hector.store.collection import Collection
from tests.rag.shelves import EMBEDDING, drop, embed, put


class Trap:
    """Dies at one passage of one moment."""

    def __init__(self, moment: str, passage: int) -> None:
        self._moment, self._left = moment, passage

    def __call__(self, name: str) -> None:
        if name == self._moment:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, moment: str, passage: int, compress: bool) -> None:
    collection = await Collection.open(folder)
    index = FlatIndex(collection, compress=compress)
    await index.open(EMBEDDING)
    points.watch(Trap(moment, passage))
    for turn in range(1000):
        for name in range(10):
            await put(collection, f"d{name}", [f"text {(turn * 7 + name * 3 + number) % 50}" for number in range(8)])
        await drop(collection, index)
        await embed(collection, index, limit=16)
        if turn % 3 == 2:
            await index.compact()
    print("survived")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] == "1"))
