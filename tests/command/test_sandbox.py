"""What commands reach at each level, tried by programs that want more than they may have."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hector.core.errors import ToolError
from hector.tools import sandbox
from hector.tools.command_policy import Plan
from hector.tools.command_run import Ended, Job, Watch, run
from hector.tools.sandbox import Bounds, Box, Level, best_level, trouble

ROOT = Path(__file__).parents[2]
PYTHON = os.path.realpath(sys.executable)
NEEDS = {level: pytest.mark.skipif(bool(trouble(level)), reason=trouble(level)) for level in ("landlock", "namespaces")}
KEPT: list[object] = [pytest.param(level, marks=mark) for level, mark in NEEDS.items()]
EVERY: list[object] = ["process", *KEPT]


def SLOW(value: object) -> object:  # noqa: N802 - a mark
    """A case that the default run leaves out."""
    return pytest.param(value, marks=pytest.mark.slow)


class Heard:
    """What a command said."""

    def __init__(self) -> None:
        self.out = ""
        self.came = asyncio.Event()

    def __call__(self, stream: str, text: str) -> None:
        self.out += text
        self.came.set()

    async def until(self, text: str) -> None:
        """Wait for a text."""
        async with asyncio.timeout(60):
            while text not in self.out:
                self.came.clear()
                await self.came.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


def job(folder: Path, level: Level, *words: str, seconds: float = 30.0, most: int = 10**6, **box: object) -> Job:
    """A program with its arguments, in a folder, at a level."""
    made = Box(level, str(folder), **{"read": (sys.base_prefix,), **box})  # type: ignore[arg-type]
    return Job(Plan(words[0], words), made, str(folder), ("/usr/bin", "/bin"), {}, seconds, most)


async def said(one: Job) -> tuple[Ended, str]:
    """How it ended, and what it said."""
    heard = Heard()
    async with asyncio.timeout(60):
        ended = await run(one, Watch(one.most_output, heard))
    return ended, heard.out


def script(text: str, *words: str) -> tuple[str, ...]:
    """A program in Python. Where it prints "reached", that stands in two pieces: an error may show its line."""
    return (PYTHON, "-I", "-S", "-c", text.replace("'reached'", "'rea' 'ched'"), *words)


def attempts(outside: Path, server: int, port: int) -> dict[str, tuple[str, ...]]:
    """Programs that print "reached" if they get what they want."""
    return {
        "the password file": script("print('reached' if open('/etc/shadow').read() else '')"),
        "a file outside": script(f"print('reached', open({str(outside)!r}).read())"),
        "a file outside by a detour": script(f"print('reached', open('../{outside.name}').read())"),
        "a file outside by a link": script(
            f"import os; os.symlink({str(outside)!r}, 'link'); print('reached', open('link').read())"
        ),
        "a hard link to outside": script(f"import os; os.link({str(outside)!r}, 'hard'); print('reached')"),
        "a folder outside": script(f"import os; print('reached' * ('secret' in os.listdir({str(outside.parent)!r})))"),
        "writing outside": script(f"open({str(outside)!r}, 'r+').write('x'); print('reached')"),
        "making a file outside": script(f"open({str(outside.parent / 'new')!r}, 'w')"),
        "removing a file outside": script(f"import os; os.remove({str(outside)!r}); print('reached')"),
        "moving a file outside": script(f"import os; os.rename({str(outside)!r}, 'here'); print('reached')"),
        "writing to the system": script("open('/usr/bin/hector-escape', 'w'); print('reached')"),
        "writing to /etc": script("open('/etc/hector-escape', 'w'); print('reached')"),
        "the server's environment": script(f"print('reached', open('/proc/{server}/environ').read())"),
        "the server's memory": script(f"open('/proc/{server}/mem', 'rb'); print('reached')"),
        "the server's command line": script(f"print('reached', open('/proc/{server}/cmdline').read())"),
        "the server's files": script(f"import os; print('reached', os.listdir('/proc/{server}/fd'))"),
        "the server's root": script(f"print('reached', open('/proc/{server}/root{outside}').read())"),
        "its own root's way out": script(f"print('reached', open('/proc/self/root/..{outside}').read())"),
        "killing the server": script(f"import os; os.kill({server}, 0); print('reached')"),
        "the server's limits": script(
            f"import resource; resource.prlimit({server}, resource.RLIMIT_NOFILE); print('reached')"
        ),
        "killing its parent": script("import os; os.kill(os.getppid(), 9); print('reached')"),
        "a connection": script(f"import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('reached')"),
        "a datagram": script(
            f"import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', {port})); print('reached')"
        ),
        "a raw socket": script("import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW); print('reached')"),
        "a socket of the kernel": script("import socket; socket.socket(socket.AF_NETLINK, 3); print('reached')"),
        "a socket in the file system": script("import socket; socket.socket(socket.AF_UNIX, 1); print('reached')"),
        "tracing": script(
            f"import ctypes; c = ctypes.CDLL(None); print('reached' if c.ptrace(16, {server}, 0, 0) == 0 else '')"
        ),
        "mounting": script(
            "import ctypes; c = ctypes.CDLL(None);"
            " print('reached' if c.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0 else '')"
        ),
        "joining a namespace": script(
            f"import ctypes, os; c = ctypes.CDLL(None); f = os.open('/proc/{server}/ns/net', 0);"
            " print('reached' if c.setns(f, 0) == 0 else '')"
        ),
        "another user": script("import os; os.setuid(12345); print('reached')"),
        "a device": script("import os; os.mknod('disk', 0o60600, os.makedev(8, 0)); print('reached')"),
        "the chroot": script("import os; os.mkdir('c'); os.chroot('c'); print('reached')"),
        "io_uring": script(
            "import ctypes; c = ctypes.CDLL(None); b = ctypes.create_string_buffer(120);"
            " print('reached' if c.syscall(425, 1, b) >= 0 else '')"
        ),
        "more limits": script("import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (-1, -1)); print('reached')"),
        "an own filesystem in a new namespace": script(
            "import ctypes; c = ctypes.CDLL(None); c.unshare(0x10020000);"
            " print('reached' if c.mount(b'none', b'/', None, 0x44000, None) == 0 else '')"
        ),
        "a hidden folder": script("import os; print('reached', open('.hector/key').read())"),
        "a hidden file": script("print('reached' * bool(open('.env').read()))"),
    }


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = int(listening.getsockname()[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", number))
            yield number


DRIVER = """
import json, os, subprocess, sys
for what, words in json.loads(open("attempts.json").read()).items():
    if os.fork() == 0:
        os.setsid()
        done = subprocess.run(words, capture_output=True, text=True)
        print(json.dumps([what, done.stdout]), flush=True)
        os._exit(0)
    os.wait()
