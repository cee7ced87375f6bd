"""Ways out of the folder, each tried with every tool that takes a path. None may read or change anything outside."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hector.tools.files.names import is_secret
from tests.files.conftest import SECRET, Desk

Make = Callable[..., Desk]
READS = ("read_file", "text_editor view", "grep_search", "list_files")
WRITES = ("write_file", "text_editor create", "search_replace", "text_editor insert", "apply_patch", "undo")
OUT = "{outside}/secret.md"
PATHS = (
    "..", "../work2/secret.md", "a/../../work2/secret.md", "a/b/../../../work2/secret.md", "./../work2/secret.md",
    ".//..//work2/secret.md", "a/./../../work2/secret.md", "{root}/../work2/secret.md", "{root}2/secret.md",
    "{outside}/secret.md", "{outside}", "/etc/passwd", "/etc/shadow", "/", "//etc/passwd", "///etc/passwd",
    "/proc/self/environ", "/proc/self/root/etc/passwd", "/proc/self/cwd", "/proc/1/environ", "/proc/self/fd/0",
    "/dev/zero", "/dev/stdin", "/sys/kernel", "~", "~/.ssh/id_rsa", "~root/.bashrc", "$HOME/x/../..",
    "..\\work2\\secret.md", "a\\..\\..\\work2\\secret.md", "C:\\Windows\\win.ini", "\\\\server\\share",
    "../work2/secret.md\x00.txt", "\x00", "a\n/../../x", "\x1b[2J", "file:///etc/passwd/../..", "/etc/passwd\x00",
    "%2e%2e/work2/secret.md/../..", "....//....//x/../../..", "a/" * 70 + "x", "x" * 300, "x/" + "y" * 5000,
    "\udcff/x", "{root}/./../work2/secret.md", "{root}/a/../../work2/secret.md", "a/..", "a/../..", "../",
    " ", "", "../work/../work2/secret.md", "\u2025/work2/../..", "\uff0e\uff0e/x/../..",
    "link/secret.md", "linkfile", "inner", "inner/f", "loop", "loop/x", "abs/etc/passwd", "chain/secret.md",
    "a/link/secret.md", "up/work2/secret.md", "here/../../work2/secret.md", "dangling", "procs/self/environ",
    "hard", "a/hard", "pipe", "socket",
)  # fmt: skip
HIDDEN = (
    ".env", ".ENV", ".Env.local", "a/.env", ".env.production", "prod.env", "\uff0eenv", ".e\uff4ev", ".env.", ".env ",
    "id_rsa", "ID_RSA", "keys/server.pem", "server.KEY", ".ssh/config", ".SSH/known_hosts", ".aws/credentials",
    ".git-credentials", ".netrc", ".npmrc", ".pypirc", ".pgpass", ".docker/config.json", ".kube/config", ".htpasswd",
    "secrets.yaml", "secrets/x.txt", "service-account-1.json", "store.p12", ".hector/hector.db", ".hector/undo/x",
    "hector.db", "hector.db-wal", "terraform.tfstate", "prod.tfvars", "vault.kdbx",
)  # fmt: skip
FIXED = (
    ".git/hooks/pre-commit", ".git/config", ".GIT/config", ".hg/hgrc", "a/.git/hooks/x", ".svn/x", "con", "NUL.txt",
    "a/aux", "com1.log", "x.", "x ", "a\u202etxt.exe", "zero\u200bwidth", "lpt1", " x",
)  # fmt: skip


def attempt(desk: Desk, how: str, path: str) -> str:
    """One call; what it answers."""
    tool, _, command = how.partition(" ")
    match tool:
        case "read_file" | "list_files":
            return desk(tool, path=path)
        case "grep_search":
            return desk(tool, path=path, pattern=".")
        case "write_file":
            return desk(tool, path=path, content="PWNED", backup=True)
        case "search_replace":
            return desk(tool, path=path, old_string="outside", new_string="PWNED", create_backup=True)
        case "apply_patch":
            return desk(tool, patch=f"--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-{SECRET}\n+PWNED\n")
        case "undo":
            return desk("text_editor", command="undo_edit", path=path)
        case _:
            extra: dict[str, dict[str, Any]] = {
                "create": {"file_text": "PWNED"},
                "insert": {"insert_line": 0, "new_str": "PWNED"},
            }
            return desk(tool, command=command, path=path, **extra.get(command, {}))


@pytest.fixture
def trapped(desk: Make, tmp_path: Path) -> Iterator[Desk]:
    """A folder full of ways out."""
    import socket

    one = desk(undo=None)
    one.put("a/b/c.txt", "c")
    for name, target in {
        "link": one.outside, "linkfile": one.outside / "secret.md", "inner": Path("a/b"), "loop": Path("loop"),
        "abs": Path("/"), "chain": Path("link"), "a/link": Path("../../work2"), "up": Path(".."), "here": Path("."),
        "dangling": one.outside / "new.txt", "procs": Path("/proc"),
    }.items():  # fmt: skip
        (one.root / name).symlink_to(target)
    for name in ("hard", "a/hard"):
        os.link(one.outside / "secret.md", one.root / name)
    os.mkfifo(one.root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(one.root)
        try:
            listening.bind("socket")
        finally:
            os.chdir(here)
        yield one


def state(folder: Path) -> dict[str, bytes]:
    """Every file below, with its content."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.mark.proves("security.files")
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.encode("unicode_escape")[:40].decode())
def test_no_path_leads_out(trapped: Desk, path: str) -> None:
    written = path.format(root=trapped.root.resolve(), outside=trapped.outside.resolve())
    before = state(trapped.outside), state(trapped.root)
    for how in READS:
        answer = attempt(trapped, how, written)
        assert answer.startswith("error: "), (how, answer)
        assert SECRET not in answer
        assert "root:x" not in answer
    for how in WRITES:
        answer = attempt(trapped, how, written)
        assert answer.startswith("error: "), (how, answer)
        assert "PWNED" not in answer
    assert (state(trapped.outside), state(trapped.root)) == before, "nothing has changed, and nothing was left behind"


