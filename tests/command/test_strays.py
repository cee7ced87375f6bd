"""A launcher that is killed leaves nothing behind, at any level."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from hector.core.errors import ToolError
from hector.tools.command_run import Watch, run
from hector.tools.sandbox import Level
from tests.command.test_sandbox import EVERY, Heard, job, script


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


@pytest.mark.proves("command.sandbox")
@pytest.mark.parametrize("level", EVERY)
@pytest.mark.parametrize("quiet", [True, False])
async def test_nothing_is_left_when_only_the_launcher_is_killed(level: Level, quiet: bool, folder: Path) -> None:
    """Also not what has made itself independent of the command."""
    output = "out = open('/dev/null', 'w');" if quiet else "out = None;"
    away = (
        f"import os, subprocess, sys, time; {output}"
        "subprocess.Popen(['/bin/sleep', '4711'], start_new_session=True, stdout=out, stderr=out);"
        "print('launcher', os.getppid(), flush=True); time.sleep(300)"
    )
    heard = Heard()
    async with asyncio.timeout(60):
        running = asyncio.create_task(run(job(folder, level, *script(away), seconds=25.0), Watch(10**6, heard)))
        await heard.until("launcher")
        os.kill(launcher_of(folder), signal.SIGKILL)
        with pytest.raises(ToolError, match="the command was cut off: the launcher was ended"):
            await running
    assert not sleepers(folder)


def sleepers(folder: Path) -> list[int]:
    """The processes that work in a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.readlink(place / "cwd") == str(folder) and place.name != str(os.getpid()):
                found.append(int(place.name))
    return found


def launcher_of(folder: Path) -> int:
    """The child of ours that watches over a command: one of those above what works in the folder."""
    for pid in sleepers(folder):
        while pid > 1 and pid != os.getpid():
            pid, last = int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]), pid
            if pid == os.getpid():
                return last
    raise AssertionError("nothing runs")
