"""Patterns give what Python's own expressions give, in a time that grows with the text alone."""

import random
import re

import pytest

from hector.core.errors import ToolError
from hector.tools.files import linear
from hector.tools.files.linear import Pattern

ATOMS = ("a", "b", "c", ".", r"\d", r"\w", r"\W", "[ab]", "[^a]", "[a-c1]", r"\b", r"\B", "^", "$", r"\.", "A", "(?:)")
REPEATS = ("*", "+", "?", "{2}", "{1,3}", "{0,2}", "{1,}", "*?", "+?")


def made(chance: random.Random, depth: int = 0) -> str:
    """Any pattern."""
    kind = chance.random()
    if depth > 3 or kind < 0.35:
        return chance.choice(ATOMS)
    if kind < 0.55:
        return made(chance, depth + 1) + made(chance, depth + 1)
    if kind < 0.7:
        return f"(?:{made(chance, depth + 1)}|{made(chance, depth + 1)})"
    inner = made(chance, depth + 1)
    return f"(?:{inner}){chance.choice(REPEATS)}" if kind < 0.9 else f"({inner})"


@pytest.mark.proves("tools.filetool")
def test_the_same_as_pythons_own() -> None:
    chance = random.Random(7)
    for _ in range(400):
        pattern, ignore_case = made(chance), chance.random() < 0.3
        own, mine = re.compile(pattern, re.IGNORECASE if ignore_case else 0), Pattern(pattern, ignore_case=ignore_case)
        for _ in range(6):
            text = "".join(chance.choice("abcA1. ") for _ in range(chance.randrange(1, 9)))
            assert mine.found_in(text) == bool(own.search(text)), (pattern, text, ignore_case)


@pytest.mark.proves("tools.filetool")
@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("def \\w+\\(", "    def name(self):", True),
        ("(?i)ERROR", "an error", True),
        ("caf\u00e9", "un CAF\u00c9", False),
        ("(?i)caf\u00e9", "un CAF\u00c9", True),
        ("a{,3}", "a{,3}", True),
        ("{", "{", True),
        ("[]a]", "]", True),
        ("[a-]", "-", True),
        ("\\x41\\u00e9", "A\u00e9", True),
        ("(?P<name>x)y", "xy", True),
        ("plain text", "some plain text here", True),
        ("x|", "anything", True),
    ],
)  # fmt: skip
def test_what_patterns_mean(pattern: str, text: str, fits: bool) -> None:
    assert Pattern(pattern).found_in(text) is fits


@pytest.mark.proves("security.files")
def test_a_pattern_that_has_ever_new_sets_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "MOST_SECONDS", 0.2)
    chance = random.Random(7)
    text = "".join(chance.choice("ab") for _ in range(200_000))
    with pytest.raises(ToolError, match="takes too long"):
        Pattern("[ab]*a[ab]{500}c").found_in(text)