@pytest.mark.proves("security.files")
def test_searches_do_not_wander_out(trapped: Desk) -> None:
    for answer in (
        trapped("grep_search", pattern="nobody"), trapped("list_files", recursive=True), trapped("list_files"),
        trapped("text_editor", command="view", path="."), trapped("grep_search", pattern="root:"),
    ):  # fmt: skip
        assert SECRET not in answer
        assert "secret.md" not in answer
        assert "passwd" not in answer


@pytest.mark.proves("security.files")
@pytest.mark.parametrize("path", HIDDEN, ids=ascii)
def test_secrets_are_neither_shown_nor_written(desk: Make, path: str) -> None:
    one = desk()
    file = one.put(path, SECRET)
    one.put("plain.txt", "nothing")
    for how in (*READS, *WRITES):
        answer = attempt(one, how, path)
        assert answer.startswith("error: "), (how, answer)
        assert SECRET not in answer
    assert SECRET not in one("grep_search", pattern="nobody")
    assert file.read_text() == SECRET


@pytest.mark.proves("security.files")
def test_what_looks_like_a_secret_and_is_none(desk: Make) -> None:
    one = desk(allow=("*.pem", "docs/secrets/*"), deny=("*.sql", "private/*"))
    for path in (
        ".env.example",
        "cert.pem",
        "docs/secrets/readme.md",
        "secrets.py",
        "env.md",
        "environment",
        "monkey.py",
    ):
        one.put(path, "fine")
        assert one("read_file", path=path).endswith("fine"), path
    for path in ("dump.SQL", "private/note.md", "a/../private/x"):
        assert one("write_file", path=path, content="x").startswith("error: "), path
    assert is_secret((".env.example",), deny=(".env*",)), "what is denied is denied"


