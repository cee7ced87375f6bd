"""The nearest of many rows: exact, as fast as memory can be read.

One question over float rows is one product of matrix and vector, which runs at the bandwidth of memory. From
`CODES_FROM` rows on, the rows are read at 8 bits a number, a quarter of the bytes, in blocks whose float copy stays in
the processor's cache; what comes near the best is scored again with the float rows. Many questions at once are one
product of matrices, for which the rows are read once.
"""

import threading
from typing import TYPE_CHECKING, Final

from hector.rag.flat_files import View
from hector.rag.numeric import np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hector.rag.flat_files import Floats, Ints

CODES_FROM: Final = 100_000
"""Rows from which on 8 bits a number are read; wider rows than this are as fast as floats,"""
_WIDE: Final = 1024
_LARGE: Final = 1 << 30
"""so they are read so from this many bytes of floats on, for the sake of memory."""
_FLOATS: Final = 256 << 20
"""Bytes of floats up to which many questions at once are asked of them."""
_CACHE: Final = 1024 * 384
"""Numbers of a block, whose float copy (1.5 MiB) stays in the second or third cache."""
_MANY: Final = 16_384
"""Rows of a block whose scores are looked at together, where many questions are asked at once."""
_GATHER: Final = 4096
_MOST: Final = 4096
"""Rows at most that are scored again for a question."""
_LEAST: Final = -2.0
"""Below every cosine."""
_own = threading.local()


def nearest(view: View, queries: "Floats", most: int) -> "list[Ints]":
    """For each query (a row) slots that surely hold its `most` best rows, and some more."""
    if not view.rows:
        return [np.empty(0, np.int64) for _ in queries]
    if len(queries) == 1:
        scores = _one(view, queries[0])
        scores[view.dead] = _LEAST
        return [_best(scores, most, _margin(view))]
    return _many(view, queries, most)


def nearest_among(view: View, queries: "Floats", most: int, slots: "Ints") -> "list[Ints]":
    """The same, of these slots only."""
    slots = slots[slots < view.rows]
    scores = np.empty((len(queries), len(slots)), np.float32)
    for begin in range(0, len(slots), _GATHER):
        here = slots[begin : begin + _GATHER]
        if view.vectors is not None:
            scores[:, begin : begin + _GATHER] = queries @ view.vectors[here].T
        else:
            rows = view.codes[here].astype(np.float32)
            scores[:, begin : begin + _GATHER] = (queries @ rows.T) * view.scales[here]
    return [slots[_best(row, most, 0.0)] for row in scores]


def coded(view: View, queries: int = 1) -> bool:
    """Whether rows are read at 8 bits a number."""
    if view.vectors is None:
        return True
    size = view.rows * view.vectors.shape[1] * 4
    if queries > 1 and size <= _FLOATS:
        return False
    return size >= _LARGE or (view.rows >= CODES_FROM and view.vectors.shape[1] <= _WIDE)


def _margin(view: View, queries: int = 1) -> float:
    """How much below the best a code's score may be while the row's own is above: 6 standard deviations of both.

    Rounding is off by a twelfth of the square of a step in each number, and a query has length 1.
    """
    if view.vectors is None or not coded(view, queries):
        return 0.0
    return 2 * 6 / 12**0.5 * float(view.scales.max())


def _buffer(name: str, size: int) -> "Floats":
    """This thread's own, made once: memory that is new each time costs as much as the search of a small index."""
    there: Floats | None = getattr(_own, name, None)
    if there is None or len(there) < size or len(there) > 4 * size:
        there = np.empty(size, np.float32)
        setattr(_own, name, there)
    return there[:size]


