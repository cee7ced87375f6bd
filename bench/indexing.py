"""How much indexing holds up whoever is served: `python3 -m bench.indexing`.

Starts `hector serve` over a folder of made-up documents and asks /livez on one kept connection, before anything is
indexed, while it is, and after. What the machine itself does to a probe shows in the first figures.
"""

import argparse
import http.client
import json
import random
import signal
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.process import Process, free_port
from hector.rag import ingest_asking as asking

EVERY: Final = 0.004
"""Seconds between two probes."""
ROOT: Final = Path(__file__).parents[1]
_IDLE: Final = 3.0
LIMIT: Final = 600.0
"""Seconds after which a run ends, also where vectors are still missing: the built-in embedder takes its time."""
SIZE: Final = 1500
"""Characters of a document."""
_WORD: Final = "zanzibar"
"""Stands in every document: whichever is read first is found by it."""
_CONFIG: Final = """\
version: "2"
llms:
  main: {{provider: openai, model: none, base_url: "http://127.0.0.1:9/v1", api_key: none}}
{embedders}document_stores:
  docs:
    source: {{type: directory, path: {documents}}}
{embedder}vector_stores:
  local: {{type: chromem, persist_path: {vectors}}}
agents:
  helper: {{llm: main, document_stores: [docs]}}
"""


@dataclass(frozen=True)
class Probes:
    """Answer times of /livez in milliseconds."""

    count: int
    p50: float
    p99: float
    longest: float
    below_50: float

    def __str__(self) -> str:
        return (
            f"p50 {self.p50:6.2f}  p99 {self.p99:6.2f}  longest {self.longest:7.2f} ms  "
            f"below 50 ms {self.below_50:7.3%} of {self.count}"
        )


def summed(times: Sequence[float]) -> Probes:
    """Of single answer times in milliseconds."""
    cuts = statistics.quantiles(times, n=100)
    return Probes(len(times), cuts[49], cuts[98], max(times), sum(one < 50 for one in times) / len(times))