@pytest.mark.proves("security.files")
@pytest.mark.parametrize("path", FIXED, ids=ascii)
def test_nothing_is_written_where_other_programs_would_run_it(desk: Make, path: str) -> None:
    one = desk()
    for how in ("write_file", "text_editor create", "apply_patch"):
        assert attempt(one, how, path).startswith("error: "), how
    assert state(one.root) == {}


@pytest.mark.proves("security.files")
def test_folders_of_the_system_are_none(desk: Make) -> None:
    """Even where the root holds them all."""
    from hector.tools.files.offer import offer
    from hector.tools.files.workspace import Settings

    one = desk()
    one.offer = offer({"read_file": "read_file", "list_files": "list_files"}, Settings(("/",)))
    for path in ("/proc/self/environ", "/proc/1/cmdline", "proc/self/maps", "/sys/kernel/notes", "/dev/null"):
        assert one("read_file", path=path).startswith("error: "), path
    assert one("list_files", path="/proc").startswith("proc holds nothing")
    assert one("read_file", path="/proc/self/root/etc/hostname").startswith("error: ")


@contextmanager
def swapping(swap: Callable[[], None]) -> Iterator[None]:
    """Let a thread do this over and over."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with suppress(OSError):
                swap()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


@pytest.mark.proves("security.files")
@pytest.mark.parametrize("how", ["read_file", "write_file", "search_replace", "grep_search", "text_editor create"])
def test_a_folder_that_becomes_a_link_meanwhile(desk: Make, how: str) -> None:
    one = desk(undo=None)
    one.put("dir/secret.md", "inside")
    link = one.root / "way-out"
    link.symlink_to(one.outside)

    def swap() -> None:
        os.rename(one.root / "dir", one.root / "aside")
        os.rename(link, one.root / "dir")
        os.rename(one.root / "dir", link)
        os.rename(one.root / "aside", one.root / "dir")

    with swapping(swap):
        for _ in range(60):
            assert SECRET not in attempt(one, how, "dir/secret.md")
    assert state(one.outside) == {str(one.outside / "secret.md"): SECRET.encode()}


@pytest.mark.proves("security.files")
@pytest.mark.parametrize("how", ["read_file", "write_file", "search_replace", "undo"])
def test_a_file_that_becomes_a_link_meanwhile(desk: Make, how: str) -> None:
    one = desk(undo=None)
    file, link = one.put("f.md", "inside"), one.root / "way-out"

    def swap() -> None:
        link.symlink_to(one.outside / "secret.md")
        os.replace(link, file)
        file.unlink()
        file.write_text("outside, but inside")

    with swapping(swap):
        for _ in range(60):
            assert SECRET not in attempt(one, how, "f.md")
    assert (one.outside / "secret.md").read_text() == SECRET


@pytest.mark.proves("security.files")
def test_a_write_never_leaves_half_a_file(desk: Make) -> None:
    one = desk(undo=None)
    one.put("f", "a" * 50_000)
    seen: set[str] = set()

    def look() -> None:
        seen.add((one.root / "f").read_text()[-1:] + str((one.root / "f").stat().st_size))

    with swapping(look):
        for number in range(60):
            one("write_file", path="f", content="ab"[number % 2] * 50_000)
    assert {size[1:] for size in seen} == {"50000"}


@pytest.mark.proves("security.files")
def test_patterns_of_models_take_no_more_time_than_the_text(desk: Make) -> None:
    one = desk()
    one.put("f", "a" * 20_000 + "!\n")
    for pattern in ("(a+)+$", "^(a|a)*$", "(a|aa)+$", "(.*a){12}b", "a{1,500}b", "([a-z]+)*[A-Z]"):
        assert "nothing fits" in one("grep_search", pattern=pattern), pattern
    for pattern in (r"(a)\1", "(?=a)", "(?<!a)b", "a{1000}{1000}", "(" * 60, "*", "[z-a]", "(", "a{2,1}", r"\q"):
        assert one("grep_search", pattern=pattern).startswith("error: the pattern"), pattern
