"""Programs of ours that work apart from the server: as the one executable or as this Python, without its secrets.

The server's side asks for `command` and `environment`; the program calls `settle` before it does anything else.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

_GIVEN: Final = frozenset(
    ("LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
)
_ROOT: Final = Path(__file__).parents[2]
_START: Final = "import sys; sys.path.append({root!r}); from {module} import main; main()"
_NICE: Final = 10
_SET_PDEATHSIG: Final = 1  # prctl(2)


def command(word: str, module: str) -> list[str]:
    """How such a program is started: the executable with a hidden command, or Python with the `main` of a module."""
    if getattr(sys, "frozen", False):
        return [sys.executable, word]
    return [sys.executable, "-E", "-s", "-c", _START.format(root=str(_ROOT), module=module)]


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """What it gets of our environment: where things are, and nothing that is secret."""
    return {name: value for name, value in ours.items() if name in _GIVEN or name.startswith("_PYI_")}


def settle() -> tuple[BinaryIO, BinaryIO]:
    """In the program: give way to the server, and end with it.

    Returns where orders come from, and where answers go; what else is printed goes nowhere.
    """
    _leash()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, AttributeError):
        os.nice(_NICE)
    orders, answers = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return os.fdopen(orders, "rb"), os.fdopen(answers, "wb")


def _leash() -> None:
    """However the server ends, so does the program, whatever it is busy with."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - for this alone

        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)
        orders = select.poll()
        orders.register(0, select.POLLHUP)
        if any(event & select.POLLHUP for _, event in orders.poll(0)):
            os._exit(1)  # it had ended before
    else:
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(server: int) -> None:
    while os.getppid() == server:
        time.sleep(1)
    os._exit(1)