def make(folder: Path, count: int, size: int = SIZE) -> None:
    """So many documents of about `size` characters."""
    chance = random.Random(7)
    vocabulary = ["".join(chance.choices("abcdefghijklmnoprstuvwz", k=chance.randint(2, 11))) for _ in range(20_000)]
    for number in range(count):
        words = chance.choices(vocabulary, k=size // 8)
        lines = [" ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
        (folder / f"{number:06}.md").write_text(
            f"# Document {number}\n\n{_WORD}\n" + "\n".join(lines), encoding="utf-8"
        )


def probe(port: int, until: Callable[[], bool]) -> list[float]:
    """Answer times in milliseconds, one probe each few of them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    times: list[float] = []
    while not times or not until():
        began = time.perf_counter()
        connection.request("GET", "/livez")
        connection.getresponse().read()
        times.append(1000 * (time.perf_counter() - began))
        time.sleep(EVERY)
    connection.close()
    return times


def configuration(folder: Path, documents: Path, embedder: str, service: int = 0) -> Path:
    """Written down; `embedder` is `none`, `builtin` or `openai`, a service at this port."""
    settings = {
        "builtin": "provider: builtin",
        "openai": f'provider: openai, base_url: "http://127.0.0.1:{service}/v1", api_key: none, model: m',
    }
    made = settings.get(embedder)
    text = _CONFIG.format(
        documents=documents,
        vectors=folder / "vectors",
        embedders=f"embedders:\n  made: {{{made}}}\n" if made else "",
        embedder=f"    embedder: {'made' if made else 'none'}\n",
    )
    place = folder / "hector.yaml"
    place.write_text(text, encoding="utf-8")
    return place


class Look:
    """At the index from outside, reading only."""

    def __init__(self, vectors: Path) -> None:
        self._vectors = vectors

    def folder(self) -> Path:
        """Where the index lies, once the server has made it."""
        return next(self._vectors.rglob("index.db")).parent

    def ask(self, sql: str) -> int:
        """The number that a query answers; 0 while there is no table."""
        try:
            with closing(sqlite3.connect(f"file:{self.folder() / 'index.db'}?mode=ro", uri=True)) as con:
                return int((con.execute(sql).fetchone() or (0,))[0])
        except (sqlite3.Error, StopIteration):
            return 0


class Watcher(threading.Thread):
    """Notes when a document is first found by a word, and when all of them are there."""

    def __init__(self, look: Look, count: int, vectors: bool, limit: float) -> None:
        super().__init__(daemon=True)
        self._look, self._count, self._vectors, self._limit = look, count, vectors, limit
        self._begun = time.perf_counter()
        self.first, self.words, self.done = 0.0, 0.0, 0.0

    def run(self) -> None:
        found = f"SELECT rowid FROM words WHERE words MATCH '{_WORD}' LIMIT 1"
        while not self.done and time.perf_counter() - self._begun < self._limit:
            now = time.perf_counter() - self._begun
            self.first = self.first or (now if self._look.ask(found) else 0.0)
            if not self.words and self._look.ask("SELECT count(*) FROM documents") >= self._count:
                self.words = now
            if self.words and not self.waiting():
                self.done = now
            time.sleep(0.1 if not self.first else 0.5)  # it takes processor time from the probes

    def waiting(self) -> int:
        """Chunks that have no vector yet."""
        return self._look.ask("SELECT count(*) FROM chunks WHERE embedded = 0") if self._vectors else 0


@dataclass(frozen=True)
class Run:
    """One server, idle and then indexing. Seconds and MB. 0: not within the limit. `left`: chunks without a vector."""

    idle: Probes
    busy: Probes
    first: float
    words: float
    total: float
    left: int
    before: float
    after: float

    def __str__(self) -> str:
        end = (
            f"with vectors after {self.total:.1f} s" if self.total else f"{self.left} chunks are left without a vector"
        )
        return (
            f"  idle     {self.idle}\n  indexing {self.busy}\n  first found by a word after {self.first:.2f} s, all "
            f"after {self.words:.1f} s, {end}; memory {self.before:.0f} MB before, {self.after:.0f} MB after"
        )


def measured(count: int, embedder: str, *, size: int = SIZE, limit: float = LIMIT) -> Run:
    """Index so many documents of so many characters under probes. The server is stopped, however this ends."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        waiting, documents = folder / "waiting", folder / "documents"
        waiting.mkdir()
        documents.mkdir()
        make(waiting, count, size)
        port, service = free_port(), free_port()
        place = configuration(folder, documents, embedder, service)
        command = [sys.executable, "-m", "hector", "serve", "--config", str(place), "--port", str(port)]
        with ExitStack() as stack:
            if embedder == "openai":
                vectors = [sys.executable, "-m", "bench.vectors", str(service)]
                stack.enter_context(Process(vectors, service, None, folder / "log", ROOT)).wait_ready("/")
            server = stack.enter_context(Process(command, port, None, folder / "log", folder))
            server.wait_ready("/livez")
            until = time.perf_counter() + _IDLE
            idle = summed(probe(port, lambda: time.perf_counter() > until)[50:])
            before = server.usage().rss
            documents.rmdir()
            waiting.rename(documents)
            look = Look(folder / "vectors")
            asking.ask(look.folder())
            watcher = Watcher(look, count, embedder != "none", limit)
            watcher.start()
            busy = summed(probe(port, lambda: not watcher.is_alive()))
            times = watcher.first, watcher.words, watcher.done
            return Run(idle, busy, *times, watcher.waiting(), before, server.usage().rss)


def main() -> None:
    """Print the figures of each run, or write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", default="1000,10000", help="numbers of documents")
    parser.add_argument("--embedders", default="none,openai,builtin")
    parser.add_argument("--size", type=int, default=SIZE, help="characters of a document")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds that a run may take")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server does not outlive us
    figures: list[dict[str, Any]] = []
    for embedder in asked.embedders.split(","):
        for count in map(int, asked.documents.split(",")):
            for _ in range(asked.repeats):
                run = measured(count, embedder, size=asked.size, limit=asked.limit)
                print(f"{count} documents of {asked.size} characters, embedder {embedder}\n{run}", flush=True)
                figures.append({"documents": count, "size": asked.size, "embedder": embedder, **asdict(run)})
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
