"""What `hector doctor` prints: what is wrong first seen, then what to do about it."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from hector.cli.doctor_check import Check, State
from hector.cli.layout import Style, count, moment, plain, span, terminal_width, width_of

_WORDS: Final = {State.OK: "ok  ", State.WARN: "warn", State.FAIL: "FAIL", State.SKIP: "-   "}
_STYLES: Final = {State.OK: "good", State.WARN: "warn", State.FAIL: "bad", State.SKIP: "dim"}


def page(checks: Sequence[Check], head: Sequence[str], code: int, style: Style) -> Iterator[str]:
    """The lines. Groups stand in the order of their first check."""
    yield from head
    for group in dict.fromkeys(check.group for check in checks):
        yield ""
        yield style(group, "bold")
        mine = [check for check in checks if check.group == group]
        width = max(len(check.name) for check in mine)
        for check in mine:
            yield from _lines(check, width, style)
    yield ""
    yield summary(checks, code, style)


def _lines(check: Check, width: int, style: Style) -> Iterator[str]:
    where = f"{check.destination}  " if check.destination else ""
    head = f"  {style(_WORDS[check.state], _STYLES[check.state])}  {check.name.ljust(width)}  {where}"
    facts = style(_facts(check), "dim")
    said = plain(check.text) + (f"  {facts}" if facts else "")
    if width_of(head + said) <= terminal_width():
        yield head + said
    else:
        yield head.rstrip()
        yield f"        {said}"
    if check.remedy:
        yield f"        {style('->', 'dim')} {plain(check.remedy)}"


def _facts(check: Check) -> str:
    """How long the steps took, the way and the end of the certificate."""
    found = [f"via {check.via}"] if check.via else []
    found += [f"{name} {span(seconds)}" for name, seconds in check.took.items()]
    if check.expires is not None:
        found.append(f"certificate until {moment(check.expires)[:10]}")
    return f"({', '.join(found)})" if found else ""


def summary(checks: Sequence[Check], code: int, style: Style) -> str:
    """The last line."""
    failed = sum(check.state is State.FAIL for check in checks)
    warned = sum(check.state is State.WARN for check in checks)
    if not failed and not warned:
        return style("all is well", "good")
    parts = [count(failed, "failure")] if failed else []
    parts += [count(warned, "warning")] if warned else []
    return style(", ".join(parts), "bad" if failed else "warn") + (f" (exit code {code})" if code else "")


def facts(checks: Sequence[Check], head: Sequence[str], code: int, *, offline: bool) -> dict[str, Any]:
    """The same for programs; times in milliseconds."""
    return {
        "ok": code == 0,
        "exit_code": code,
        "offline": offline,
        "about": list(head),
        "checks": list(map(_fact, checks)),
    }


def _fact(check: Check) -> dict[str, Any]:
    found: dict[str, Any] = {"group": check.group, "name": check.name, "state": check.state.value, "text": check.text}
    texts = {"remedy": check.remedy, "destination": check.destination, "purpose": check.purpose, "via": check.via}
    found |= {name: text for name, text in texts.items() if text}
    if check.took:
        found["milliseconds"] = {name: round(seconds * 1000, 1) for name, seconds in check.took.items()}
    if check.expires is not None:
        found["certificate_until"] = moment(check.expires)
    return found
