"""The numbered log of one task's updates, bounded in count and in bytes."""

from bisect import bisect_left
from collections.abc import Iterator
from itertools import groupby
from typing import Final, NamedTuple

from hector.core.content import Data, Media, Part, Text, Thinking, ToolCall, ToolResult
from hector.core.event import TextDelta
from hector.core.task import AgentDelta, AnswerDelta, ArtifactUpdate, StatusUpdate, ToolProgress, Update
from hector.tasks.positions import NOWHERE, Epoch, Position

MOST_UPDATES: Final = 20_000
MOST_BYTES: Final = 8 * 1024 * 1024
"""What the log of one task holds; the oldest go first."""
LEAST_UPDATES: Final = 64
"""So many are held whatever they weigh: a reader that keeps up must not lose its place to a few large artifacts."""
KEPT: Final = 3
"""Quarters of the bounds that are left when the log is cut, so that cutting costs next to nothing per update."""
MOST_TAKEN: Final = 1_000
"""Updates that one reader takes at a time, so that one that has fallen behind does not hold up the rest."""
_OVERHEAD: Final = 200
"""Bytes that an update occupies beside its content, about."""


class _Segment(NamedTuple):
    """A stretch of the log: from `start` on, updates belong to `epoch`; `before` is the number of the one before."""

    start: int
    epoch: Epoch
    before: int


class Log:
    """The newest updates of a task. Places are counted over its life; positions are what readers outside are told."""

    __slots__ = ("_segments", "_sum", "_sum_cut", "_sums", "_updates", "start")

    def __init__(self) -> None:
        self.start = 0
        self._updates: list[Update] = []
        self._sums: list[int] = []
        self._sum = self._sum_cut = 0
        self._segments: list[_Segment] = []

    @property
    def end(self) -> int:
        """The place behind the newest update."""
        return self.start + len(self._updates)

    @property
    def weight(self) -> int:
        """Bytes of the log, about."""
        return self._sum - self._sum_cut

    def position_of(self, place: int) -> Position:
        """What a place is called outside."""
        for segment in reversed(self._segments):
            if segment.start <= place:
                return Position(segment.epoch, segment.before + place - segment.start)
        return Position(NOWHERE, 0)

    def place_of(self, position: Position) -> int | None:
        """Where a position is; None when it is not held, or not any more."""
        following = self.end
        for segment in reversed(self._segments):
            place = segment.start + position.number - segment.before
            if segment.epoch == position.epoch != NOWHERE and max(segment.start, self.start) <= place <= following:
                return place
            following = segment.start
        return None

    def turn_to(self, epoch: Epoch, number: int) -> None:
        """What follows belongs to `epoch` and is numbered from `number` + 1."""
        self._segments.append(_Segment(self.end, epoch, number))

    def skip_to(self, number: int) -> None:
        """The next update is `number` of its epoch."""
        last = self.position_of(self.end)
        if last.number != number - 1:
            self.turn_to(last.epoch, number - 1)

    def pass_by(self) -> None:
        """Count an update that nobody will ask for. The log must be empty."""
        self.start += 1

    def append(self, update: Update) -> None:
        """Add an update, in pieces that leave as one event each."""
        if not isinstance(update, AnswerDelta):
            self._add(update, _weight(update))
        elif len(update.deltas) == 1:  # nearly all updates
            self._add(update, _OVERHEAD + len(update.deltas[0].text))
        else:
            for piece in _unmixed(update):
                self._add(piece, _weight(piece))

    def _add(self, update: Update, weight: int) -> None:
        self._updates.append(update)
        self._sum += weight
        self._sums.append(self._sum)
        if len(self._updates) > MOST_UPDATES or self._sum - self._sum_cut > MOST_BYTES:
            self._cut()

    def read(self, place: int, end: int | None = None) -> tuple[Update, ...]:
        """Up to MOST_TAKEN updates from `place` on, all of one epoch, none behind `end`."""
        stops = [segment.start for segment in self._segments if segment.start > place]
        stop = min((place + MOST_TAKEN, *stops[:1], *(() if end is None else (end,))))
        return tuple(self._updates[place - self.start : stop - self.start])

    def _cut(self) -> None:
        """Let go of the oldest updates, so that a quarter of the bound that was passed is free again."""
        excess = self._sum - MOST_BYTES * KEPT // 4
        by_weight = bisect_left(self._sums, excess) + 1 if self.weight > MOST_BYTES else 0
        by_count = len(self._updates) - MOST_UPDATES * KEPT // 4 if len(self._updates) > MOST_UPDATES else 0
        count = min(max(by_weight, by_count), len(self._updates) - LEAST_UPDATES)
        if count <= 0:
            return
        self._sum_cut = self._sums[count - 1]
        del self._updates[:count], self._sums[:count]
        self.start += count
        while len(self._segments) > 1 and self._segments[1].start <= self.start:
            del self._segments[0]

    def forget(self) -> None:
        """Nobody can go on behind what was said so far."""
        self.start = self.end
        self._sum_cut = self._sum
        del self._updates[:], self._sums[:], self._segments[:]


def _unmixed(update: AnswerDelta) -> Iterator[AnswerDelta]:
    """The update as such that each leave as one event: a batch of deltas that holds text and thinking is taken apart.

    A reader that is cut off in between can then go on at the very place.
    """
    if not update.deltas:
        yield update
    first = update.first
    for kind, deltas in groupby(update.deltas, type):
        yield AnswerDelta(update.artifact_id, tuple(deltas), first)
        first = first and kind is not TextDelta


def _weight(update: Update) -> int:
    """Bytes that an update holds in memory, about."""
    parts: tuple[Part | None, ...]
    match update:
        case StatusUpdate(status):
            parts = status.message.message.parts if status.message else ()
        case ArtifactUpdate(artifact):
            parts = artifact.parts
        case ToolProgress(call, result):
            parts = (call, result)
        case AnswerDelta(deltas=deltas) | AgentDelta(deltas=deltas):
            return _OVERHEAD + sum(len(delta.text) for delta in deltas)
    return _OVERHEAD + sum(_weight_of(part) for part in parts if part is not None)


def _weight_of(part: Part) -> int:
    match part:
        case Text(text=text) | Thinking(text=text):
            return len(text)
        case Media(data=data):
            return len(data or "")
        case Data(value=value):
            return len(str(value))
        case ToolCall(args=args, raw=raw):
            return len(raw or "") or len(str(args))
        case ToolResult(content=content):
            return sum(map(_weight_of, content))
