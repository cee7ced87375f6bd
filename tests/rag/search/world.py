"""A store with a few documents, and an embedder that knows a handful of subjects."""

import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hector.config.searching import Search
from hector.core.content import Message, Text
from hector.core.ports import ChatModel, ModelReply, ModelRequest
from hector.core.retrieval import Chunk, Embedder, Embedding, Item, Place, Purpose
from hector.core.usage import FinishReason, Usage
from hector.models.scripted import ScriptedModel
from hector.rag.flat import FlatIndex
from hector.rag.search_legs import Shelf
from hector.rag.trial import embed
from hector.store.collection import Collection
from hector.store.collection_rows import Document

SUBJECTS = (
    {"dog", "cat", "pet", "animal", "hamster"},
    {"invoice", "bill", "paid", "money", "price"},
    {"car", "drives", "vehicle", "engine", "wheel"},
    {"bread", "oven", "bake", "flour", "food"},
    {"planet", "star", "telescope", "orbit", "space"},
    {"rain", "storm", "weather", "cloud", "wind"},
    {"red", "colour", "paint"},
)


class Topics(Embedder):
    """One direction a subject, and one for all that is of none. Counts what it is asked."""

    batch_size = 8

    def __init__(self, embedding: Embedding | None = None) -> None:
        self._embedding = embedding or Embedding("test", "topics", len(SUBJECTS) + 1)
        self.documents: list[str] = []
        self.queries: list[str] = []

    async def describe(self) -> Embedding:
        return self._embedding

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Sequence[bytes]:
        (self.documents if purpose == "document" else self.queries).extend(texts)
        return [vector(text) for text in texts]

    async def aclose(self) -> None:
        pass


def vector(text: str) -> bytes:
    words = set(re.findall(r"\w+", text.lower()))
    counts = [float(len(words & subject)) for subject in SUBJECTS]
    counts.append(0.0 if any(counts) else 1.0)
    length = sum(one * one for one in counts) ** 0.5
    return struct.pack(f"<{len(counts)}f", *(one / length for one in counts))


async def filled(folder: Path, store: str, texts: Mapping[str, str | Sequence[str]], **metadata: Any) -> Collection:
    """A collection of documents by id, each with one chunk or several."""
    collection = await Collection.open(folder / store, store)
    for name, given in texts.items():
        pieces = [given] if isinstance(given, str) else given
        chunks = [Chunk(at, text, Place(page=at + 1, first_line=10 * at + 1)) for at, text in enumerate(pieces)]
        item = Item(name, name, "1", f"file:///{store}/{name}")
        await collection.put(Document(item, "1", name.partition(".")[0], metadata.get(name, {})), chunks)
    return collection


async def shelf(collection: Collection, embedder: Embedder | None = None, **settings: Any) -> Shelf:
    """As it is searched."""
    vectors: FlatIndex | None = None
    if embedder is not None and (await collection.counts()).pending:
        vectors = await embed(collection, embedder)
    elif embedder is not None:
        vectors = FlatIndex(collection)
        await vectors.open(await embedder.describe())
    return Shelf(collection.store, collection, Search.model_validate(settings), embedder, vectors)


class Answers(ScriptedModel):
    """Gives one answer after the other, and keeps what it was asked."""

    def __init__(self, *answers: str | Exception) -> None:
        super().__init__(())
        self.answers = list(answers)
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return ModelReply(Message("assistant", (Text(answer),)), FinishReason.STOP, Usage(input=10, output=5))


def named(model: ChatModel) -> Any:
    """`hector.rag.search_models.Named` of one model."""
    return lambda llm: (llm or "default", model)
