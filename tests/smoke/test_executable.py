"""What only the executable promises: its size, its start, and that it needs nothing of the machine."""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.smoke.frontdoor import DIST, FORMS, PATIENCE, Hector, answer_text
from tests.smoke.test_frontdoor import SCRIPTED, write

pytestmark = pytest.mark.frozen
ONE_FILE_LIMITS = {"hector": 58_000_000, "hector-slim": 34_000_000}  # bytes
LARGER_LIBRARIES = 0 if sys.version_info < (3, 14) else 2_000_000  # OpenSSL, SQLite and Python of newer systems
VERSION_LIMIT = 0.06  # CPU seconds, user and system
SOMEBODY = 65532  # a user id that no account has


def cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env={}, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.proves("binary.size", "binary.one-file", "binary.build")
@pytest.mark.parametrize("name", ONE_FILE_LIMITS)
def test_one_file_is_small(name: str) -> None:
    assert (DIST / name).stat().st_size <= ONE_FILE_LIMITS[name] + LARGER_LIBRARIES


@pytest.mark.proves("binary.start-up", "binary.one-folder")
def test_version_is_quick_in_the_one_folder_form() -> None:
    command = [str(DIST / "hector-onedir" / "hector"), "version"]
    # Noise only adds, so the least of several runs is what the program costs.
    assert min(cpu_seconds(command) for _ in range(9)) <= VERSION_LIMIT


def needed_from_outside(folder: Path) -> set[Path]:
    """The shared libraries that the files in `folder` take from the machine, the loader included."""
    found: set[Path] = set()
    for path in folder.rglob("*"):
        if not path.is_file() or path.is_symlink() or path.read_bytes()[:4] != b"\x7fELF":
            continue
        inner = path.parent != folder  # the launcher itself starts before it can point to the libraries that it carries
        env = {"PATH": "/usr/bin:/bin"} | ({"LD_LIBRARY_PATH": str(folder / "_internal")} if inner else {})
        listing = subprocess.run(["ldd", str(path)], env=env, capture_output=True, text=True, check=False).stdout
        found |= {Path(name) for name in re.findall(r"(/\S+) \(0x", listing) if folder not in Path(name).parents}
    return found


@pytest.fixture(params=["one-folder", "one-file"])
def bare_root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A root that holds the executable, the C library and three empty folders, and the command within it."""
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    if os.environ.get("CI") != "true" and not shutil.which("chroot"):
        pytest.skip("no chroot command")
    root = tmp_path / "root"
    for name in ("tmp", "data"):
        (root / name).mkdir(parents=True)
        (root / name).chmod(0o1777)
    for library in needed_from_outside(DIST / "hector-onedir"):
        target = root / library.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, target)
    command = "/hector"
    if request.param == "one-folder":
        shutil.copytree(DIST / "hector-onedir", root / "app", symlinks=True)
        command = "/app/hector"
    else:
        shutil.copy2(DIST / "hector", root / "hector")
    tmp_path.chmod(0o755)
    yield root, command
    shutil.rmtree(root)


CLOCK = """
llms:
  script:
    provider: scripted
    rules:
      - { turn: 0, tool_calls: [{ name: current_time, args: { timezone: Asia/Kolkata } }] }
      - { text: 'it is \\g<when>', tool_result: current_time, tool_result_matches: "(?P<when>.*)" }
agents:
  clock: { tools: [current_time] }
"""


@pytest.mark.proves("tools.current-time", "binary.no-dependencies")
def test_time_zones_are_known_where_there_is_nothing_else(bare_root: tuple[Path, str]) -> None:
    root, command = bare_root
    inside = ("chroot", f"--userspec={SOMEBODY}:{SOMEBODY}", str(root), command)
    write(root / "data", CLOCK)
    outside = Hector(inside, root / "data", {"HOME": "/data", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    with outside.serve("--config", "/data/agents.yaml", "--database", "sqlite:///data/hector.db") as server:
        assert "+05:30" in answer_text(server.say("clock", "what time is it there?"))
        assert server.stop() == 0


@pytest.mark.proves("binary.chroot", "binary.no-dependencies", "binary.linux", "sovereign.offline")
def test_runs_where_there_is_nothing_else(bare_root: tuple[Path, str]) -> None:
    root, command = bare_root
    inside = ("chroot", f"--userspec={SOMEBODY}:{SOMEBODY}", str(root), command)
    write(root / "data", SCRIPTED)
    outside = Hector(inside, root / "data", {"HOME": "/data", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    done = outside.run("version")
    assert done.returncode == 0, done.stderr
    assert outside.run("validate", "--config", "/data/agents.yaml").returncode == 0
    with outside.serve("--config", "/data/agents.yaml", "--database", "sqlite:///data/hector.db") as server:
        assert answer_text(server.say("parrot", "ping")) == "pong"
        assert server.stop() == 0


LOCAL = """
llms:
  here:
    provider: local
    path: model.gguf
    executable: {program}
"""


@pytest.mark.parametrize("form", ["one-file", "one-folder"])
@pytest.mark.parametrize("given", [None, "/opt/lib"], ids=["nothing given", "a path given"])
def test_programs_that_we_start_see_the_environment_that_we_got(tmp_path: Path, form: str, given: str | None) -> None:
    told = tmp_path / "told.txt"
    program = tmp_path / "llama-server"
    program.write_text(f'#!/bin/sh\necho "$LD_LIBRARY_PATH" > {told}.new; mv {told}.new {told}\n', encoding="utf-8")
    program.chmod(0o755)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    config = write(tmp_path, LOCAL.format(program=program))
    environment = {"PATH": "/usr/bin:/bin"} | ({"LD_LIBRARY_PATH": given} if given else {})
    hector = Hector(FORMS[form], tmp_path, environment)
    server = subprocess.Popen(
        [*hector.command, "serve", "--config", config, "--port", "0"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert told.read_text(encoding="utf-8").strip() == (given or "")
    finally:
        server.terminate()
        assert server.wait(PATIENCE) == 0
