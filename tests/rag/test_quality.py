"""What is found on a public collection: nDCG@10 of paragraphs for questions (tests/data/xquad/ORIGIN.txt)."""

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hector.core.retrieval import Chunk, Item, Scored
from hector.rag.fusion import fuse, share_of
from hector.rag.minilm.files import find_model
from hector.rag.minilm.model import Model
from hector.rag.minilm.wordpiece import WordPieces, read_vocabulary
from hector.rag.numeric import np
from hector.store.collection import Collection
from hector.store.collection_rows import Document

SETS = Path(__file__).parents[1] / "data" / "xquad"
_BATCH = 64


class Trial:
    """One language: paragraphs, questions, and which paragraph is right."""

    def __init__(self, language: str) -> None:
        folder = SETS / language
        self.texts = {one["id"]: one["text"] for one in map(json.loads, _lines(folder / "corpus.jsonl"))}
        self.questions = {one["id"]: one["text"] for one in map(json.loads, _lines(folder / "queries.jsonl"))}
        self.right = dict(line.split("\t")[:2] for line in _lines(folder / "qrels.tsv")[1:])

    async def fill(self, collection: Collection) -> dict[int, str]:
        """All paragraphs as documents of one chunk; which key is whose."""
        async with asyncio.TaskGroup() as group:
            for name, text in self.texts.items():
                document = Document(Item(name, name, "1"), "1")
                group.create_task(_put(collection, document, text))
        return {one.key: one.document for one in await collection.pending(1000)}

    def ndcg(self, answers: Mapping[str, Sequence[str]]) -> float:
        """Of the first ten; one paragraph is right."""
        gains = [
            1 / math.log2(answer.index(self.right[question]) + 2) if self.right[question] in answer else 0.0
            for question, answer in answers.items()
        ]
        return sum(gains) / len(self.questions)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


async def _put(collection: Collection, document: Document, text: str) -> None:
    await collection.put(document, [Chunk(0, text)])


def vectors(model: Model, texts: Sequence[str]) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    data = b"".join(model.embed(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH))
    return np.frombuffer(data, "<f4").reshape(len(texts), model.dimension).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("language", "least"), [("en", 0.960), ("de", 0.928), ("zh", 0.955)])
async def test_words(tmp_path: Path, language: str, least: float) -> None:
    trial = Trial(language)
    async with await Collection.open(tmp_path / "docs") as collection:
        names = await trial.fill(collection)
        answers = {}
        for question, text in trial.questions.items():
            answers[question] = [names[one.key] for one in await collection.lexical(text, 10)]
    assert trial.ndcg(answers) >= least


class Spelled:
    """What the built-in embedder says of a question."""

    def __init__(self) -> None:
        self._pieces = WordPieces(read_vocabulary(find_model(None).read("vocab.txt")))

    def familiarity(self, text: str) -> float:
        return self._pieces.familiarity(text)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("language", "dense_least", "least"), [("en", 0.940, 0.970), ("de", 0.0, 0.928), ("zh", 0.0, 0.955)]
)
async def test_words_and_meaning(tmp_path: Path, language: str, dense_least: float, least: float) -> None:
    """A language that the embedder does not know is found at least as well as by words alone."""
    trial = Trial(language)
    model, judge = await asyncio.to_thread(Model, find_model(None)), Spelled()
    paragraphs = await asyncio.to_thread(vectors, model, list(trial.texts.values()))
    asked = await asyncio.to_thread(vectors, model, list(trial.questions.values()))
    cosines = asked @ paragraphs.T
    near, both = dict[str, Sequence[str]](), dict[str, Sequence[str]]()
    async with await Collection.open(tmp_path / "docs") as collection:
        names = await trial.fill(collection)
        keys = {name: key for key, name in names.items()}
        for (question, text), row in zip(trial.questions.items(), cosines, strict=True):
            order = [list(trial.texts)[at] for at in np.argsort(-row, kind="stable")[:100]]
            scores = np.sort(-row)[:100]
            near[question] = order[:10]
            dense = [Scored(keys[name], -float(score)) for name, score in zip(order, scores, strict=True)]
            found = fuse(dense, await collection.lexical(text, 100), share_of(judge, text))  # type: ignore[arg-type]
            both[question] = [names[one.key] for one in found[:10]]
    assert trial.ndcg(near) >= dense_least
    assert trial.ndcg(both) >= least
