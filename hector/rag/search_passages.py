"""What is found more than once is shown once: the same text elsewhere, and neighbours that overlap. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hector.core.retrieval import Passage, Place

ALSO: Final = "also_in"
"""The key of a passage's metadata that lists where else the very same text stands."""
_LEAST: Final = 16
"""Characters that two neighbours must share to be one text."""
_LONGEST: Final = 6000
"""Characters that a passage grows to at most."""
_MOST_ALSO: Final = 5


def distinct(passages: Sequence[Passage]) -> list[Passage]:
    """The same without repetitions, in order. What is taken together stands where its best part stood."""
    return _joined(_once(passages))


def _once(passages: Sequence[Passage]) -> list[Passage]:
    """Each text once, with the other documents that hold it."""
    found: dict[str, Passage] = {}
    also: dict[str, list[str]] = {}
    for one in passages:
        text = " ".join(one.text.split()).casefold()
        if text not in found:
            found[text] = one
        elif (one.store, one.document) != (found[text].store, found[text].document):
            also.setdefault(text, []).append(one.uri or one.document)
    return [_noted(one, also.get(text, [])) for text, one in found.items()]


def _noted(passage: Passage, also: Sequence[str]) -> Passage:
    if not also:
        return passage
    return replace(passage, metadata={**passage.metadata, ALSO: list(dict.fromkeys(also))[:_MOST_ALSO]})


def _joined(passages: Sequence[Passage]) -> list[Passage]:
    """Neighbours of a document whose texts overlap as one passage."""
    rows = list(passages)
    by_document: dict[tuple[str, str], list[int]] = {}
    for at, one in enumerate(rows):
        by_document.setdefault((one.store, one.document), []).append(at)
    gone: set[int] = set()
    for places in by_document.values():
        if len(places) > 1:
            gone |= _join(rows, sorted(places, key=lambda at: rows[at].number))
    return [one for at, one in enumerate(rows) if at not in gone]


def _join(rows: list[Passage], places: Sequence[int]) -> set[int]:
    """Put what overlaps into the best of each run of neighbours; which rows went. `places` are in reading order."""
    gone: set[int] = set()
    kept, end = places[0], rows[places[0]].number
    for at in places[1:]:
        one = rows[at]
        whole = _together(rows[kept], one) if one.number == end + 1 else None
        if whole is None:
            kept = at
        else:
            best = min(kept, at)
            rows[best] = _as(rows[best], whole, rows[max(kept, at)])
            gone.add(max(kept, at))
            kept = best
        end = one.number
    return gone


def _together(first: Passage, second: Passage) -> tuple[str, Place] | None:
    """Text and place of both, if the end of one is the beginning of the other."""
    shared = overlap(first.text, second.text)
    if shared < _LEAST or len(first.text) + len(second.text) - shared > _LONGEST:
        return None
    place = replace(first.place, last_line=max(first.place.last_line, second.place.last_line))
    return first.text + second.text[shared:], place


def _as(best: Passage, whole: tuple[str, Place], other: Passage) -> Passage:
    text, place = whole
    score = max(best.score, other.score)
    return replace(best, text=text, place=place, number=min(best.number, other.number), score=score)


def overlap(first: str, second: str) -> int:
    """How many characters at the end of one text are those at the beginning of the other."""
    most = min(len(first), len(second))
    tail = first[-most:]
    at = tail.find(second[:_LEAST])
    while at >= 0:
        if second.startswith(tail[at:]):
            return most - at
        at = tail.find(second[:_LEAST], at + 1)
    return 0
