"""How what is found by words and by meaning becomes one order."""

import time
from collections.abc import Sequence

import pytest

from hector.core.retrieval import Familiar, Scored
from hector.rag.fusion import Fused, familiarity, fuse, scaled, share_of
from hector.rag.minilm.files import find_model
from hector.rag.minilm.wordpiece import WordPieces, read_vocabulary


def scored(*pairs: tuple[int, float]) -> list[Scored]:
    return [Scored(key, score) for key, score in pairs]


@pytest.mark.parametrize(
    ("dense", "lexical", "share", "keys"),
    [
        ([(1, 0.9), (2, 0.5), (3, 0.1)], [(2, 9.0), (4, 3.0)], 0.5, [2, 1, 4, 3]),
        ([(1, 0.9), (2, 0.5), (3, 0.1)], [(2, 9.0), (4, 3.0)], 0.0, [2, 4, 1, 3]),
        ([(1, 0.9), (2, 0.5), (3, 0.1)], [], 0.0, [1, 2, 3]),
        ([], [(2, 9.0), (4, 3.0)], 0.5, [2, 4]),
        ([], [], 0.5, []),
        ([(7, 0.3)], [(7, 2.0)], 0.5, [7]),
        ([(2, 0.5), (1, 0.5)], [], 0.5, [1, 2]),
    ],
)
def test_order(
    dense: Sequence[tuple[int, float]], lexical: Sequence[tuple[int, float]], share: float, keys: list[int]
) -> None:
    found = fuse(scored(*dense), scored(*lexical), share)
    assert [one.key for one in found] == keys
    assert all(0 <= one.score <= 1 for one in found)


def test_each_leg_is_told() -> None:
    assert fuse(scored((1, 0.75)), scored((1, 4.0), (2, 2.0))) == [Fused(1, 1.0, 0.75, 4.0), Fused(2, 0.25, None, 2.0)]


def test_only_the_best_hundred_of_a_leg_count() -> None:
    assert len(fuse(scored(*((n, 1 / (n + 1)) for n in range(500))), [])) == 100


def test_scaling() -> None:
    assert scaled({1: -2.0, 2: 0.0, 3: 2.0}) == {1: 0.0, 2: 0.5, 3: 1.0}
    assert scaled({1: 5.0, 2: 5.0}) == {1: 1.0, 2: 1.0}
    assert scaled({1: 1.0, 2: 4.0}, 0.0) == {1: 0.25, 2: 1.0}
    assert scaled({1: 4.0, 2: 1.0}, 0.0) == {1: 1.0, 2: 0.25}, "a word is better than none"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["who", "won", "?"], 1.0),
        (["wer", "gewann", "who", "?"], 1 / 3),
        (["水", "泵"], 0.0),
        ([], 1.0),
        (["?", "..."], 1.0),
    ],
)
def test_familiarity(words: list[str], part: float) -> None:
    assert familiarity(words, {"who", "won", "水", "泵", "?", "..."}) == pytest.approx(part)


class Knowing:
    """Knows its languages."""

    def familiarity(self, text: str) -> float:
        return 0.5


def test_an_embedder_that_says_nothing_has_half_a_say() -> None:
    assert share_of(None, "whatever") == 0.5
    assert isinstance(Knowing(), Familiar)
    assert share_of(Knowing(), "whatever") == 0.25  # type: ignore[arg-type]


@pytest.mark.proves("rag.hybrid")
@pytest.mark.parametrize(
    ("question", "least", "most"),
    [
        ("How many points did the Panthers defense surrender?", 0.9, 1.0),
        ("which pump has to be replaced when the pressure drops", 0.9, 1.0),
        ("Wie viele Punkte gab die Verteidigung der Panthers ab?", 0.0, 0.65),
        ("黑豹队的防守丢了多少分？", 0.0, 0.0),
        ("Сколько очков пропустила защита?", 0.0, 0.0),
        ("", 1.0, 1.0),
    ],
)
def test_what_the_built_in_vocabulary_knows(question: str, least: float, most: float) -> None:
    pieces = WordPieces(read_vocabulary(find_model(None).read("vocab.txt")))
    assert least <= pieces.familiarity(question) <= most


def test_a_question_of_any_length_is_judged_at_once() -> None:
    pieces = WordPieces(read_vocabulary(find_model(None).read("vocab.txt")))
    start = time.process_time()
    assert pieces.familiarity("what is it " * 100_000) == 1.0
    assert time.process_time() - start < 1
