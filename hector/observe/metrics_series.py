"""Counters, gauges and histograms by app and labels, with a bound on how many series each may have.

Everything is counted on the event loop, so an increment is an addition and takes no lock. Each app has room of its own:
one with many agents or tools takes none of another's. What finds no room is counted in a series whose open labels say
`(other)`, which no id can be, and how often that was is a counter, too.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeAlias, TypeVar

from hector.core.record import dataclass

OTHER: Final = "(other)"
"""What stands in place of apps, agents, tools and the like that found no room."""
OPEN: Final = frozenset({"agent_name", "tool_name", "model", "store_name", "path", "kind"})
"""Labels that have any number of values; those of the others are few and known."""
_LONGEST: Final = 128
"""Characters of a label's value."""

Labels: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many apps a metric tells apart, and how many series it has for each of them."""

    apps: int = 100
    series: int = 100


class Value:
    """What a counter or a gauge stands at."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Distribution:
    """How many observations fell into each bucket, and their sum."""

    __slots__ = ("_ends", "counts", "sum")

    def __init__(self, ends: tuple[float, ...]) -> None:
        self._ends = ends
        self.counts = [0] * (len(ends) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One more."""
        self.counts[bisect_left(self._ends, value)] += 1
        self.sum += value


Cell = TypeVar("Cell", Value, Distribution)


class Family(Generic[Cell]):
    """All series of one metric. `labels` are those besides the app; `of_apps`: whether it has that one.

    `alias`: the app's id stands under `app_name`, too.
    """

    kind = ""

    def __init__(self, name: str, help: str, labels: Labels = (), *, of_apps: bool = True, alias: bool = False) -> None:
        self.name = name
        self.help = help
        self.labels = labels
        self.of_apps = of_apps
        self.alias = alias
        self.bounds = Bounds()
        self.folded = 0
        """How many observations found no room for a series of their own."""
        self._apps: dict[str, dict[Labels, Cell]] = {}

    def series(self, app: str | None = None) -> Iterator[tuple[str, Labels, Cell]]:
        """All, or those of one app."""
        chosen: Mapping[str, dict[Labels, Cell]] = self._apps
        if app is not None:
            chosen = {app: self._apps.get(app, {})}
        for name, found in chosen.items():
            for labels, cell in found.items():
                yield name, labels, cell

    def forget(self, app: str) -> None:
        """An app is no more."""
        self._apps.pop(app, None)

    def clear(self) -> None:
        """Begin anew, for gauges that are read all at once."""
        self._apps.clear()

    def cell(self, app: str, *labels: str) -> Cell:
        """One series, for whoever counts there often; to be asked for anew when an app has been forgotten."""
        return self._cell(app, labels)

    def _make(self) -> Cell:
        raise NotImplementedError

    def _cell(self, app: str, labels: Labels) -> Cell:
        try:
            return self._apps[app][labels]
        except KeyError:
            return self._new(app, labels)

    def _new(self, app: str, labels: Labels) -> Cell:
        labels = tuple(map(_clean, labels))
        found = self._apps.get(app)
        if found is None and len(self._apps) >= self.bounds.apps:
            app, labels = OTHER, self._closed(labels)
            self.folded += 1
        found = self._apps.setdefault(app, {})
        if labels not in found and len(found) >= self.bounds.series:
            labels = self._closed(labels)
            self.folded += 1
        if labels not in found:
            found[labels] = self._make()
        return found[labels]

    def _closed(self, labels: Labels) -> Labels:
        return tuple(OTHER if name in OPEN else value for name, value in zip(self.labels, labels, strict=True))


class Counter(Family[Value]):
    """What only grows."""

    kind = "counter"

    def _make(self) -> Value:
        return Value()

    def add(self, app: str, *labels: str, amount: float = 1.0) -> None:
        """So much more."""
        self._cell(app, labels).value += amount


class Gauge(Family[Value]):
    """What goes up and down."""

    kind = "gauge"

    def _make(self) -> Value:
        return Value()

    def add(self, app: str, *labels: str, amount: float = 1.0) -> None:
        """So much more, or less."""
        self._cell(app, labels).value += amount


class Histogram(Family[Distribution]):
    """How observations are distributed over buckets, each named by the largest value that it takes."""

    kind = "histogram"

    def __init__(
        self,
        name: str,
        help: str,
        buckets: tuple[float, ...],
        labels: Labels = (),
        *,
        of_apps: bool = True,
        alias: bool = False,
    ) -> None:
        super().__init__(name, help, labels, of_apps=of_apps, alias=alias)
        self.buckets = buckets

    def _make(self) -> Distribution:
        return Distribution(self.buckets)

    def observe(self, value: float, app: str, *labels: str) -> None:
        """One more."""
        self._cell(app, labels).observe(value)


def _clean(value: str) -> str:
    """A value that can be written in UTF-8, and is not too long to be one."""
    return value[:_LONGEST].encode("utf-8", "replace").decode()
