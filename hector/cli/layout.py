"""How commands show facts: aligned columns, sizes and times for people, colours where a terminal shows them."""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, TextIO

from hector.observe.redact import redact

_RESET: Final = "\033[0m"
_STYLES: Final = {
    "good": "\033[38;2;16;185;129m",
    "warn": "\033[33m",
    "bad": "\033[31m",
    "dim": "\033[2m",
    "bold": "\033[1m",
}
_ESCAPES: Final = re.compile(r"\033\[[0-9;]*m")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
"""Also what turns the order of letters around, which makes a name look like another one."""
_BESIDE: Final = 40
"""Columns that a long text wants to have beside others; with less it goes below them."""
_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


class Style:
    """Puts colours around texts, or leaves them plain."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Coloured if `stream` (standard output) is a terminal and NO_COLOR is not set."""
        out = sys.stdout if stream is None else stream
        self.coloured = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def __call__(self, text: object, *names: str) -> str:
        """`text` in the named styles: good, warn, bad, dim, bold."""
        if not (self.coloured and names and text):
            return str(text)
        return "".join(_STYLES[name] for name in names) + str(text) + _RESET


def width_of(text: str) -> int:
    """Characters that are seen."""
    return len(_ESCAPES.sub("", text))


def columns(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """The rows as lines whose cells stand below each other; `right` numbers the columns that are set flush right."""
    widths = [max(map(width_of, cells)) for cells in zip(*rows, strict=True)]
    flush = set(right)
    return ["  ".join(_cell(cell, widths[at], at in flush) for at, cell in enumerate(row)).rstrip() for row in rows]


def listing(rows: Sequence[Sequence[str]], right: Iterable[int] = (), indent: int = 0) -> list[list[str]]:
    """The lines of each row, whose last cell is one long text, cut to fit the terminal.

    Where too little is left beside the other cells, it stands on a line of its own below them. `indent`: columns that
    somebody else puts in front.
    """
    heads = columns([row[:-1] for row in rows], right)
    texts = [row[-1] for row in rows]
    used, width = max(map(width_of, heads)) + 2, terminal_width() - indent
    if width - used >= min(_BESIDE, max(map(len, texts))):
        pairs = zip(heads, texts, strict=True)
        return [[head + " " * (used - width_of(head)) + shorten(text, width - used)] for head, text in pairs]
    return [[head, f"    {shorten(text, max(width - 4, 24))}"] for head, text in zip(heads, texts, strict=True)]


def _cell(text: str, width: int, right: bool) -> str:
    blank = " " * (width - width_of(text))
    return blank + text if right else text + blank


def shorten(text: str, limit: int) -> str:
    """One line of at most `limit` characters, without control characters, which could play with the terminal."""
    line = _CONTROL.sub(" ", text).strip()
    return line if len(line) <= limit else line[: max(limit - 1, 0)].rstrip() + "…"


def plain(text: str) -> str:
    """Whole, on one line, without control characters."""
    return _CONTROL.sub(" ", text).strip()


def terminal_width() -> int:
    """Columns of the terminal; much for a pipe, where nothing needs to be cut."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 400


def size(octets: float) -> str:
    """Bytes for people: 512 B, 1.5 KiB, 12.0 MiB."""
    value, unit = float(octets), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def span(seconds: float) -> str:
    """A length of time for people, in its two largest units: 12 ms, 4.2 s, 3 min 5 s, 2 d 4 h."""
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    rest = round(seconds)
    parts: list[str] = []
    for length, unit in _STEPS:
        number, rest = divmod(rest, length)
        if number or parts:
            parts.append(f"{number} {unit}" if number else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))


def moment(seconds: float) -> str:
    """A time in UTC: 2025-10-28 10:30:00Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def count(number: int, noun: str) -> str:
    """1 task, 2,000 tasks, 3 entries."""
    many = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun if number == 1 else many}"


def as_json(value: object) -> str:
    """Indented, without any secret that is known."""
    return redact(json.dumps(value, ensure_ascii=False, indent=2))
