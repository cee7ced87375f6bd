"""Patterns of paths, and ignore files."""

import os
import random
import subprocess
import time
from pathlib import Path

import pytest

from hector.rag.sources.choice import EMPTY, KEYS, NO_TEXT, NOT_MEANT, TOO_LARGE, Choice
from hector.rag.sources.globs import compiled
from hector.rag.sources.ignores import Ignores, parse


@pytest.mark.proves("rag.directory")
@pytest.mark.parametrize(
    ("pattern", "fits", "not_"),
    [
        ("**/*.md", ("a.md", "a/b.md", "a/b/c.md", "A/B.MD"), ("a.mdx", "a.md/x", "md")),
        ("*.md", ("a.md", "x/y/a.md", "README.MD"), ("a.txt", "a.md/x")),
        ("/*.md", ("a.md",), ("x/a.md",)),
        ("docs/**", ("docs/a", "docs/a/b"), ("docs", "x/docs/a", "Docs/a")),
        ("docs/*", ("docs/a",), ("docs/a/b", "docs")),
        ("docs/**/api/*.md", ("docs/api/a.md", "docs/x/y/api/a.md"), ("docs/api/x/a.md", "api/a.md")),
        ("**/drafts/**", ("drafts/a", "x/drafts/a/b"), ("draft/a", "drafts", "x/drafts2/a")),
        ("**/a/**/b/**/c", ("a/b/c", "x/a/x/b/x/x/c", "a/b/b/c"), ("a/c", "b/a/c")),
        ("a?c.t[xy]t", ("abc.txt", "q/a-c.tyt"), ("ac.txt", "a/c.txt", "abc.tzt")),
        ("[!a]*.md", ("b.md",), ("a.md",)),
        ("*.{md,rst}", ("a.md", "b/c.rst"), ("a.txt", "a.{md,rst}")),
        ("{a,b}/{c,d}.txt", ("a/c.txt", "b/d.txt"), ("c/a.txt",)),
        (r"a\*.md", ("a*.md",), ("ab.md",)),
        ("a+(b).md", ("a+(b).md",), ("aab.md",)),
        ("Ünïcödé/*.md", ("Ünïcödé/ß.md",), ("unicode/x.md",)),
        ("**", ("a", "a/b"), ()),
        ("*a*b*c", ("abc", "xaybzc", "x/aabbcc"), ("acb", "a/bc")),
    ],
)
def test_patterns_mean_what_they_say(pattern: str, fits: tuple[str, ...], not_: tuple[str, ...]) -> None:
    patterns = compiled((pattern,))

    assert [path for path in fits if not any(one.fits(path) for one in patterns)] == []
    assert [path for path in not_ if any(one.fits(path) for one in patterns)] == []


def test_no_pattern_takes_long() -> None:
    hostile = compiled(("*a*a*a*a*a*a*a*a*a*a*a*ab/**/*a*a*a*a*a*ab/**/x",))[0]

    begun = time.process_time()
    assert not hostile.fits("/".join(["a" * 200] * 12))
    assert time.process_time() - begun < 1


@pytest.mark.proves("rag.directory")
@pytest.mark.parametrize(
    ("include", "exclude", "path", "why"),
    [
        ((), (".*", "node_modules", "__pycache__", "vendor", ".git"), "docs/a.md", ""),
        ((), (".*", "node_modules", "__pycache__", "vendor", ".git"), "a/node_modules/b/c.md", NOT_MEANT),
        (("**/*.md",), ("**/node_modules/**",), "node_modules/x/readme.md", NOT_MEANT),
        (("**/*.md",), ("**/node_modules/**",), ".git/x.md", NOT_MEANT),
        (("docs",), (), "docs/a/b.txt", ""),
        (("docs",), (), "x/docs/b.txt", ""),
        (("docs",), (), "docs.txt", NOT_MEANT),
        (("docs/api",), (), "x/docs/api/b.txt", NOT_MEANT),
        ((), ("docs/*",), "docs/a/b.txt", NOT_MEANT),
        ((), (), ".hidden/a.md", NOT_MEANT),
        ((), (), ".env", KEYS),
        ((), (), "conf/Prod.ENV", KEYS),
        (("**/*",), (), "deploy/id_rsa.old", KEYS),
        (("*.json",), (), "credentials.json", KEYS),
        (("*.json",), (), "my-credentials-2.json", KEYS),
        ((), (), "guide/secrets.md", ""),
        ((), (), "src/secrets.py", ""),
        (("*.pem",), (), "ca.pem", ""),
        (("credentials.json",), (), "a/credentials.json", ""),
        (("*.md", ".env"), (), ".env", ""),
        ((".github/**", "*.md"), (".*", "node_modules", "__pycache__", "vendor", ".git"), ".github/x/a.md", ""),
        ((".github/**",), (), ".git/a.md", NOT_MEANT),
        ((".github/**",), (), ".github/.secret/a.md", NOT_MEANT),
        (("**/*",), (), ".ssh/config", NOT_MEANT),
        ((), (), "a.png", NO_TEXT),
        (("*.png", "*.md"), (), "a.PNG", ""),
        ((), (), "a.pdf", ""),
    ],
)
def test_what_is_a_document(include: tuple[str, ...], exclude: tuple[str, ...], path: str, why: str) -> None:
    assert Choice(include, exclude, 100).whole(path, 10) == why


def test_sizes_count() -> None:
    choice = Choice((), (), 100)

    assert [choice.whole("a.md", size) for size in (0, 1, 100, 101)] == [EMPTY, "", "", TOO_LARGE]


_STEPS = ("a", "b", "ab", "*", "**", "a*", "*.b", "?", "[ab]", "[!a]", "*a*", "a?", "\\*", "**a", "[]a]", "[a-c]")
_NAMES = ("a", "b", "ab", "a.b", "c.b", "*", "ba", "c", "A", ".a", "]")


@pytest.mark.parametrize("seed", range(3))
def test_ignore_files_are_read_as_git_reads_them(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    lines = ["# a remark", "", *(_line(chance) for _ in range(4)), "trailing  ", "\\!bang", "x\\ "]
    (tmp_path / ".gitignore").write_text("\n".join(lines))
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    paths = ["/".join(chance.choices(_NAMES, k=chance.randint(1, 4))) for _ in range(80)]
    files = {path for path in (*paths, "trailing", "!bang", "x ", "# a remark") if _made(tmp_path / path)}

    asked = "\0".join(files)
    told = subprocess.run(
        ["git", "-C", str(tmp_path), "check-ignore", "--stdin", "-z"],
        input=asked, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    rules = Ignores("", parse("\n".join(lines)))
    assert {path for path in files if _ignored(rules, path)} == set(told.split("\0")) - {""}


def _line(chance: random.Random) -> str:
    steps = "/".join(chance.choices(_STEPS, k=chance.randint(1, 3)))
    return chance.choice(["", "", "!"]) + chance.choice(["", "/"]) + steps + chance.choice(["", "", "/"])


def _made(path: Path) -> bool:
    try:
        os.makedirs(path.parent, exist_ok=True)
        path.touch(exist_ok=False)
    except OSError:
        return False
    return True


def _ignored(rules: Ignores, path: str) -> bool:
    steps = path.split("/")
    forms = (("/".join(steps[:count]), count < len(steps)) for count in range(1, len(steps) + 1))
    return any(rules.leaves_out(form, is_folder=is_folder) for form, is_folder in forms)
