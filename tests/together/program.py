"""The server under attack: `python -m tests.together.program serve ...` is `hector serve` with tools of the test.

WORLD is the address at which tools have effects. KILL_AT=NAME:N: the process ends itself, as kill -9 would, when it
comes to that point (hector.core.points) for the Nth time.
"""

import asyncio
import json
import os
import signal
import sys

from hector.__main__ import main
from hector.core import points
from hector.tools.function import idempotent


async def _effect(name: str) -> str:
    host, _, port = os.environ["WORLD"].removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps({"name": name}).encode()
    writer.write(b"POST /effect HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return f"{name} done"


@idempotent
async def look(name: str) -> str:
    """May be repeated."""
    return await _effect(name)


async def pay(name: str) -> str:
    """Must not be repeated."""
    return await _effect(name)


def _trap(spec: str) -> None:
    name, _, count = spec.partition(":")
    left = int(count)

    def reach(point: str) -> None:
        nonlocal left
        left -= point == name
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    points.watch(reach)


if __name__ == "__main__":
    if spec := os.environ.get("KILL_AT"):
        _trap(spec)
    sys.exit(main(sys.argv[1:], tools=[look, pay]))