"""
"""Tries one after the other; each has a parent of its own, which it may kill if it can."""


def prepared(folder: Path, port: int, *, hidden: bool) -> Path:
    """What there is to be reached, and who tries. Gives the secret outside."""
    outside = folder.parent / "secret"
    outside.write_text("private", encoding="utf-8")
    if hidden:
        (folder / ".hector").mkdir()
        (folder / ".hector/key").write_text("private", encoding="utf-8")
        (folder / ".env").write_text("private", encoding="utf-8")
    (folder / "attempts.json").write_text(json.dumps(attempts(outside, os.getpid(), port)), encoding="utf-8")
    return outside


@pytest.mark.proves("command.sandbox", "security.tool-sandbox", "command.hostile")
@pytest.mark.parametrize("level", KEPT)
@pytest.mark.parametrize("hidden", [True, False])
async def test_escapes_fail(level: Level, hidden: bool, folder: Path, port: int) -> None:
    outside = prepared(folder, port, hidden=hidden)
    ended, out = await said(job(folder, level, *script(DRIVER)))
    found = dict(json.loads(line) for line in out.splitlines())
    assert ended.code == 0
    assert found.keys() | {"killing its parent"} >= attempts(outside, 1, 1).keys()
    assert {what: text for what, text in found.items() if "reached" in text or "private" in text} == {}
    assert outside.read_text(encoding="utf-8") == "private"
    assert sorted(one.name for one in folder.parent.iterdir()) == ["secret", "work"]


@pytest.mark.proves("command.sandbox")
async def test_the_attempts_are_real(folder: Path, port: int) -> None:
    """Where nothing keeps them, they get what they want."""
    prepared(folder, port, hidden=True)
    _, out = await said(job(folder, "process", *script(DRIVER)))
    reached = {what for what, text in (json.loads(line) for line in out.splitlines()) if "reached" in text}
    assert reached >= {
        "a file outside", "a file outside by a detour", "a file outside by a link", "a hard link to outside",
        "a folder outside", "writing outside", "the server's command line", "killing the server", "a connection",
        "a datagram", "a socket in the file system", "a hidden folder", "a hidden file",
    }  # fmt: skip


@pytest.mark.proves("command.sandbox")
@pytest.mark.parametrize("level", KEPT)
async def test_a_command_cannot_end_what_watches_it(level: Level, folder: Path, port: int) -> None:
    ended, out = await said(job(folder, level, *attempts(folder, os.getpid(), port)["killing its parent"]))
    assert "reached" not in out
    assert ended.why == ""


@pytest.mark.proves("command.sandbox")
@pytest.mark.parametrize("level", KEPT)
async def test_ordinary_work_succeeds(level: Level, folder: Path) -> None:
    text = (
        "import os, subprocess, tempfile; open('made', 'w').write('x'); os.mkdir('d'); os.rename('made', 'd/moved');"
        "print(sorted(os.listdir('.'))); tempfile.NamedTemporaryFile().write(b'x');"
        "print(subprocess.run(['/bin/cat', 'd/moved'], capture_output=True).stdout, os.cpu_count() > 0);"
        "print(subprocess.run('echo a | tr a b; ls -d /usr', shell=True, capture_output=True, text=True).stdout)"
    )
    ended, out = await said(job(folder, level, *script(text)))
    assert (ended.code, ended.why) == (0, "")
    assert "['d']\nb'x' True\nb\n/usr\n" in out.replace("\r", "")
    assert (folder / "d/moved").read_text(encoding="utf-8") == "x"


@pytest.mark.proves("command.sandbox")
@pytest.mark.parametrize("level", EVERY)
async def test_a_command_inherits_nothing(level: Level, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-in-the-environment")
    monkeypatch.setenv("HECTOR_AUTH_SECRET", "canary-of-the-admin")
    with (folder / "open").open("w") as kept:
        os.set_inheritable(kept.fileno(), True)
        ended, out = await said(
            job(folder, level, *script("import os, sys; print(dict(os.environ), os.listdir('/proc/self/fd'),"
                                       " repr(sys.stdin.read()), os.getpgrp() == os.getsid(0) == os.getpid())"))
        )  # fmt: skip
    assert ended.code == 0
    assert "canary" not in out
    assert "['0', '1', '2', '3'] '' True" in out


@pytest.mark.proves("command.sandbox")
async def test_network_can_be_allowed(folder: Path, port: int) -> None:
    level = best_level()
    wanted = script(f"import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('reached')")
    _, out = await said(job(folder, level, *wanted, network=True))
    assert "reached" in out


@pytest.mark.proves("command.sandbox")
async def test_folders_can_be_opened(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "books").mkdir()
    (tmp_path / "books/a").write_text("a book", encoding="utf-8")
    wanted = script(f"print(open({str(tmp_path / 'books/a')!r}).read()); open({str(tmp_path / 'books/b')!r}, 'w')")
    _, out = await said(job(folder, best_level(), *wanted, read=(sys.base_prefix, str(tmp_path / "books"))))
    assert "a book" in out
    assert not (tmp_path / "books/b").exists()


@pytest.mark.proves("command.sandbox")
def test_the_sandbox_needs_no_rights(folder: Path) -> None:
    """As a user who may do nothing in particular, in a process of its own."""
    if os.geteuid() != 0 or not os.path.exists("/usr/bin/python3"):
        pytest.skip("tests run without rights already, or there is no Python that others may run")
    text = "from hector.tools.sandbox import *; print(*(f'{level}:{trouble(level)}' for level in LEVELS), sep='\\n')"
    found = subprocess.run(
        ["/usr/bin/python3", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {text}"],
        capture_output=True, text=True, cwd="/", user=65534, group=65534, extra_groups=[], timeout=60, check=False,
    )  # fmt: skip
    assert found.stdout.splitlines() == [f"{level}:{trouble(level)}" for level in ("none", *("process", *NEEDS))], found


@pytest.mark.proves("command.sandbox", "security.tool-sandbox")
@pytest.mark.parametrize("level", KEPT)
def test_escapes_fail_without_rights_too(level: Level, port: int) -> None:
    """The whole chain as a user who may do nothing in particular, in a folder of its own."""
    if os.geteuid() != 0 or not os.path.exists("/usr/bin/python3"):
        pytest.skip("tests run without rights already, or there is no Python that others may run")
    with tempfile.TemporaryDirectory(prefix="hector-nobody-") as place:
        folder = Path(place) / "work"
        folder.mkdir()
        outside = prepared(folder, port, hidden=False)
        tried = attempts(outside, os.getpid(), port)
        tried = {what: ("/usr/bin/python3", *words[1:]) for what, words in tried.items()}
        (folder / "attempts.json").write_text(json.dumps(tried), encoding="utf-8")
        for path in (Path(place), folder, outside, folder / "attempts.json"):
            os.chown(path, 65534, 65534)
        words = json.dumps(["/usr/bin/python3", "-I", "-S", "-c", DRIVER])
        found = subprocess.run(
            ["/usr/bin/python3", "-m", "tests.command.server", level, str(folder), words],
            capture_output=True, text=True, cwd=ROOT, user=65534, group=65534, extra_groups=[], timeout=60, check=False,
        )  # fmt: skip
        said = dict(json.loads(line) for line in found.stdout.splitlines())
        assert len(said) >= len(tried) - 1, found
        assert {what: text for what, text in said.items() if "reached" in text or "private" in text} == {}
        assert outside.read_text(encoding="utf-8") == "private"


LIMITS: list[tuple[str, str, Bounds]] = [
    ("memory", "b'x' * (600 * 2**20)", Bounds(memory=256 * 2**20)),
    ("file size", "open('big', 'wb').write(b'x' * (2 * 2**20))", Bounds(file_size=2**20)),
    ("open files", "[open('/dev/null') for _ in range(100)]", Bounds(open_files=32)),
    ("processes", "import subprocess, time; [subprocess.Popen(['/bin/sleep', '60']) for _ in range(60)]; time.sleep(5)",
     Bounds(processes=20)),
]  # fmt: skip


@pytest.mark.proves("command.limits")
@pytest.mark.parametrize("level", EVERY)
@pytest.mark.parametrize(("what", "text", "bounds"), LIMITS, ids=[row[0] for row in LIMITS])
async def test_limits_hold(level: Level, what: str, text: str, bounds: Bounds, folder: Path) -> None:
    ended, out = await said(job(folder, level, *script(f"{text}; print('reached')"), bounds=bounds))
    assert "reached" not in out
    assert ended.code != 0
    assert not (folder / "big").exists() or (folder / "big").stat().st_size <= 2**20


@pytest.mark.proves("command.limits", "command.max-time")
@pytest.mark.parametrize("level", EVERY)
async def test_time_and_output_end_a_command(level: Level, folder: Path) -> None:
    slow, _ = await said(job(folder, level, "/bin/sleep", "60", seconds=0.5))
    assert (slow.why, slow.seconds < 10) == ("timeout", True)
    loud, out = await said(job(folder, level, "/usr/bin/yes", most=10_000))
    assert loud.why == "output"
    assert len(out) < 200_000


FAMILY = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setpgid(0, 0)
            open(f"pid{os.getpid()}", "w").close()
            time.sleep(300)
        time.sleep(300)
print("ready", flush=True)
%s
"""


