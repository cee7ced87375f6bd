"""The embedder that needs no service: a model in a process of its own.

The process is started when the first text comes, and again when it has died; after a while without work it is ended,
which gives its memory back. Questions are computed beside documents and do not wait for them.
"""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from hector.config.embedders import BuiltinEmbedder
from hector.core.errors import ConfigError
from hector.core.retrieval import Embedder, Embedding, Purpose
from hector.rag.embedders.child import Child
from hector.rag.errors import EmbeddingError, EmbeddingUnavailable
from hector.rag.minilm.files import ModelFiles, find_model
from hector.rag.minilm.wordpiece import WordPieces, read_vocabulary, spelling_of

NAME: Final = "all-MiniLM-L6-v2"
MOST_TEXT: Final = 100_000
"""Characters of a text that are handed over: far more than a model looks at."""
_TRIES: Final = 2


def create(section: BuiltinEmbedder, name: str) -> Embedder:
    """The embedder of `embedders.<name>`. Starts nothing. Raises ConfigError when there is no model."""
    try:
        files = find_model(section.model_dir)
    except EmbeddingError as error:
        raise ConfigError(f"embedders.{name}: {error}") from None
    return Builtin(section, files)


class Builtin:
    """Vectors of one model, computed on this machine."""

    def __init__(self, section: BuiltinEmbedder, files: ModelFiles) -> None:
        self._section, self._files = section, files
        self._embedding: Embedding | None = None
        self._pieces: WordPieces | None = None
        self._children: list[Child] = []
        self._starting = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None
        self._working = 0
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def batch_size(self) -> int:
        """As configured."""
        return self._section.batch_size

    @property
    def at_once(self) -> int:
        """One for each process that may compute."""
        return self._section.workers

    @property
    def processes(self) -> tuple[int, ...]:
        """Ids of the processes that compute."""
        return tuple(child.pid for child in self._children if child.alive)

    async def describe(self) -> Embedding:
        """Read from the files of the model, once. Raises EmbeddingError."""
        if self._embedding is None:
            self._embedding = await asyncio.to_thread(self._described)
        return self._embedding

    def familiarity(self, text: str) -> float:
        """How well the model's vocabulary knows the words of a text; known once it has described itself."""
        return 1.0 if self._pieces is None else self._pieces.familiarity(text)

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Sequence[bytes]:
        """One vector a text. Raises EmbeddingError."""
        if not texts:
            return []
        width = 4 * (await self.describe()).dimension
        prefix = self._section.query_prefix if purpose == "query" else self._section.document_prefix
        vectors = await self._asked([prefix + text[:MOST_TEXT] for text in texts], purpose)
        if len(vectors) != width * len(texts):
            raise EmbeddingError(f"the embedding model gave {len(vectors)} bytes for {len(texts)} texts")
        return [vectors[at : at + width] for at in range(0, len(vectors), width)]

    async def aclose(self) -> None:
        """End the processes."""
        if self._idle is not None:
            self._idle.cancel()
        children, self._children = self._children, []
        for task in tuple(self._leaving):
            await task
        for child in children:
            await child.close()

    def _described(self) -> Embedding:
        settings = self._files.settings("config.json")
        width = settings.get("hidden_size")
        if not isinstance(width, int) or width < 1:
            raise EmbeddingError(f"{self._files.folder}: config.json does not tell hidden_size")
        spelling = spelling_of(self._files.settings("tokenizer_config.json"))
        self._pieces = WordPieces(read_vocabulary(self._files.read("vocab.txt")), spelling)
        weights = self._files.fingerprint()
        if self._section.document_prefix:
            weights = sha256(f"{weights} {self._section.document_prefix}".encode()).hexdigest()
        named = self._files.folder.name if self._section.model_dir else NAME
        return Embedding("builtin", self._section.model or named, width, weights)

    async def _asked(self, texts: Sequence[str], purpose: Purpose) -> bytes:
        """What a process answers; asked once more where it dies."""
        self._working += 1
        if self._idle is not None:
            self._idle.cancel()
        try:
            for attempt in range(1, _TRIES + 1):
                child = await self._child()
                try:
                    return await self._timed(child, texts, purpose)
                except EmbeddingUnavailable:
                    if attempt == _TRIES:
                        raise
            raise AssertionError
        finally:
            self._working -= 1
            if not self._working and self._children:
                self._idle = asyncio.get_running_loop().call_later(self._section.idle, self._rest)

    async def _timed(self, child: Child, texts: Sequence[str], purpose: Purpose) -> bytes:
        try:
            async with asyncio.timeout(self._section.timeout):
                return await child.embed(texts, purpose)
        except TimeoutError:
            await child.kill()
            raise EmbeddingUnavailable(f"{len(texts)} texts took longer than {self._section.timeout:.0f} s") from None

    async def _child(self) -> Child:
        """The process with the least to do; one more while there may be more and all have something to do."""
        async with self._starting:
            self._children = [child for child in self._children if child.alive]
            free = min(self._children, key=lambda child: child.busy, default=None)
            if free is None or (free.busy and len(self._children) < self._section.workers):
                free = await Child.start(self._files)
                self._children.append(free)
            return free

    def _rest(self) -> None:
        """Nobody has asked for a while."""
        children, self._children = self._children, []
        for child in children:
            task = asyncio.get_running_loop().create_task(child.close())
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
