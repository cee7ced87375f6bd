"""Servers that Hector starts: what they offer and answer, and what becomes of them and of their calls."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCMessage, JSONRPCNotification

from hector.core.content import Media, Text
from hector.core.ports import ToolOutput, ToolPolicy
from hector.mcp.link import Fate
from hector.mcp.stdio import Program, open_stdio
from tests.mcp.conftest import PYTHON, SERVER, eventually, opened


def text_of(output: ToolOutput) -> str:
    """The text of a result."""
    return "".join(part.text for part in output.content if isinstance(part, Text))


@pytest.mark.proves("standards.mcp", "mcp.stdio", "mcp.results", "mcp.environment", "mcp.progress")
async def test_tools_of_a_server_work_like_any_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "x")
    settings: dict[str, Any] = {"env": {"GIVEN": "y"}, "cwd": str(tmp_path), "resources": True, "prompts": True}
    async with opened(**settings) as py:
        offer = await py.offer()
        spec = offer.tools["add"].spec
        assert (spec.description, spec.parameters["required"]) == ("Add two numbers.", ["a", "b"])
        assert offer.policies["add"] == ToolPolicy(on_unknown="retry")
        assert offer.policies["say"] == ToolPolicy()
        assert (await py.call("add", a=2, b=3)).content == (Text("5"),)
        assert (await py.call("picture")).content == (Text("look"), Media("image/png", "iVBORw0KGgo="))
        assert (await py.call("add", a="two", b=3)).is_error
        assert "b must be given" in await py.fails("add", a=1)
        assert (await py.call("slow", seconds=0, note="n")).content == (Text("done"),)
        assert py.told == ["1/2: half\n"]
        found = json.loads(text_of(await py.call("surroundings")))
        assert found["cwd"] == str(tmp_path)
        assert "GIVEN" in found["env"]
        assert "MY_SECRET" not in found["env"]
        assert (await py.call("flood")).content == (Text("flooded"),)
        assert "note://one" in text_of(await py.call("py_list_resources"))
        assert text_of(await py.call("py_read_resource", uri="note://one")) == "the note"
        assert "greet" in text_of(await py.call("py_list_prompts"))
        said = (await py.call("py_get_prompt", name="greet", arguments={"name": "Ana"})).content
        assert said == (Text("user:"), Text("Greet Ana."))
        assert await py.offer() is offer, "nothing has changed"


@pytest.mark.proves("mcp.cancel", "mcp.list-changed", "mcp.filter")
async def test_a_call_that_nobody_waits_for_is_cancelled_and_a_changed_list_is_read_again(tmp_path: Path) -> None:
    note = tmp_path / "note"
    async with opened(filter=("s*", "grow", "fresh.*"), prefix="my_") as py:
        assert set((await py.offer()).tools) == {"my_say", "my_slow", "my_surroundings", "my_grow"}
        call = asyncio.create_task(py.call("my_slow", seconds=30, note=str(note)))
        await eventually(lambda: bool(py.told))
        call.cancel()
        await asyncio.wait((call,))
        assert (await py.call("my_say", text="on")).content == (Text("said on"),)
        assert note.read_text(encoding="utf-8") == "cancelled"
        before = await py.offer()
        await py.call("my_grow")
        await eventually(lambda: py.toolset.offered is not before)
        after = await py.offer()
        assert set(after.tools) - set(before.tools) == {"my_fresh_tool"}
        assert (await py.call("my_fresh_tool")).content == (Text("new"),)


@pytest.mark.proves("mcp.cancel")
async def test_of_calls_that_begin_together_the_one_is_cancelled_that_nobody_waits_for(tmp_path: Path) -> None:
    async with opened() as py:
        await py.offer()
        notes = [tmp_path / name for name in ("kept", "given-up", "other")]
        calls = [asyncio.create_task(py.call("slow", seconds=30, note=str(note))) for note in notes]
        await eventually(lambda: len(py.told) == len(notes))
        calls[1].cancel()
        await asyncio.wait(calls[1:2])
        assert (await py.call("say", text="on")).content == (Text("said on"),)
        await eventually(lambda: any(note.exists() for note in notes))
        assert [note.exists() for note in notes] == [False, True, False]
        assert not calls[0].done()
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)


@pytest.mark.proves("mcp.restart")
async def test_a_connection_whose_task_was_cancelled_comes_back() -> None:
    async with opened() as py:
        await py.call("say", text="on")
        (keeper,) = (task for task in asyncio.all_tasks() if task.get_name() == "mcp-py")
        keeper.cancel()
        await asyncio.wait((keeper,))
        assert (await py.call("say", text="again")).content == (Text("said again"),)


@pytest.mark.proves("mcp.away")
async def test_closing_does_not_wait_for_a_server_that_does_not_greet(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    program = f"open({str(runs)!r}, 'w').close(); input(); input()"
    async with opened(command=PYTHON, args=("-c", program)) as py:
        loading = asyncio.create_task(py.toolset.load())
        await eventually(runs.exists)
        assert not loading.done()
        async with asyncio.timeout(60):
            await py.toolset.aclose()
            await loading


@pytest.mark.proves("mcp.away")
async def test_only_the_first_turn_waits_for_a_server_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hector.mcp.provider._MARGIN", 0.5)
    runs = tmp_path / "runs"
    program = f"import os, time; print(os.getpid(), file=open({str(runs)!r}, 'a'), flush=True); time.sleep(60)"
    async with opened(command=PYTHON, args=("-c", program), connect_timeout=0.5) as py:
        await py.toolset.load()
        async with asyncio.timeout(0.4):
            for _ in range(20):
                assert not (await py.offer()).tools
        await asyncio.sleep(1)  # into the next attempt
        async with asyncio.timeout(0.4):
            for _ in range(20):
                assert not (await py.offer()).tools
    for pid in map(int, runs.read_text(encoding="utf-8").split()):  # closed while it is waited for their end
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.proves("mcp.restart", "mcp.stderr")
async def test_a_server_that_dies_says_why_and_is_started_again() -> None:
    async with opened() as py:
        offer = await py.offer()
        other = asyncio.create_task(py.fails("slow", seconds=30, note="n"))
        await eventually(lambda: bool(py.told))
        error = await py.fails("die")
        assert "exit code 3" in error
        assert "out of memory, or so" in error
        assert "not known whether the call took effect" in await other
        assert (await py.call("say", text="again")).content == (Text("said again"),)
        assert await py.offer() is not None
        assert set(offer.tools) == set((await py.offer()).tools)


@pytest.mark.proves("mcp.away")
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"command": "no-such-program"}, "was not found"),
        ({"command": PYTHON, "args": ("-c", "import sys; sys.exit('no licence')")}, "no licence"),
        ({"command": PYTHON, "args": ("-c", "input()\ninput()"), "connect_timeout": 0.5}, "connect_timeout"),
        ({"command": PYTHON, "args": ("-c", "print('hello'); input()")}, "it wrote: hello"),
    ],
)
async def test_a_server_that_cannot_be_used_offers_nothing(
    settings: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(**settings) as py:
        assert (await py.offer()).tools == {}
        assert said in caplog.text


@pytest.mark.proves("mcp.child-ends")
@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid(1)")
async def test_what_a_server_leaves_behind_keeps_nobody_waiting() -> None:
    program = Program("/bin/sh", ("-c", "setsid sleep 20 & read line; exit 3"))
    fate = Fate()
    began = time.monotonic()
    async with open_stdio(program, fate) as ends:
        await ends.outbox.send(SessionMessage(JSONRPCMessage(JSONRPCNotification(jsonrpc="2.0", method="x"))))
        async with asyncio.timeout(60):
            await fate.ended.wait()
    assert fate.reason == "it ended with exit code 3"
    async with open_stdio(Program("/bin/sh", ("-c", "setsid sleep 20 & exec cat")), Fate()):
        pass
    assert time.monotonic() - began < 18, "it waited for the end of somebody else"


@pytest.mark.proves("mcp.child-ends")
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's word to children exists on Linux only")
def test_a_server_does_not_outlive_a_killed_hector(tmp_path: Path) -> None:
    script = f"""
import asyncio
from tests.mcp.conftest import opened
async def main():
    async with opened(command={PYTHON!r}, args=({SERVER!r}, "stdio")) as py:
        print((await py.call("surroundings")).content[0].text, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    process = subprocess.Popen([PYTHON, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    lines: list[str] = []
    while '"pid"' not in "".join(lines):
        lines.append(process.stdout.readline())
    child = int("".join(lines).rpartition('"pid":')[2].strip(" }\n,"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 60
    while _alive(child):  # nobody tells of the end of a process that is not a child
        assert time.monotonic() < until, "it lives on"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    os.kill(pid, 0)
    return state != "Z"