def _one(view: View, query: "Floats") -> "Floats":
    scores = _buffer("scores", view.rows)
    if view.vectors is not None and not coded(view):
        np.dot(view.vectors, query, out=scores)
        return scores
    step = max(_CACHE // view.codes.shape[1], 1)
    block = _buffer("block", step * view.codes.shape[1]).reshape(step, -1)
    codes = view.codes
    for begin in range(0, view.rows - step + 1, step):
        np.copyto(block, codes[begin : begin + step])
        np.dot(block, query, out=scores[begin : begin + step])
    if rest := view.rows % step:
        np.dot(codes[-rest:].astype(np.float32), query, out=scores[-rest:])
    scores *= view.scales
    return scores


def _best(scores: "Floats", most: int, margin: float) -> "Ints":
    """Places of the `most` best scores, and of those within the margin below."""
    if len(scores) <= most:
        return np.flatnonzero(scores > _LEAST)
    floor = _floor(scores, most)
    there = np.flatnonzero(scores >= floor - margin)
    if len(there) > most:  # the floor was a low one
        values = scores[there]
        floor = _least_of(values, most)
        there = there[values >= floor - margin]
    if len(there) > (limit := max(4 * most, _MOST)):
        values = scores[there]
        there = there[np.argpartition(values, len(values) - limit)[len(values) - limit :]]
    return there[scores[there] > _LEAST]


def _floor(scores: "Floats", most: int) -> float:
    """A score that at least `most` reach, found by the best of each of many stretches: quicker than a partition."""
    step = max(len(scores) // (8 * most), 1)
    if step < 16:
        return _least_of(scores, most)
    count = len(scores) // step
    tops = scores[: count * step].reshape(count, step).max(axis=1)
    return _least_of(tops, most)


def _least_of(values: "Floats", most: int) -> float:
    """The worst of the `most` best."""
    return float(np.partition(values, len(values) - most)[len(values) - most])


def _many(view: View, queries: "Floats", most: int) -> "list[Ints]":
    """Rows are read once; each question keeps what reaches the worst of its best so far."""
    floors = np.full(len(queries), _LEAST, np.float32)
    kept: list[list[tuple[Ints, Floats]]] = [[] for _ in queries]
    margin = _margin(view, len(queries))
    for begin, scores in _scored(view, queries):
        dead = view.dead[np.searchsorted(view.dead, begin) : np.searchsorted(view.dead, begin + len(scores))]
        scores[dead - begin] = _LEAST
        if begin == 0 and len(scores) > most:
            floors = np.partition(scores, len(scores) - most, axis=0)[len(scores) - most] - np.float32(margin)
        where, who = np.nonzero(scores >= floors)
        values = scores[where, who]
        order = np.argsort(who, kind="stable")
        ends = np.searchsorted(who[order], np.arange(len(queries) + 1))
        for one in np.flatnonzero(np.diff(ends)).tolist():
            mine = order[ends[one] : ends[one + 1]]
            kept[one].append((where[mine] + begin, values[mine]))
            floors[one] = max(floors[one], _tightened(kept[one], most) - margin)
    return [_settled(parts, most, margin) for parts in kept]


def _scored(view: View, queries: "Floats") -> "Iterator[tuple[int, Floats]]":
    """(first slot, scores of rows by questions), some rows at a time, in one place that is written over."""
    turned = np.ascontiguousarray(queries.T)
    scores = _buffer("many", _MANY * len(queries)).reshape(_MANY, len(queries))
    for begin in range(0, view.rows, _MANY):
        here = scores[: min(_MANY, view.rows - begin)]
        if view.vectors is not None and not coded(view, len(queries)):
            np.dot(view.vectors[begin : begin + len(here)], turned, out=here)
        else:
            _score_codes(view, begin, turned, here)
        yield begin, here


def _score_codes(view: View, begin: int, turned: "Floats", scores: "Floats") -> None:
    width = view.codes.shape[1]
    step = max(4 * _CACHE // width, 1)
    block = _buffer("block of many", step * width).reshape(step, width)
    for at in range(0, len(scores), step):
        out = scores[at : at + step]
        np.copyto(block[: len(out)], view.codes[begin + at : begin + at + len(out)])
        np.dot(block[: len(out)], turned, out=out)
    scores *= view.scales[begin : begin + len(scores), None]


def _tightened(parts: "list[tuple[Ints, Floats]]", most: int) -> float:
    values = np.concatenate([values for _, values in parts])
    return _least_of(values, most) if len(values) > most else _LEAST


def _settled(parts: "list[tuple[Ints, Floats]]", most: int, margin: float) -> "Ints":
    if not parts:
        return np.empty(0, np.int64)
    slots = np.concatenate([slots for slots, _ in parts])
    return slots[_best(np.concatenate([values for _, values in parts]), most, margin)]
