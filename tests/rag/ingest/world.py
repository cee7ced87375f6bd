"""A folder of documents, its index, and an embedder that counts what it is asked for."""

import asyncio
import base64
import hashlib
import json
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from hector.apps.knowledge import knowledge_of
from hector.config.load import parse_config
from hector.core.retrieval import Embedding, Purpose, Question
from hector.rag.ingest import Keeper
from hector.rag.ingest_progress import Progress
from hector.rag.knowledge import Knowledge
from hector.tools.catalog import Catalog

DIMENSION = 8
PATIENCE = 40.0
PROBE = "dimension"
"""What the embedder asks for once to learn how long vectors are."""


def vector_of(text: str) -> list[float]:
    """Always the same for the same text, of length 1."""
    numbers = struct.unpack(f"<{DIMENSION}B", hashlib.blake2b(text.encode(), digest_size=DIMENSION).digest())
    length = sum((one + 1) ** 2 for one in numbers) ** 0.5
    return [(one + 1) / length for one in numbers]


@dataclass
class CountingEmbedder:
    """core.retrieval.Embedder in this process."""

    batch_size: int = 16
    at_once: int = 1
    model: str = "counting"
    texts: Counter[str] = field(default_factory=Counter)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def describe(self) -> Embedding:
        return Embedding("test", self.model, DIMENSION)

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Sequence[bytes]:
        if purpose == "document":
            await self.gate.wait()
            self.texts.update(texts)
        return [struct.pack(f"<{DIMENSION}f", *vector_of(text)) for text in texts]

    async def aclose(self) -> None:
        """Nothing."""


@dataclass
class EmbeddingServer:
    """Speaks OpenAI's format. `texts` counts each text that was answered; with `slow`, an answer takes so long."""

    url: str = ""
    texts: Counter[str] = field(default_factory=Counter)
    batches: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    slow: float = 0.0
    down: bool = False
    wait: threading.Event = field(default_factory=threading.Event)

    def hurry(self) -> None:
        """Be slow no more; return when those have been answered, too, that nobody waits for since they were killed."""
        self.slow = 0.0
        while len(self.batches) < len(self.asked):
            time.sleep(0.01)

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        self.asked.append(len(texts))
        if self.slow:
            self.wait.wait(self.slow)
        self.texts.update(text for text in texts if text != PROBE)
        self.batches.append(len(texts))
        packed = [vector_of(text) for text in texts]
        if body.get("encoding_format") == "base64":
            data: list[Any] = [base64.b64encode(struct.pack(f"<{DIMENSION}f", *one)).decode() for one in packed]
        else:
            data = list(packed)
        rows = [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(data)]
        return {"object": "list", "data": rows, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}


@contextmanager
def embedding_server() -> Iterator[EmbeddingServer]:
    made = EmbeddingServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = b"{}" if made.down else json.dumps(made.answer(body)).encode()
            try:
                self.send_response(503 if made.down else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except OSError:  # whoever asked was killed
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield made
    finally:
        made.wait.set()
        server.shutdown()
        server.server_close()


def configuration(folder: Path, *, app: str = "", **store: Any) -> str:
    """A file with one document store over `folder/docs`, called `docs`."""
    chunking = {"strategy": "simple", "size": 200, "min_size": 0}
    block = {"source": {"type": "directory", "path": str(folder / "docs")}, "chunking": chunking, **store}
    block.setdefault("incremental_indexing", True)
    llms = {"default": {"provider": "scripted", "rules": [{"text": "hi"}]}}
    vectors = {"default": block.pop("vectors", {"persist_path": str(folder / "vectors")})}
    embedders = store.pop("embedders", {})
    block.pop("embedders", None)
    whole = {"llms": llms, "vector_stores": vectors, "document_stores": {"docs": block}, "embedders": embedders}
    return json.dumps(whole)


def openai(server: EmbeddingServer, **more: Any) -> dict[str, Any]:
    """Settings of a store that has its vectors made there."""
    block = {"provider": "openai", "base_url": server.url, "api_key": "k", "model": "m", "batch_size": 8, **more}
    return {"embedders": {"e": block}, "embedder": "e"}


def knowledge(folder: Path, **store: Any) -> Knowledge:
    loaded = parse_config(configuration(folder, **store), "hector.json", {})
    return knowledge_of(loaded.config, Catalog(()))


def write(folder: Path, **files: str) -> None:
    """Files of `folder/docs` by their name without ending."""
    (folder / "docs").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "docs" / f"{name}.txt").write_text(text, encoding="utf-8")


async def once(folder: Path, *, force: bool = False, **store: Any) -> Progress:
    """Index everything, as a process of its own would, and say how it went."""
    known = knowledge(folder, **store)
    try:
        keeper = await known.store("docs").keeper()
        await keeper.once(force=force)
        return await keeper.progress()
    finally:
        await known.aclose()


async def found(known: Knowledge, text: str) -> list[str]:
    """Ids of the documents that a question finds, the best first."""
    findings = await known.retriever(["docs"]).search(Question(text, limit=50))
    return list(dict.fromkeys(one.document for one in findings.passages))


async def asked(folder: Path, text: str, **store: Any) -> list[str]:
    known = knowledge(folder, **store)
    try:
        return await found(known, text)
    finally:
        await known.aclose()


async def until(keeper: Keeper, state: str, *, scans: int = 0) -> Progress:
    """When the keeper is so, after so many scans."""
    async with asyncio.timeout(PATIENCE):
        while True:
            progress = await keeper.progress()
            if progress.state == state and keeper.tally.scan >= scans:
                return progress
            await asyncio.sleep(0.02)


async def soon(known: Knowledge, text: str, expected: list[str]) -> None:
    """A question finds these documents before long."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if await found(known, text) == expected:
                return
            await asyncio.sleep(0.05)


async def in_trouble(keeper: Keeper) -> Progress:
    """When something does not answer."""
    async with asyncio.timeout(PATIENCE):
        while True:
            progress = await keeper.progress()
            if progress.trouble:
                return progress
            await asyncio.sleep(0.02)
