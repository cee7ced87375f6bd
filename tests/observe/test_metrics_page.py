"""What is counted, its bounds, and the two formats: without a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hector.config.observability import OWN_LABELS
from hector.observe import metrics
from hector.observe.metrics_page import OPENMETRICS, TEXT, Naming, chosen, page
from hector.observe.metrics_series import OPEN, OTHER, Bounds, Histogram
from hector.observe.metrics_table import Metrics
from hector.rag.ingest_counted import Counted
from hector.rag.ingest_progress import Tally
from hector.web.marked import template
from tests.observe.exposition import Page, parsed

HOSTILE = 'a"b\\c\nd{}=,\x00 é ☃ \ud800 # HELP x' + "x" * 1000


async def shown(counted: Metrics, accept: str = "", app: str | None = None, naming: Naming | None = None) -> Page:
    body, kind = await page(counted, naming or Naming(), accept, app)
    return parsed(body.decode(), kind)


@pytest.mark.proves("metrics.bounds")
@pytest.mark.parametrize("accept", ["", "application/openmetrics-text"])
async def test_labels_may_say_anything_and_change_nothing_else(accept: str) -> None:
    counted = Metrics()
    counted.tool_calls.add("shop", HOSTILE)
    counted.llm_calls.add("shop", HOSTILE, "openai")
    counted.tool_calls.add("shop", "plain")
    found = await shown(counted, accept)
    assert found.sum("hector_tool_calls_total", tool_name="plain") == 1
    (name,) = found.values("tool_name", "hector_tool_calls_total") - {"plain"}
    assert name == HOSTILE[:128].replace("\ud800", "?")
    assert found.sum("hector_llm_calls_total", app="shop", provider="openai") == 1


@pytest.mark.proves("metrics.bounds")
async def test_an_app_with_too_many_series_takes_nobody_elses_room() -> None:
    counted = Metrics(Bounds(apps=2, series=5))
    for number in range(100):
        counted.tool_errors.add("greedy", f"tool-{number}", "defect" if number % 2 else "tool")
        counted.tool_seconds.observe(0.01, "greedy", f"tool-{number}")
    counted.tool_errors.add("modest", "mine", "tool")
    for number in range(100):
        counted.tool_errors.add(f"app-{number}", f"tool-{number}", "tool")
    series = list(counted.tool_errors.series())
    assert len(series) == 5 + 2 + 1 + 1
    assert sum(cell.value for _, _, cell in series) == 201
    assert {app for app, _, _ in series} == {"greedy", "modest", OTHER}
    assert counted.tool_errors.folded == 95 + 100
    found = await shown(counted)
    assert found.sum("hector_tool_call_duration_seconds_count", tool_name=OTHER) == 95
    assert found.sum("hector_tool_errors_total", app="modest", tool_name="mine") == 1
    assert found.sum("hector_tool_errors_total", app=OTHER, tool_name=OTHER, error_type="tool") == 100


@pytest.mark.proves("metrics.tenancy")
async def test_an_app_is_shown_its_own_series_only() -> None:
    counted = Metrics(Bounds(apps=2))
    for app in ("shop", "bank", "late"):
        counted.tool_calls.add(app, f"tool-of-{app}")
        counted.queue_depth.add(app, "pending")
        counted.loop_lag.observe(0.1, "")
    found = await shown(counted, app="shop")
    assert found.values("app") == found.values("app_name") == {"shop"}
    assert found.values("tool_name") == {"tool-of-shop"}
    assert not [name for name in found.families if name.startswith("process_") or "loop" in name or "build" in name]
    late = await shown(counted, app="late")  # found no room of its own: it is not shown what others did either
    assert late.samples == ()
    counted.forget("shop")
    assert (await shown(counted, app="shop")).samples == ()


async def test_names_and_constant_labels_are_the_operators() -> None:
    counted = Metrics()
    counted.agent_calls.add("shop", "clerk", "llm")
    found = await shown(counted, naming=Naming("acme_ai_", {"zone": 'a"b'}))
    assert found.sum("acme_ai_agent_calls_total", zone='a"b', agent_name="clerk", agent_type="llm") == 1
    assert "process_resident_memory_bytes" in found.names


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("text/plain;version=1.0.0;escaping=allow-utf-8", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", OPENMETRICS),
        ("application/openmetrics-text;q=0.3, text/plain;q=0.5", TEXT),
        ("application/openmetrics-text;q=0, */*", TEXT),
        ("application/openmetrics-text;version=2.0.0, */*;q=0.1", TEXT),
        ("application/openmetrics-text;q=high", TEXT),
        ("application/vnd.google.protobuf,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1", OPENMETRICS),
    ],
)
def test_the_format_is_the_one_that_is_accepted(accept: str, kind: str) -> None:
    assert chosen(accept) == kind


def test_a_value_on_the_edge_of_a_bucket_belongs_to_it() -> None:
    one = Histogram("x", "", (1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 3.0):
        one.observe(value, "a")
    ((_, _, cell),) = one.series()
    assert (cell.counts, cell.sum) == ([2, 2, 1], 8.0)


def test_labels_are_known_and_few() -> None:
    found = {label for family in Metrics().families() for label in family.labels}
    assert found <= OWN_LABELS
    assert found >= OPEN
    assert found.isdisjoint({"user", "user_id", "session", "session_id", "task", "url", "query"})


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/agents/{agent}{end:end}", "/agents/{agent}"),
        ("/{agent:agent}{tenant:tenant}tasks/{id:task}{end:end}", "/tasks/{id}"),
        ("/{agent:agent}{tenant:tenant}message:send{end:end}", "/message:send"),
        ("/", "/"),
    ],
)
def test_paths_are_templates(path: str, shown: str) -> None:
    assert template(path) == shown


def test_what_indexing_counts_is_taken_over_once() -> None:
    counted, tally = Metrics(), Tally()
    taking = Counted(counted, "shop", "docs", tally)
    tally.scanned = 5.0  # of an earlier process
    taking.take(tally)
    for number in (1, 2):
        taking.take(tally)
        tally.begin_scan(number, 10.0)
        tally.read, tally.unchanged = 3, 1
        taking.take(tally)
        tally.read, tally.failed, tally.scanned = 4, 2, 12.0 + number
        taking.take(tally)
        taking.take(tally)
    families = (counted.documents_indexed, counted.documents_skipped, counted.documents_failed)
    sums = [next(one.series())[2].value for one in families]
    assert sums == [8, 2, 4]
    ((_, labels, cell),) = counted.index_seconds.series()
    assert (labels, sum(cell.counts), cell.sum) == (("docs",), 2, 3.0 + 4.0)


def test_counting_ends_where_it_began() -> None:
    with metrics.counting(Metrics()):
        assert metrics.current is not None
    assert metrics.current is None


def table_of_the_guide() -> Iterator[tuple[str, ...]]:
    text = (Path(__file__).parents[2] / "docs" / "guide" / "metrics.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- table: hector/observe/metrics_table.py -->")[2].partition("<!-- end -->")[0]
    lines = [line for line in shown.split("\n") if line.startswith("|")][2:]
    return (tuple(cell.strip().strip("`") for cell in line.strip("|").split("|")) for line in lines)


@pytest.mark.proves("metrics.documented")
def test_the_guide_has_the_table_of_the_code() -> None:
    expected = []
    for one in Metrics().families():
        heads = (("app", "app_name") if one.alias else ("app",)) if one.of_apps else ()
        name = f"hector_{one.name}" + "_total" * (one.kind == "counter")
        expected.append((name, one.kind, ", ".join((*heads, *one.labels)), one.help))
    assert list(table_of_the_guide()) == expected
