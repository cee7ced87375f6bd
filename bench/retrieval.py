"""The embedded vector index next to faiss-cpu's exact one, in one process and on one core.

python3 -m bench.retrieval [--rows 100000,1000000] [--rounds 15] [--folder DIR] [--json FILE]

Needs `faiss-cpu` beside Hector's own packages, which it is no part of: `pip install --target DIR --no-deps faiss-cpu`,
then PYTHONPATH=DIR. Vectors are random, which is hard on codes of 8 bits: no neighbour stands out. Each contestant has
its turn in each round, and the best of each counts; what matters are the ratios. Memory and the time to open are of a
process that does nothing else. The goals: one question at most 1.1 times faiss's time at 100,000 rows and 1.0 times at
1,000,000, 64 at once at most 0.25 times each, all of faiss's best 10 found, 80 % of the bandwidth of a plain product,
500 MB and 0.2 s for 1,000,000.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hector.rag.numeric import np  # isort: skip - one thread of BLAS, before faiss loads its own
from hector.rag.flat_core import Core
from hector.store.collection_slots import State

DIMENSION: Final = 384
BATCH: Final = 64
TOP: Final = 10
QUESTIONS: Final = 100
_STEP: Final = 10_000


def unit(count: int, seed: int) -> Any:
    """Random rows of length 1."""
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fill(folder: Path, rows: int) -> State:
    """An index of so many rows."""
    state = State(1, DIMENSION, rows)
    core = Core(folder)
    for begin in range(0, rows, _STEP):
        core.write_rows(state, begin, range(begin + 1, begin + 1 + _STEP), unit(_STEP, begin + 1))
    core.close()
    return state


def best_of(rounds: int, contestants: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The shortest time of each in milliseconds."""
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], (time.perf_counter() - start) * 1e3)
    return best


def compare(folder: Path, rows: int, rounds: int) -> dict[str, float]:
    """All figures of one size."""
    import faiss  # type: ignore[import-not-found]  # noqa: PLC0415 - installed for this alone

    state = fill(folder, rows)
    figures = alone(folder, rows)
    core = Core(folder)
    floats = core.view(state).vectors
    assert floats is not None
    theirs = faiss.IndexFlatIP(DIMENSION)
    faiss.omp_set_num_threads(1)
    for begin in range(0, rows, _STEP):
        theirs.add(np.ascontiguousarray(floats[begin : begin + _STEP]))
    questions = unit(QUESTIONS, 0)
    vectors = [one.tobytes() for one in questions]
    scores = np.empty(rows, np.float32)
    best = best_of(rounds, {
        "hector": lambda: core.find(state, vectors[:1], TOP, None),
        "faiss": lambda: theirs.search(questions[:1], TOP),
        "product": lambda: np.dot(floats, questions[0], out=scores),
    })  # fmt: skip
    many = best_of(max(rounds // 5, 2), {
        "hector": lambda: core.find(state, vectors[:BATCH], TOP, None),
        "faiss": lambda: theirs.search(questions[:BATCH], TOP),
    })  # fmt: skip
    _, exact = theirs.search(questions, TOP)
    found = [core.find(state, [one], TOP, None)[0][:TOP] for one in vectors]
    hits = sum(
        len({one.key - 1 for one in mine} & set(right)) for mine, right in zip(found, exact.tolist(), strict=True)
    )
    return figures | {
        "ms": best["hector"],
        "ms of faiss": best["faiss"],
        "ratio": best["hector"] / best["faiss"],
        "ratio of 64": many["hector"] / many["faiss"],
        "ms of 64, each": many["hector"] / BATCH,
        "bandwidth": best["product"] / best["hector"],
        "recall": hits / (QUESTIONS * TOP),
    }


def alone(folder: Path, rows: int) -> dict[str, float]:
    """Opening and asking in a process of its own: seconds to open, MB of memory after 100 questions."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.retrieval", "--alone", str(rows), "--folder", str(folder)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def ask_alone(folder: Path, rows: int) -> None:
    """The other side of `alone`."""
    vectors = [one.tobytes() for one in unit(QUESTIONS, 0)]
    state = State(1, DIMENSION, rows)
    start = time.perf_counter()
    core = Core(folder)
    core.view(state)
    opened = time.perf_counter() - start
    for one in vectors:
        core.find(state, [one], TOP, None)
    status = Path("/proc/self/status").read_text(encoding="ascii")
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    json.dump({"open s": opened, "MB": memory * 1024 / 1e6}, sys.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", default="100000,1000000")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", type=int)
    given = parser.parse_args()
    if given.alone:
        ask_alone(given.folder, given.alone)
        return
    found = {}
    for rows in map(int, given.rows.split(",")):
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            found[rows] = compare(Path(folder), rows, given.rounds)
        print(f"{rows:>9} x {DIMENSION}: " + ", ".join(f"{name} {value:.3g}" for name, value in found[rows].items()))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
