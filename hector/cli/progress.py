"""How far something long has come: a bar on a terminal, now and then a line everywhere else."""

import shutil
import sys
import time
from types import TracebackType
from typing import Final, Self, TextIO

from hector.cli.layout import span

_BAR: Final = 28
_REDRAW: Final = 0.1
_LINES: Final = 10.0
"""Seconds between two lines where there is no terminal."""


class Progress:
    """A context manager: `begin` what there is to do, `advance` as it gets done; the bar is gone at the end.

    Shown on standard error, so that standard output holds results alone. May be advanced from another thread than the
    one that made it, though not from two at once.
    """

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._total = 0
        self._unit = ""
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._done = 0
        self._began = self._shown = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            self._put("\r\033[K")

    def advance(self, by: int = 1) -> None:
        """So much more is done."""
        self._done += by
        now = time.monotonic()
        if now - self._shown < (_REDRAW if self._terminal else _LINES):
            return
        self._shown = now
        if self._terminal:
            self._draw()
        else:
            self._put(f"{self._title}: {self._figures()}\n")

    def begin(self, title: str, total: int, unit: str) -> None:
        """Turn to the next thing: `total` of it, in `unit`s (a plural); 0 where nobody knows how much."""
        self._title, self._total, self._unit, self._done = title, total, unit, 0
        self._began = time.monotonic()
        if self._terminal:
            self._draw()

    def _draw(self) -> None:
        """As much as fits: the time that is left goes first, then the bar."""
        room = shutil.get_terminal_size((80, 24)).columns - 1
        figures, bar = self._figures(), self._bar()
        lines = (f"{self._title}  {bar}{figures}{self._left()}", f"{self._title}  {bar}{figures}")
        line = next((line for line in lines if len(line) <= room), f"{self._title}  {figures}"[:room])
        self._put(f"\r{line}\033[K")

    def _bar(self) -> str:
        if not self._total:
            return ""
        full, empty = ("█", "░") if "utf" in (self._stream.encoding or "").lower() else ("#", ".")
        filled = min(round(_BAR * self._done / self._total), _BAR)
        return full * filled + empty * (_BAR - filled) + "  "

    def _figures(self) -> str:
        if not self._total:
            return f"{self._done:,} {self._unit}" if self._unit else ""
        share = min(100 * self._done // self._total, 100)
        return f"{share:3} %  {self._done:,} of {self._total:,} {self._unit}"

    def _left(self) -> str:
        spent = time.monotonic() - self._began
        if spent < 2 or not 0 < self._done < self._total:
            return ""
        seconds = max(round(spent * (self._total - self._done) / self._done), 1)
        return f"  {seconds} s left" if seconds < 60 else f"  {span(seconds)} left"

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
