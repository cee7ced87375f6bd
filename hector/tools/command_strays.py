"""What a command has started and nobody watches any more: its launcher was killed, and could not end it.

Processes are told by a variable of their environment that no other command has. Those that start others without it are
only held by the level `namespaces`, whose processes cannot outlive their first.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

VARIABLE: Final = "HECTOR_COMMAND_ID"
"""Holds the id of a command in the environment of all that it starts."""
_PATIENCE: Final = 2.0
"""Seconds in which they have to be gone."""


def end_strays(command_id: str) -> None:
    """End all that a command has left behind. Blocks for a moment; does nothing where there is no /proc."""
    until = time.monotonic() + _PATIENCE
    while (found := list(_marked(command_id))) and time.monotonic() < until:
        for number in (signal.SIGSTOP, signal.SIGKILL):  # first let none of them start another one
            for pid in found:
                with suppress(OSError):
                    os.kill(pid, number)
        time.sleep(0.005)


def _marked(command_id: str) -> Iterator[int]:
    line = f"{VARIABLE}={command_id}".encode()
    with suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                    if line in file.read().split(b"\0"):
                        yield int(name)
