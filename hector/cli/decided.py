"""Past decisions about calls of tools, laid out for people."""

from collections.abc import Sequence
from itertools import chain

from hector.agents.approval import legible
from hector.cli.layout import Style, listing, plain, span
from hector.observe.redact import redact
from hector.store.approvals import Approval


def table(approvals: Sequence[Approval], now: float, style: Style) -> list[str]:
    """A line per call, or two where the terminal is narrow; below it what whoever decided has said."""
    if not approvals:
        return ["nothing was decided yet"]
    rows = [("TASK", "CALL", "DECISION", "AGO", "BY", "TOOL AND ARGUMENTS")]
    for one in approvals:
        ago = "-" if one.decided is None else span(now - one.decided)
        by = plain(redact(one.decided_by or "-"))
        text = f"{one.tool} {redact(legible(one.args))}"
        rows.append((plain(one.task_id), plain(one.call_id), one.state.value, ago, by, text))
    titles, *shown = listing(rows)
    pairs = zip(approvals, shown, strict=True)
    return [
        *(style(line, "dim") for line in titles),
        *chain.from_iterable([*lines, *_said(one)] for one, lines in pairs),
    ]


def _said(one: Approval) -> list[str]:
    return [f'    "{plain(redact(one.comment))}"'] if one.comment else []
