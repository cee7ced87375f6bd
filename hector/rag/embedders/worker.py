"""The process that computes vectors with a model. Never imported by the server.

Frames on standard input, each 4 bytes of length and JSON: first where the model is, then orders with a number, texts
and a lane. Frames on standard output: length, number, and vectors (b"v") or what is wrong (b"e"). Orders of the lane
`query` are computed beside those of documents, by a thread of its own, which alone keeps its priority. It ends when
standard input does, so it never outlives its parent.
"""

import json
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, BinaryIO, Final

from hector.core.errors import HectorError
from hector.rag.minilm.files import WEIGHTS, ModelFiles
from hector.rag.minilm.model import Model

NICE: Final = 10
"""How much documents give way to everybody else."""
_MEMORY: Final = 1024 * 2**20
_SWITCH: Final = 0.0005
"""Seconds after which a thread that computes a question gets its turn."""


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the server, which ends this process
    orders, answers = sys.stdin.buffer, _Answers(sys.stdout.buffer)
    first = read(orders)
    if first is None:
        return
    try:
        model = Model(ModelFiles(Path(first["folder"]), bool(first["inside"])))
    except (HectorError, MemoryError) as error:
        answers.write(0, b"e", str(error).encode() or b"there is not enough memory for the model")
        return
    _confine(first)
    answers.write(0, b"v", b"")
    lanes = {"document": SimpleQueue[Any](), "query": SimpleQueue[Any]()}
    for lane, queue in lanes.items():
        threading.Thread(target=_work, args=(lane, queue, model, answers), daemon=True).start()
    while (order := read(orders)) is not None:
        lanes[order["lane"]].put(order)
    os._exit(0)


def read(pipe: BinaryIO) -> Any:
    """The next frame; None at the end."""
    length = pipe.read(4)
    data = pipe.read(int.from_bytes(length, "little")) if len(length) == 4 else b""
    return json.loads(data) if data else None


class _Answers:
    """Standard output, for both lanes."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe, self._lock = pipe, threading.Lock()

    def write(self, number: int, kind: bytes, data: bytes) -> None:
        """One frame; nobody is left to tell when it cannot be written."""
        head = (len(data) + 5).to_bytes(4, "little") + number.to_bytes(4, "little") + kind
        with self._lock, suppress(OSError):
            self._pipe.write(head + data)
            self._pipe.flush()


def _work(lane: str, queue: "SimpleQueue[Any]", model: Model, answers: _Answers) -> None:
    if lane == "document":
        with suppress(OSError, AttributeError):  # on Linux a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    while True:
        order = queue.get()
        try:
            answers.write(order["number"], b"v", model.embed(order["texts"]))
        except Exception as error:  # noqa: BLE001 - one order costs that order
            answers.write(order["number"], b"e", f"{type(error).__name__}: {error}"[:500].encode("utf-8", "replace"))


def _confine(first: Any) -> None:
    """Bound what it may take; the model is in memory already."""
    sys.setswitchinterval(_SWITCH)
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - not on every system

        folder = Path(first["folder"])
        size = 0 if first["inside"] else (folder / WEIGHTS).stat().st_size
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY + 6 * size, _MEMORY + 6 * size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


if __name__ == "__main__":
    main()