async def settled(folder: Path, marker: str) -> None:
    """Wait until no process is left that works in the folder."""
    async with asyncio.timeout(60):
        while found := left(str(folder), marker):
            await asyncio.sleep(0.05)
            assert found


def left(folder: str, marker: str) -> list[int]:
    """Processes whose command line holds the marker, or that stand in the folder."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace")
            if marker in line or os.readlink(f"/proc/{name}/cwd") == folder:
                found.append(int(name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


@pytest.mark.proves("command.leftovers")
@pytest.mark.parametrize("level", EVERY)
@pytest.mark.parametrize("end", ["returns", SLOW("fails"), SLOW("timeout"), "canceled", SLOW("abandoned")])
async def test_nothing_is_left_behind(level: Level, end: str, folder: Path) -> None:
    marker = f"marker-{os.urandom(6).hex()}"
    last = {"returns": "sys.exit(0)", "fails": "os.abort()"}.get(end, "time.sleep(300)")
    one = job(folder, level, *script(FAMILY % last, marker), seconds=2.0 if end == "timeout" else 60.0)
    heard = Heard()
    watch = Watch(one.most_output, heard)
    running = asyncio.create_task(run(one, watch))
    await heard.until("ready")
    if end == "canceled":
        watch.end("canceled")
    if end == "abandoned":
        running.cancel()
    await asyncio.wait((running,), timeout=30)
    assert running.done()
    assert running.cancelled() if end == "abandoned" else running.result().why in {"", end}
    await settled(folder, marker)


@pytest.mark.proves("command.leftovers")
@pytest.mark.parametrize("level", EVERY)
@pytest.mark.parametrize("number", [signal.SIGKILL, SLOW(signal.SIGTERM)])
async def test_nothing_outlives_the_server(level: Level, number: int, folder: Path) -> None:
    marker = f"marker-{os.urandom(6).hex()}"
    words = script(FAMILY % "time.sleep(300)", marker)
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.command.server", level, str(folder), json.dumps(words),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout is not None
    async with asyncio.timeout(60):
        assert b"ready" in await server.stdout.readline()
    assert left(str(folder), marker)
    server.send_signal(number)
    await server.wait()
    await settled(folder, marker)


@pytest.mark.proves("command.leftovers")
async def test_many_at_once_end_in_order(folder: Path) -> None:
    level = best_level()
    jobs = [
        replace(job(folder, level, "/bin/sh", "-c", f"echo {n}; exec sleep {n % 3}"), seconds=1.5) for n in range(8)
    ]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        results = [group.create_task(said(one)) for one in jobs]
    assert [task.result()[1].strip() for task in results] == [str(n) for n in range(8)]
    await settled(folder, "no such marker")


@pytest.mark.proves("command.sandbox")
async def test_a_program_that_cannot_be_started_is_said(folder: Path) -> None:
    (folder / "broken").write_bytes(b"\x7fELF nothing")
    (folder / "broken").chmod(0o755)
    with pytest.raises(ToolError, match="could not be started"):
        await said(job(folder, best_level(), str(folder / "broken")))


@pytest.mark.proves("command.sandbox")
@pytest.mark.parametrize("level", KEPT)
async def test_a_folder_among_the_servers_data_is_seen_without_the_rest(
    level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / ".hector" / "workspace"
    work.mkdir(parents=True)
    (work / "mine.txt").write_text("x", encoding="utf-8")
    (tmp_path / ".hector" / "hector.db").write_text("secret", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ended, text = await said(job(work, level, "/bin/sh", "-c", "ls; cat ../hector.db; echo end"))
    assert ended.code == 0
    assert text.splitlines()[0] == "mine.txt"
    assert "secret" not in text


@pytest.mark.proves("command.allowed")
@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_git_runs_no_hooks_of_a_repository_beside_it(folder: Path) -> None:
    for words in (["init", "-q", "."], ["init", "-q", "--bare", "other"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    hook = folder / "other" / "hooks" / "pre-receive"
    hook.write_text(f"#!/bin/sh\ntouch {folder}/ran\n", encoding="utf-8")
    hook.chmod(0o755)
    author = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-m", "x"], cwd=folder, check=True)
    push = job(folder, "process", "/usr/bin/git", "push", "./other", "HEAD:refs/heads/main")
    ended, text = asyncio.run(said(push))
    assert ended.code != 0
    assert "not allowed" in text
    assert not (folder / "ran").exists()


@pytest.mark.proves("command.sandbox")
def test_a_trial_that_hangs_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "PATIENCE", 0.2)
    monkeypatch.setattr(sandbox, "launcher", lambda: [sys.executable, "-c", "import time; time.sleep(600)"])
    assert "had not ended after 0.2 s" in trouble.__wrapped__("process")


@pytest.mark.proves("command.sandbox", "security.tool-sandbox")
def test_without_a_boundary_the_server_keeps_its_environment_to_itself() -> None:
    """At level process, as a user who may do nothing in particular."""
    if sys.platform != "linux" or os.geteuid() != 0 or not os.path.exists("/usr/bin/python3"):
        pytest.skip("this needs Linux, rights to give up, and a Python that others may run")
    text = (
        "import os; from hector.tools.command import command_tool; from hector.config.command import CommandTool; "
        "command_tool('run', CommandTool(working_directory='.', sandbox={'level': 'process'})); "
        "print('made', flush=True); child = os.fork(); "
        "child or os.execv('/usr/bin/cat', ['cat', f'/proc/{os.getppid()}/environ']); os.wait()"
    )
    with tempfile.TemporaryDirectory(prefix="hector-nobody-") as place:
        os.chown(place, 65534, 65534)
        found = subprocess.run(
            ["/usr/bin/python3", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {text}"], capture_output=True,
            text=True, cwd=place, user=65534, group=65534, extra_groups=[], timeout=60, check=False,
            env={"SOME_KEY": "canary"},
        )  # fmt: skip
    assert found.stdout == "made\n", found
    assert "Permission denied" in found.stderr
