"""What `hector status` found, laid out for people."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from hector.cli.layout import Style, columns, count, listing, plain, shorten, size, span
from hector.version import __version__

if TYPE_CHECKING:
    from hector.cli.status_report import Report
    from hector.store.queue import JobStatistics


def page(report: "Report", style: Style) -> Iterator[str]:
    """The report for people."""
    yield from _head(report, style)
    yield from _section("Processes", _processes(report, style), style)
    if report.off:
        yield from _section("Switched off", _off(report, style), style)
    if report.resting:
        yield from _section("Apps that rest", _resting(report, style), style)
    yield from _section("Queue", _queue(report, style), style)
    if report.figures.stuck:
        yield from _section("Stuck runs", _stuck(report, style), style)
    if report.figures.waiting:
        yield from _section("Waiting for approval", _waiting(report, style), style)
    if report.damage:
        yield from _section("Dead letters", [style(plain(report.damage), "bad")], style)
    if report.dead:
        yield from _section("Dead letters", _dead(report, style), style)
    if report.refused:
        yield from _section("Refused connections", _refused(report, style), style)
    if report.stores:
        yield from _section("Document stores", _stores(report, style), style)
    yield from _section("Stored", _stored(report, style), style)
    yield from _section("Audit log", _audit(report, style), style)
    yield from _section("Retention", _retention(report, style), style)


def _stores(report: "Report", style: Style) -> list[str]:
    rows = []
    for one in report.stores:
        share = "" if one.percent is None else f"{one.percent:.0f} %"
        failed = style(f"{one.failed:,} cannot be read", "warn") if one.failed else ""
        rows.append((one.store, one.state, share, f"{one.documents:,} documents", f"{one.chunks:,} chunks", failed))
    return columns(rows, right=(2, 3, 4))


def _section(title: str, lines: Sequence[str], style: Style) -> Iterator[str]:
    yield ""
    yield style(title, "bold")
    for line in lines:
        yield f"  {line}"


def _head(report: "Report", style: Style) -> Iterator[str]:
    figures = report.figures
    yield f"{style('Hector', 'bold')} {__version__}   {report.database}"
    growth = ", ".join(f"{_signed(one.octets)} in {count(one.days, 'day')}" for one in figures.growth)
    free = f", {size(figures.free)} of it free" if figures.free else ""
    yield style(f"schema {figures.schema} ({figures.migration}), {size(figures.octets)}{free}", "dim") + (
        style(f", {growth}", "dim") if growth else ""
    )


def _signed(octets: int) -> str:
    return f"{'-' if octets < 0 else '+'}{size(abs(octets))}"


def _processes(report: "Report", style: Style) -> list[str]:
    if not report.instances:
        return [style("none: nobody serves from this database", "warn")]
    rows = []
    for one in report.instances:
        seen = f"{span(report.now - one.seen)} ago"
        state = style("alive", "good") if report.alive(one) else style("silent", "bad")
        rows.append((state, plain(one.host), str(one.pid), one.version, span(report.now - one.started), seen))
    return _titled(("STATE", "HOST", "PID", "VERSION", "UP", "HEARTBEAT"), rows, style, right=(2,))


def _off(report: "Report", style: Style) -> list[str]:
    rows = [
        (style(one.scope, "bad"), f"for {span(report.now - one.at)}", plain(one.author), plain(one.reason))
        for one in report.off
    ]
    return [*columns(rows), style("hector switch on TARGET lets it go on", "dim")]


def _resting(report: "Report", style: Style) -> list[str]:
    return columns(
        [
            (plain(one.id), style(one.status.value, "warn"), f"for {span(report.now - one.updated)}")
            for one in report.resting
        ]
    )


def _refused(report: "Report", style: Style) -> list[str]:
    last = report.refused[0]
    times = style(count(sum(one.refused for one in report.refused), "connection"), "warn")
    where = f"{count(len(report.refused), 'destination')}, such as {plain(last.host)}:{last.port} ({last.purpose})"
    return [f"{times} to {where}   {style('GET /admin/egress lists them', 'dim')}"]


def _audit(report: "Report", style: Style) -> list[str]:
    """Entries wait for a server, which takes them into the chain within seconds."""
    late = report.unchained > 0 and not any(map(report.alive, report.instances))
    more = "hector audit verify reads it" if not late else "a server takes them in once one runs"
    text = f"{report.head.seq:,} in the chain, {style(f'{report.unchained:,} waiting', *(['warn'] if late else []))}"
    return [f"{text}   {style(more, 'dim')}"]


def _queue(report: "Report", style: Style) -> list[str]:
    jobs = report.jobs
    oldest = None if jobs.oldest_pending is None else report.now - jobs.oldest_pending
    late = oldest is not None and oldest > 60
    pairs = [
        ("pending", f"{jobs.pending:,}", _oldest(oldest), "warn" if late else ""),
        ("timers", f"{jobs.timers:,}", "approvals that end by themselves" if jobs.timers else "", ""),
        ("processing", f"{jobs.processing:,}", "", ""),
        ("completed", f"{jobs.completed:,}", _means(jobs), ""),
        ("failed", f"{jobs.failed:,}", "", ""),
        ("dead", f"{jobs.dead:,}", "hector dlq list" if jobs.dead else "", "bad" if jobs.dead else ""),
        ("canceled", f"{jobs.canceled:,}", "", ""),
    ]
    rows = [(name, style(number, *filter(None, [colour])), style(more, "dim")) for name, number, more, colour in pairs]
    return columns(rows, right=(1,))


def _oldest(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"the oldest for {span(seconds)}" if seconds >= 0 else f"the first in {span(-seconds)}"


def _means(jobs: "JobStatistics") -> str:
    if jobs.mean_wait is None or jobs.mean_run is None:
        return ""
    return f"on average after waiting {span(jobs.mean_wait)} and running {span(jobs.mean_run)}"


def _stuck(report: "Report", style: Style) -> list[str]:
    rows = []
    for job in report.figures.stuck:
        why = style("its process is silent", "bad") if job.abandoned else style("runs for long", "warn")
        since = span(report.now - job.since)
        rows.append((str(job.key), job.kind, shorten(job.subject, 36), since, str(job.attempts), job.process, why))
    return _titled(("JOB", "KIND", "TASK", "SINCE", "ATTEMPT", "PROCESS", "WHY"), rows, style, right=(0, 4))


def _waiting(report: "Report", style: Style) -> list[str]:
    rows = []
    for one in report.figures.waiting:
        left = "-" if one.expires is None else f"in {span(max(one.expires - report.now, 0))}"
        since = span(report.now - one.since)
        rows.append((str(one.key), shorten(one.task, 36), shorten(one.agent, 24), since, left, one.tool))
    titles, *shown = listing((("KEY", "TASK", "AGENT", "SINCE", "EXPIRES", "TOOL"), *rows), right=(0,), indent=2)
    lines = [*(style(line, "dim") for line in titles), *chain.from_iterable(shown)]
    return lines + _rest(report.figures.approvals, len(rows), style)


def _dead(report: "Report", style: Style) -> list[str]:
    from hector.cli.dlq import table  # noqa: PLC0415

    return table(report.dead, report.now, style, indent=2) + _rest(report.jobs.dead, len(report.dead), style)


def _rest(total: int, shown: int, style: Style) -> list[str]:
    return [style(f"and {total - shown:,} more", "dim")] if total > shown else []


def _stored(report: "Report", style: Style) -> list[str]:
    found = report.figures
    tasks = sum(found.tasks.values())
    states = ", ".join(f"{number:,} {state}" for state, number in sorted(found.tasks.items()))
    ended = ", ".join(f"{number:,} {state}" for state, number in sorted(found.ended.items()))
    rows = [
        ("sessions", f"{found.sessions:,}", f"+{found.new_sessions:,} in the last day"),
        ("events", f"{found.events:,}", ""),
        ("tasks", f"{tasks:,}", f"+{found.new_tasks:,} in the last day{f'; {states}' if states else ''}"),
        ("jobs ended", f"{sum(found.ended.values()):,}", f"in the last day{f': {ended}' if ended else ''}"),
    ]
    return columns([(name, number, style(more, "dim")) for name, number, more in rows], right=(1,))


def _retention(report: "Report", style: Style) -> list[str]:
    kept, due = report.settings, report.due
    rows = [
        ("sessions", _kept(kept.sessions), f"{due.sessions:,} with {due.events:,} events", due.sessions),
        ("jobs", _kept(kept.jobs), f"{due.jobs:,}", due.jobs),
        ("dead letters", _kept(kept.dead_letters), f"{due.dead_letters:,}", due.dead_letters),
    ]
    shown = [
        (name, rule, style(f"{what} due now" if any_ else "nothing due", "dim")) for name, rule, what, any_ in rows
    ]
    return columns(shown)


def _kept(seconds: float) -> str:
    return f"kept for {span(seconds)}" if seconds else "kept for ever"


def _titled(
    titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], style: Style, right: tuple[int, ...] = ()
) -> list[str]:
    lines = columns([titles, *rows], right)
    return [style(lines[0], "dim"), *lines[1:]]
