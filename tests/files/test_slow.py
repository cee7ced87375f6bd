"""Arguments that are chosen to keep the process busy: each comes to an end within the blink of an eye."""

import time
from collections.abc import Callable

import pytest

from hector.core.errors import ToolError
from hector.tools.files import edit, patch
from hector.tools.files.linear import Pattern
from hector.tools.files.offer import files_of
from hector.tools.files.places import places
from hector.tools.files.searching import fits

BRACES = "".join("{" + ",".join("abcdefghij" * 2) + "}" for _ in range(6))
MANY_FILES = "".join(f"--- a/f{n}\n+++ b/f{n}\n@@\n+x\n" for n in range(40_000))
NEARLY = "--- a/f\n+++ b/f\n@@\n" + "-a\n" * 150_000 + "-b\n"
MANY_HUNKS = "--- a/f\n+++ b/f\n" + "@@ -1 +1 @@\n-a\n+b\n" * 40_000
BLANKS = "--- a/f\n+++ b/f\n@@\n x\n" + " \n" * 100_000
SECONDS = 6.0


def applied(diff: str, text: str) -> str:
    return patch.apply(patch.parse(diff)[0], text)


@pytest.mark.proves("security.files")
@pytest.mark.parametrize(
    "work",
    [
        lambda: fits(BRACES),
        lambda: patch.parse(MANY_FILES),
        lambda: applied(NEARLY, "a\n" * 400_000),
        lambda: applied(MANY_HUNKS, "a\n" * 50_000),
        lambda: applied(BLANKS, "x\ny\n" + "a\n" * 50_000),
        lambda: Pattern("a" + "*" * 1900),
        lambda: Pattern("(((a{0}){1000}){1000}){1000}"),
        lambda: Pattern("((((){1000}){1000}){1000}){1000}"),
        lambda: edit.replace(" a\n" * 19_000, "a\n" * 9_000 + "b", "x"),
        lambda: edit.replace("\n".join(["ab" * 250] * 20_000), "ba" * 249 + "c", "x"),
    ],
    ids=["braces", "files", "nearly", "hunks", "blanks", "stars", "nothing", "empty", "white", "alike"],
)
def test_it_is_refused_soon(work: Callable[[], object]) -> None:
    begun = time.thread_time()
    with pytest.raises(ToolError):
        work()
    assert time.thread_time() - begun < SECONDS


def test_rules_look_at_a_patch_of_many_files_in_no_time() -> None:
    begun = time.thread_time()
    assert files_of(("/x",), {"patch": MANY_FILES}) == []
    assert time.thread_time() - begun < SECONDS


@pytest.mark.parametrize(
    ("lines", "wanted", "first", "found"),
    [
        ("abcabc", "abc", 0, [0, 3]),
        ("abcabc", "abc", 1, [3]),
        ("aaaa", "aa", 0, [0, 1, 2]),
        ("ababac", "abac", 0, [2]),
        ("aabaaab", "aaab", 0, [3]),
        ("abc", "d", 0, []),
        ("ab", "abc", 0, []),
        ("", "a", 0, []),
    ],
)
def test_where_lines_stand(lines: str, wanted: str, first: int, found: list[int]) -> None:
    assert places(lines, wanted, first) == found
