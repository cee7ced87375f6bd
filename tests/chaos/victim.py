"""The server under attack: `python -m tests.chaos.victim serve ...` is `hector serve` with three seams of the test.

- CHAOS_POINT=NAME[:N]: the process kills itself, as kill -9 would, when it comes to that point for the Nth time.
  CHAOS_REACHED is a file in which every point is noted when the process first comes to it.
- SIGUSR1 sets the product's clock an hour forward, SIGUSR2 an hour back.
- CHAOS_MEEK=1: what root starts is held to the permissions of files, like everybody else.
- CHAOS_OUTSIDE is the address at which the tools below have their effects.
"""

import asyncio
import ctypes
import json
import os
import signal
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from hector.__main__ import main
from hector.core import clock, points
from hector.core.ports import ToolContext

HOUR: Final = 3600.0
_CAPABILITY_VERSION: Final = 0x20080522
_OVERRIDES: Final = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, with which root passes by the permissions of files."""


async def put(key: str, hold: float, context: ToolContext) -> str:
    """Safe to repeat."""
    return await _effect("put", key, hold, context)


async def pay(key: str, hold: float, context: ToolContext) -> str:
    """Not safe to repeat: somebody is asked."""
    return await _effect("pay", key, hold, context)


async def send(key: str, hold: float, context: ToolContext) -> str:
    """Not safe to repeat: counts as failed."""
    return await _effect("send", key, hold, context)


async def guard(key: str, hold: float, context: ToolContext) -> str:
    """Needs approval."""
    return await _effect("guard", key, hold, context)


async def _effect(tool: str, key: str, hold: float, context: ToolContext) -> str:
    body = json.dumps({"tool": tool, "key": key, "hold": hold, "effect_id": context.effect_id}).encode()
    host, _, port = os.environ["CHAOS_OUTSIDE"].removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(b"POST /effect HTTP/1.1\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        head = await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()
    if b" 200 " not in head:
        raise RuntimeError(f"the world outside refuses: {head!r}")
    return f"{tool} done"


class Trap:
    """Counts how often each point is reached, notes the first time of each, and springs at the chosen one."""

    def __init__(self, point: str, passage: int, reached: Path) -> None:
        self._point, self._left, self._reached = point, passage, reached
        self._known: set[str] = set()
        self._lock = threading.Lock()  # the store's thread reaches points, too

    def __call__(self, name: str) -> None:
        """A point is reached."""
        with self._lock:
            if name not in self._known:
                self._known.add(name)
                with self._reached.open("a", encoding="utf-8") as file:
                    file.write(f"{name}\n")
            if name == self._point:
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)


class Shift:
    """A clock that can be set."""

    def __init__(self) -> None:
        self.offset = 0.0
        setattr(clock.SystemClock, "now", lambda _: time.time() + self.offset)  # noqa: B010 - mypy forbids it plainly

    def move(self, seconds: float) -> None:
        """Set it forward or back."""
        self.offset += seconds


def become_meek() -> None:
    """Give up what lets root ignore the permissions of files; for anybody else nothing changes."""
    header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
    data = ctypes.create_string_buffer(24)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capget(header, data) == 0:
        low = [value & ~_OVERRIDES for value in struct.unpack("6I", data.raw)[:3]]
        libc.capset(header, struct.pack("6I", *low, *struct.unpack("6I", data.raw)[3:]))


def run(arguments: list[str]) -> int:
    """Set the trap and the clock, then be Hector."""
    if os.environ.get("CHAOS_MEEK"):
        become_meek()
    shift = Shift()
    signal.signal(signal.SIGUSR1, lambda *_: shift.move(HOUR))
    signal.signal(signal.SIGUSR2, lambda *_: shift.move(-HOUR))
    name, _, passage = os.environ.get("CHAOS_POINT", "").partition(":")
    if reached := os.environ.get("CHAOS_REACHED"):
        points.watch(Trap(name, int(passage or 1), Path(reached)))
    tools: list[Any] = [put, pay, send, guard]
    return main(arguments, tools=tools)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
