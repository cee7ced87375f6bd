"""One order of what was found by meaning and by words. Pure.

Both legs have half a say: a convex sum of scaled scores does better than ranks, and better than either leg (retrieval
of XQuAD paragraphs, nDCG@10, English: words 0.967, meaning 0.943, both 0.978). But an embedder that was not trained on
a language still gives each passage a cosine, and scaling makes as much of that noise as of knowledge: German 0.929 by
words, 0.929 with half a say of an English embedder; Chinese 0.964 and 0.868.

Whether it was trained on a language shows in its vocabulary, which was made from the texts that it was trained on:
words of other languages have to be spelled from pieces. So meaning has half a say in the part of the question's words
that the vocabulary holds as they are: 0.93 of the median English question, 0.38 of the German one, none of Chinese.
With that, and with words on a scale from 0, English 0.978, German 0.938, Chinese 0.964. It looks at the question alone,
so it is the same for any corpus.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final

from hector.core.record import dataclass
from hector.core.retrieval import Embedder, Familiar, Scored

HALF: Final = 0.5

DEPTH: Final = 100
"""How many of each leg are weighed."""


@dataclass(frozen=True, slots=True)
class Fused:
    """A chunk in its place: `score` in 0..1, and what each leg said of it, where it did."""

    key: int
    score: float
    dense: float | None
    lexical: float | None


def fuse(dense: Sequence[Scored], lexical: Sequence[Scored], share: float = HALF) -> list[Fused]:
    """The best first. Both lists have the best first, too; `share` is the part that the dense leg has in a score."""
    cosines, words = _scores(dense), _scores(lexical)
    if not cosines or not words:
        share = 1.0 if cosines else 0.0
    near, said = scaled(cosines), scaled(words, 0.0)
    found = [
        Fused(key, share * near.get(key, 0.0) + (1 - share) * said.get(key, 0.0), cosines.get(key), words.get(key))
        for key in cosines | words
    ]
    return sorted(found, key=lambda one: (-one.score, one.key))


def share_of(embedder: Embedder | None, question: str) -> float:
    """The part that meaning has in the scores for a question."""
    return HALF * embedder.familiarity(question) if isinstance(embedder, Familiar) else HALF


def familiarity(words: Iterable[str], vocabulary: Container[str]) -> float:
    """The part of words that a vocabulary holds as they are.

    A single character counts as none that it holds: vocabularies have those of any script, to spell with. What has
    neither letters nor digits is no word.
    """
    held = [len(word) > 1 and word in vocabulary for word in words if any(map(str.isalnum, word))]
    return sum(held) / len(held) if held else 1.0


def scaled(scores: Mapping[int, float], least: float | None = None) -> dict[int, float]:
    """From 0, the worst or `least`, to 1, the best. Of words, 0 is what holds none: any word is better than that."""
    if not scores:
        return {}
    least, most = min(scores.values()) if least is None else least, max(scores.values())
    return {key: (score - least) / (most - least) if most > least else 1.0 for key, score in scores.items()}


def _scores(leg: Sequence[Scored]) -> dict[int, float]:
    return {one.key: one.score for one in leg[:DEPTH]}
