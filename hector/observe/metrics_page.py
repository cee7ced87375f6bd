"""The metrics as Prometheus reads them: text format 0.0.4 and OpenMetrics 1.0, both by its own client library.

What is counted is copied on the event loop; the page is written in a thread, where the library is loaded, too.
"""

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from hector.core.record import dataclass
from hector.observe.metrics_series import Distribution, Family, Labels
from hector.observe.metrics_table import Metrics
from hector.version import __version__

_OPENMETRICS: Final = "application/openmetrics-text"
TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = f"{_OPENMETRICS}; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Naming:
    """`prefix` stands before each name, `constant` labels are on each series but those about the process itself."""

    prefix: str = "hector_"
    constant: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class _Copied:
    """One metric at one moment; a series is its app, its labels, and a number, or counts by bucket and their sum."""

    family: Family[Any]
    series: tuple[tuple[str, Labels, Any], ...]


async def page(metrics: Metrics, naming: Naming, accept: str, app: str | None = None) -> tuple[bytes, str]:
    """The page and its content type; `app`: only what belongs to that one."""
    copied = [_copied(one, app) for one in metrics.families() if app is None or one.of_apps]
    return await asyncio.to_thread(_written, copied, naming, chosen(accept), whole=app is None)


def chosen(accept: str) -> str:
    """The content type for what a scraper says it takes: OpenMetrics if it names that, and not as its last choice."""
    return max(_offered(accept), default=(0.0, TEXT))[1]


def _offered(accept: str) -> Iterator[tuple[float, str]]:
    for one in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in one.split(";"))
        given = dict(part.split("=", 1) for part in parameters if "=" in part)
        quality = _quality(given.get("q", "1"))
        if quality > 0 and kind == _OPENMETRICS and given.get("version", "1.0.0").strip('"') in ("1.0.0", "0.0.1"):
            yield quality, OPENMETRICS
        elif quality > 0 and kind in ("text/plain", "text/*", "*/*"):
            yield quality, TEXT


def _quality(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return found if 0 <= found <= 1 else 0.0


def _copied(family: Family[Any], app: str | None) -> _Copied:
    series = ((name, labels, _standing(cell)) for name, labels, cell in family.series(app))
    return _Copied(family, tuple(series))


def _standing(cell: Any) -> Any:
    return (tuple(cell.counts), cell.sum) if isinstance(cell, Distribution) else cell.value


def _written(copied: Iterable[_Copied], naming: Naming, kind: str, *, whole: bool) -> tuple[bytes, str]:
    from prometheus_client import exposition  # noqa: PLC0415 - loaded by the first scrape
    from prometheus_client.openmetrics import exposition as openmetrics  # noqa: PLC0415

    source: Any = _Source(tuple(copied), naming, whole=whole)
    write: Any = openmetrics.generate_latest if kind == OPENMETRICS else exposition.generate_latest
    return write(source), kind


class _Source:
    """What the library asks for the metrics."""

    def __init__(self, copied: tuple[_Copied, ...], naming: Naming, *, whole: bool) -> None:
        self._copied = copied
        self._naming = naming
        self._whole = whole

    def collect(self) -> Iterator[Any]:
        """Each metric in the library's own form."""
        for one in self._copied:
            yield self._made(one)
        if self._whole:
            yield from _of_process(self._naming)

    def _made(self, one: _Copied) -> Any:
        from prometheus_client import core  # noqa: PLC0415 - see above

        family, naming = one.family, self._naming
        heads = _heads(family)
        names = (*heads, *family.labels, *naming.constant)
        constant = tuple(naming.constant.values())
        kinds = {
            "counter": core.CounterMetricFamily,
            "gauge": core.GaugeMetricFamily,
            "histogram": core.HistogramMetricFamily,
        }
        made: Any = kinds[family.kind](naming.prefix + family.name, family.help, labels=names)
        for app, labels, standing in one.series:
            values = (*(app for _ in heads), *labels, *constant)
            if family.kind == "histogram":
                counts, total = standing
                made.add_metric(values, _buckets(family, counts), total)
            else:
                made.add_metric(values, standing)
        return made


def _heads(family: Family[Any]) -> Labels:
    if not family.of_apps:
        return ()
    return ("app", "app_name") if family.alias else ("app",)


def _buckets(family: Any, counts: tuple[int, ...]) -> list[tuple[str, float]]:
    from prometheus_client import utils  # noqa: PLC0415 - see above

    written: Any = utils.floatToGoString
    ends = (*family.buckets, math.inf)
    return [(written(end), float(count)) for end, count in zip(ends, accumulate(counts), strict=True)]


def _of_process(naming: Naming) -> Iterator[Any]:
    """What is true of the process as a whole, under the names that all programs use for that."""
    from prometheus_client import core  # noqa: PLC0415 - see above
    from prometheus_client.process_collector import ProcessCollector  # noqa: PLC0415

    build = core.GaugeMetricFamily(f"{naming.prefix}build_info", "1, with the version.", labels=("version",))
    build.add_metric((__version__,), 1.0)
    yield build
    yield from ProcessCollector(registry=None).collect()
