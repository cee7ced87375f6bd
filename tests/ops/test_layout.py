"""How commands show facts, and how far something long has come."""

import io
import json
import sys

import pytest

from hector.cli.layout import Style, as_json, columns, count, listing, moment, plain, shorten, size, span
from hector.cli.progress import Progress
from hector.observe.redact import remember


class Terminal(io.StringIO):
    """A stream that says it is one."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Ascii(Terminal):
    """A terminal of old."""

    encoding = "ascii"


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (60, [["KEY  AGE  CAUSE"], ["  1  2 h  the model's server answered 503, and then nothing…"]]),
        (40, [["KEY  AGE", "    CAUSE"], ["  1  2 h", "    the model's server answered 503, an…"]]),
        (10, [["KEY  AGE", "    CAUSE"], ["  1  2 h", "    the model's server answ…"]]),
    ],
)
def test_a_long_text_stands_beside_the_rest_or_below_it(
    width: int, lines: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", str(width))
    text = "the model's server answered 503, and then nothing more"
    assert listing([("KEY", "AGE", "CAUSE"), ("1", "2 h", text)], right=(0,)) == lines
    indented = listing([("KEY", "AGE", "CAUSE"), ("1", "2 h", text)], right=(0,), indent=2)
    assert max(len(line) for row in indented for line in row) <= max(width - 2, 28)


def test_a_long_text_that_fits_stays_beside_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "20")
    assert listing([("KEY", "CAUSE"), ("1", "\x1b[31mred\n")]) == [["KEY  CAUSE"], ["1    [31mred"]]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"), (-1, "0 ms"), (0.0123, "12 ms"), (1, "1.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (60, "1 min"),
        (65, "1 min 5 s"), (3600, "1 h"), (3605, "1 h"), (7260, "2 h 1 min"), (86_400, "1 d"), (90_061, "1 d 1 h"),
        (90 * 86_400, "90 d"),
    ],
)  # fmt: skip
def test_a_length_of_time(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("octets", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 * 2**20, "5.0 MiB"), (2**50, "1024.0 TiB")],
)
def test_a_size(octets: int, text: str) -> None:
    assert size(octets) == text


def test_counts_and_moments() -> None:
    assert [count(1, "task"), count(2000, "task"), count(0, "entry")] == ["1 task", "2,000 tasks", "0 entries"]
    assert moment(1_700_000_000.9) == "2023-11-14 22:13:20Z"


def test_columns_stand_below_each_other_whatever_their_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    style = Style(Terminal())
    lines = columns([("KEY", "NAME"), (style("1", "bad"), "a"), ("22", style("bb", "dim"))], right=(0,))
    assert lines[0] == "KEY  NAME"
    assert lines[1] == "  \x1b[31m1\x1b[0m  a"
    assert lines[2] == " 22  \x1b[2mbb\x1b[0m"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_none_are_wanted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert Style(Terminal())("x", "bad") == "x"
    assert Style(io.StringIO())("x", "bad") == "x"


def test_texts_of_others_cannot_play_with_the_terminal() -> None:
    assert plain("a\x1b[2J\nb\r\x9bc") == "a [2J b c"
    assert shorten("a\nb" * 10, 8) == "a ba ba…"
    assert len(shorten("x" * 100, 10)) == 10
    assert shorten("short", 10) == "short"


def test_json_holds_no_secret() -> None:
    remember("canary-of-the-layout")
    assert json.loads(as_json({"a": "is canary-of-the-layout"})) == {"a": "is ***"}


@pytest.mark.proves("ops.progress")
class TestProgress:
    def test_a_bar_on_a_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = iter(range(0, 1000, 3))
        monkeypatch.setattr("hector.cli.progress.time.monotonic", lambda: next(now))
        monkeypatch.setenv("COLUMNS", "100")
        stream = Terminal()
        with Progress("backing up", stream) as progress:
            progress.begin("backing up", 2000, "rows")
            progress.advance(500)
            progress.advance(500)
        drawn = stream.getvalue().split("\r")
        assert drawn[1] == "backing up  " + "░" * 28 + "    0 %  0 of 2,000 rows\033[K"
        assert drawn[2].startswith("backing up  " + "█" * 7 + "░" * 21 + "   25 %  500 of 2,000 rows")
        assert " left" in drawn[2]
        assert drawn[-1] == "\033[K", "nothing of it stays"

    def test_it_is_drawn_rarely(self) -> None:
        stream = Terminal()
        with Progress("x", stream) as progress:
            progress.begin("x", 100_000, "rows")
            for _ in range(100_000):
                progress.advance()
        assert stream.getvalue().count("\r") < 50

    def test_it_fits_into_the_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "30")
        stream = Ascii()
        with Progress("x", stream) as progress:
            progress.begin("a long title", 10, "rows")
        assert len(stream.getvalue().split("\r")[1].removesuffix("\033[K")) == 29
        assert stream.getvalue().isascii()

    def test_lines_where_there_is_no_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = iter([0.0, 0.0, 1.0, 11.0, 12.0, 13.0])
        monkeypatch.setattr("hector.cli.progress.time.monotonic", lambda: next(now))
        stream = io.StringIO()
        with Progress("x", stream) as progress:
            progress.begin("removing", 0, "entries")
            for _ in range(3):
                progress.advance(1000)
        assert stream.getvalue() == "removing: 2,000 entries\n"
