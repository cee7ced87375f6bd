"""How good a search is: what it found, in order, against what it should have found. Pure.

Measures as trec_eval has them: gains are the judgements themselves (linear), the discount is log2(rank + 1).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from hector.core.record import dataclass

DEPTH: Final = 10
"""How far down the list is looked."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One question: documents as they were found, the best first and each once; those that fit, and how well.

    `seconds` is how long the search took.
    """

    found: Sequence[str]
    relevant: Mapping[str, float]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over all questions, 0..1; times in seconds. `hit`: the share of questions with any right document."""

    questions: int
    hit: float
    mrr: float
    ndcg: float
    recall: float
    p50: float
    p95: float


def ndcg(judged: Judged, depth: int = DEPTH) -> float:
    """Normalised discounted cumulative gain of the first `depth`."""
    gained = _discounted([judged.relevant.get(one, 0.0) for one in judged.found[:depth]])
    best = _discounted(sorted(judged.relevant.values(), reverse=True)[:depth])
    return gained / best if best else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


def reciprocal_rank(judged: Judged, depth: int = DEPTH) -> float:
    """1 / the place of the first right one, 0 where there is none."""
    ranks = (rank for rank, one in enumerate(judged.found[:depth], 1) if judged.relevant.get(one, 0.0) > 0)
    return 1 / next(ranks, math.inf)


def recall(judged: Judged, depth: int = DEPTH) -> float:
    """The share of the right ones that was found."""
    right = {one for one, gain in judged.relevant.items() if gain > 0}
    return len(right.intersection(judged.found[:depth])) / len(right) if right else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that so many (0..1) of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def figures(judged: Sequence[Judged], depth: int = DEPTH) -> Figures:
    """Of all questions."""
    count = len(judged) or 1
    ranks = [reciprocal_rank(one, depth) for one in judged]
    times = [one.seconds for one in judged]
    return Figures(
        len(judged),
        sum(rank > 0 for rank in ranks) / count,
        sum(ranks) / count,
        sum(ndcg(one, depth) for one in judged) / count,
        sum(recall(one, depth) for one in judged) / count,
        percentile(times, 0.5),
        percentile(times, 0.95),
    )
