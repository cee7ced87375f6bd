"""What is looked for: the question as it is taken, and the forms of it that are searched with. Pure."""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Final

from hector.config.searching import Search
from hector.core.record import dataclass

SHORTEST: Final = 2
LONGEST: Final = 10_000
"""Characters of a question."""
DEPTH: Final = 100
"""How far down each list goes that is weighed against others."""
_OWN: Final = 2.0
"""What the question itself counts, against 1 for each other form of it."""


def taken(text: str) -> tuple[str, str]:
    """The question on one line, empty where there is none; and a note on what was done to it, empty for nothing."""
    line = " ".join(text.replace("\0", " ").split())
    if len(line) < SHORTEST:
        return "", f"nothing was looked for: a question has at least {SHORTEST} characters"
    if len(line) > LONGEST:
        return line[:LONGEST], f"only the first {LONGEST} characters of the question were looked for"
    return line, ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What models are asked for before a search: how many other forms, of which model; an answer, of which model.

    None: not asked. `patience`: seconds that each is waited for.
    """

    forms: tuple[str, int] | None
    answer: str | None
    patience: float


def recipe_of(settings: Search) -> Recipe:
    """As a store is configured."""
    forms = (settings.multi_query_llm, settings.multi_query_count) if settings.enable_multi_query else None
    return Recipe(forms, settings.hyde_llm if settings.enable_hyde else None, settings.model_timeout)


@dataclass(frozen=True, slots=True)
class Forms:
    """The question and other forms of it; and what a document with the answer might say, empty where nobody knows."""

    questions: tuple[str, ...]
    answer: str = ""


def middle(vectors: Sequence[bytes]) -> bytes:
    """The direction between vectors (little-endian float32), of length 1 as they are."""
    if len(vectors) == 1:
        return vectors[0]
    count = len(vectors[0]) // 4
    rows = [struct.unpack(f"<{count}f", one) for one in vectors]
    summed = [sum(column) for column in zip(*rows, strict=True)]
    length = math.sqrt(sum(one * one for one in summed)) or 1.0
    return struct.pack(f"<{count}f", *(one / length for one in summed))


def together(ranked: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Scores of all forms as one, the best first; the first form is the question itself."""
    if len(ranked) == 1:
        found = dict(ranked[0])
    else:
        found = {}
        whole = _OWN + len(ranked) - 1
        for at, scores in enumerate(ranked):
            share = (1.0 if at else _OWN) / whole
            for key, score in scores.items():
                found[key] = found.get(key, 0.0) + share * score
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))
