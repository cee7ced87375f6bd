"""Memories that are found by what they mean: beside words, never across users, and never in the way of an answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from hector.core.clock import SystemClock
from hector.core.keeping import Memory
from hector.core.retrieval import Embedding, Purpose
from hector.core.task import Caller
from hector.rag.errors import EmbeddingUnavailable
from hector.rag.recollection import MeaningShelf
from hector.store import Store
from hector.store.memories import Recollection
from tests.memory.world import ANA, BO
from tests.rag.search.world import Topics

TEXTS = ("She has a dog named Rex", "The invoice is due on Friday", "He drives a red car")


class Away(Topics):
    """Does not answer."""

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Sequence[bytes]:
        raise EmbeddingUnavailable("the embedder is away")


class Late(Topics):
    """Answers when it is too late."""

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> Sequence[bytes]:
        await asyncio.Event().wait()
        return []


def shelf(store: Store, embedder: Topics, caller: Caller = ANA, context: str = "c") -> MeaningShelf:
    words = Recollection(store.memories, caller, context, SystemClock(), 100)
    return MeaningShelf(words, store.memory_vectors, embedder)


async def remembered(one: MeaningShelf, *texts: str) -> None:
    for at, text in enumerate(texts):
        await one.remember(f"{one.words.caller.user}{at}", text, "helper")


def texts(found: Sequence[Memory]) -> list[str]:
    return [one.text for one in found]


@pytest.mark.proves("memory.vector")
async def test_memories_are_found_by_what_they_mean(store: Store) -> None:
    mine = shelf(store, Topics())
    await remembered(mine, *TEXTS)
    assert texts(await mine.search("which pet", 5))[:1] == [TEXTS[0]], "no word of it is in the memory"
    assert texts(await mine.search("when must the bill be paid", 5))[:1] == [TEXTS[1]]
    assert texts(await mine.search("Friday", 5))[:1] == [TEXTS[1]], "by its word alone"
    assert await mine.search("which planet", 5) == [], "what has nothing to do with it is nothing to be reminded of"


@pytest.mark.proves("memory.vector", "memory.scope")
async def test_nobody_finds_what_belongs_to_others(store: Store) -> None:
    await remembered(shelf(store, Topics()), TEXTS[0])
    for stranger in (BO, replace(ANA, app="other"), replace(BO, app="other")):
        theirs = shelf(store, Topics(), stranger)
        assert await theirs.search("which pet", 5) == []
        embedding = await theirs.embedder.describe()
        await store.memory_vectors.keep(stranger, embedding, [("ana0", bytes(4 * embedding.dimension))])
        assert await store.memory_vectors.all(stranger, embedding, 0.0) == []
    assert texts(await shelf(store, Topics()).search("which pet", 5)) == [TEXTS[0]], "nor is it overwritten"


@pytest.mark.proves("memory.vector")
async def test_each_memory_is_embedded_once_and_anew_for_another_embedder(store: Store) -> None:
    embedder = Topics()
    mine = shelf(store, embedder)
    await remembered(mine, *TEXTS)
    await mine.search("which pet", 5)
    await mine.search("which car", 5)
    assert sorted(embedder.documents) == sorted(TEXTS)
    other = Topics(Embedding("test", "other", 8))
    assert texts(await shelf(store, other).search("which pet", 5))[:1] == [TEXTS[0]]
    assert sorted(other.documents) == sorted(TEXTS)


@pytest.mark.proves("memory.vector")
async def test_what_is_forgotten_is_gone_with_its_vector(store: Store) -> None:
    mine = shelf(store, Topics())
    await remembered(mine, *TEXTS)
    await mine.search("which pet", 5)
    embedding = await mine.embedder.describe()
    assert await mine.forget("ana0")
    assert len(await store.memory_vectors.all(ANA, embedding, 0.0)) == 2
    assert await mine.search("which pet", 5) == []
    await mine.remember("brief", "A cat for a day", "helper", days=1)
    assert texts(await mine.search("which pet", 5)) == ["A cat for a day"]
    await store.memories.forget_expired(SystemClock().now() + 2 * 86_400)
    assert len(await store.memory_vectors.all(ANA, embedding, 0.0)) == 2
    await store.memories.forget_user(ANA)
    assert await store.memory_vectors.all(ANA, embedding, 0.0) == []


@pytest.mark.proves("memory.vector")
@pytest.mark.parametrize("embedder", [Away, Late])
async def test_without_the_embedder_words_answer(
    store: Store, embedder: type[Topics], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("hector.rag.recollection.PATIENCE", 0.05)
    mine = shelf(store, embedder())
    await remembered(mine, *TEXTS)
    assert texts(await mine.search("a red dog", 5)) == [TEXTS[2], TEXTS[0]]
    assert "memories are found by their words alone" in caplog.text
