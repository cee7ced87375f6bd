"""The two ways in which chunks are found: by their words, and by what they mean. Each may fail; the other then answers.

Lists of several stores are weighed as one, where their vectors are of the same embedder: a store with nothing that
fits does not push its best chunk to the front.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Final, Protocol

from hector.config.searching import Search
from hector.core.errors import HectorError
from hector.core.record import dataclass
from hector.core.retrieval import Embedder, Metadata, Passage, Scored, VectorIndex
from hector.rag.search_question import DEPTH, Forms, middle
from hector.store.collection_rows import Counts

log = logging.getLogger("hector.rag")
DEFECT: Final = "a defect, which the log tells of"
_SHIFT: Final = 48
"""Bits of a chunk's key; the number of its store stands before them."""


class Words(Protocol):
    """What searching needs of a store's index (hector.store.collection.Collection)."""

    async def lexical(self, query: str, limit: int, where: Metadata | None = None) -> Sequence[Scored]:
        """Chunks that hold words of the query, the best first."""

    async def passages(self, keys: Sequence[int]) -> Mapping[int, Passage]:
        """What chunks say; those that are gone are left out."""

    async def counts(self) -> Counts:
        """How much there is."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """One document store as it is searched. Without an embedder and vectors, by words alone."""

    id: str
    collection: Words
    settings: Search
    embedder: Embedder | None = None
    vectors: VectorIndex | None = None

    @property
    def by_words(self) -> bool:
        """Whether words are looked for in any case."""
        return self.settings.hybrid or self.embedder is None or self.vectors is None


@dataclass(slots=True)
class Found:
    """What one store gave for each form of the question: chunks by words and by meaning."""

    shelf: Shelf
    number: int
    lexical: list[Sequence[Scored]] = field(default_factory=list)
    dense: list[Sequence[Scored]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reason: str = ""
    """Why vectors could not be searched."""
    failed: bool = False
    """Whether words could not be looked for."""


@dataclass(frozen=True, slots=True)
class Legs:
    """One search in some stores, all with the same forms."""

    forms: Forms
    where: Metadata | None

    async def search(self, shelves: Sequence[tuple[int, Shelf]]) -> list[Found]:
        """In all of them at once. Raises nothing but what cancels it."""
        found = [Found(shelf, number) for number, shelf in shelves]
        async with asyncio.TaskGroup() as group:
            for one in found:
                if one.shelf.by_words:
                    group.create_task(self._lexical(one))
            for embedder in {id(one.shelf.embedder): one.shelf.embedder for one in found}.values():
                if embedder is not None:
                    mine = [one for one in found if one.shelf.embedder is embedder and one.shelf.vectors is not None]
                    group.create_task(self._dense(embedder, mine))
        async with asyncio.TaskGroup() as group:
            for one in found:
                if not one.shelf.by_words and not one.dense:
                    group.create_task(self._lexical(one))
        return found

    async def _lexical(self, found: Found) -> None:
        try:
            for form in self.forms.questions:
                found.lexical.append(await found.shelf.collection.lexical(form, DEPTH, self.where))
        except HectorError as error:
            found.failed = True
            found.notes.append(f"store {found.shelf.id}: words were not looked for: {error}")

    async def _dense(self, embedder: Embedder, found: Sequence[Found]) -> None:
        """By meaning, in stores that share an embedder."""
        if not found:
            return
        patience = max(one.shelf.settings.timeout for one in found)
        late = f"they took longer than {patience:g} s"
        try:
            async with asyncio.timeout(patience):
                vectors, reason = await self._vectors(embedder)
                if vectors:
                    async with asyncio.TaskGroup() as group:
                        for one in found:
                            group.create_task(self._near(one, vectors))
                else:
                    late = reason
        except TimeoutError:
            pass
        for one in found:
            if len(one.dense) < len(self.forms.questions):
                one.dense = []
                one.notes.append(f"store {one.shelf.id}: found by words alone, without vectors: {one.reason or late}")

    async def _vectors(self, embedder: Embedder) -> tuple[list[bytes], str]:
        """One for each form, or none and why; the answer that was made up counts with the question itself."""
        try:
            vectors = list(await embedder.embed(self.forms.questions, "query"))
            if self.forms.answer:
                made_up = await embedder.embed([self.forms.answer], "document")
                vectors[0] = middle([vectors[0], made_up[0]])
        except HectorError as error:
            return [], str(error)
        except Exception:  # words are there whatever becomes of vectors
            log.exception("a question cannot be embedded")
            return [], DEFECT
        return vectors, ""

    async def _near(self, found: Found, vectors: Sequence[bytes]) -> None:
        index = found.shelf.vectors
        if index is None:
            return
        try:
            found.dense = [await index.search(one, DEPTH, self.where) for one in vectors]
        except HectorError as error:
            found.reason = str(error)
        except Exception:  # likewise
            log.exception("vectors cannot be searched", extra={"store": found.shelf.id})
            found.reason = DEFECT


def wide(found: Iterable[tuple[int, Sequence[Scored]]]) -> list[Scored]:
    """Lists of several stores as one, the best first; keys tell the store."""
    rows = [Scored(number << _SHIFT | one.key, one.score) for number, scored in found for one in scored]
    return sorted(rows, key=lambda one: (-one.score, one.key))


def store_of(key: int) -> tuple[int, int]:
    """(number of the store, key of the chunk in it) of a key of `wide`."""
    return key >> _SHIFT, key & ((1 << _SHIFT) - 1)
