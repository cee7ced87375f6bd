"""The command tool as agents call it: what it says, what it refuses before anybody is asked, how a call is ended."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from hector.config.command import CommandTool
from hector.core.content import Data, Text
from hector.core.errors import ConfigError, ToolError
from hector.core.ports import ToolContext, ToolOutput
from hector.tools.calls import CALLS
from hector.tools.command import Command, command_tool
from hector.tools.policy import decide, policy_of
from hector.tools.sandbox import best_level, trouble


def made(folder: Path, **keys: Any) -> Command:
    """The tool of an entry."""
    section = CommandTool.model_validate({"working_directory": str(folder), **keys})
    return command_tool("shell", section)[0]


def context(said: list[str] | None = None) -> ToolContext:
    """Of a call named c of the task t."""
    return ToolContext("c", "a", "app", "user", "s", "t", progress=(said if said is not None else []).append)


async def called(tool: Command, command: str, **args: Any) -> tuple[str, dict[str, Any], ToolOutput]:
    """What the model sees, the facts, and the whole result."""
    async with asyncio.timeout(60):
        output = await tool.call({"command": command, **args}, context())
    text, data = output.content
    assert isinstance(text, Text)
    assert isinstance(data, Data)
    return text.text, data.value, output


@pytest.mark.proves("tools.commandtool", "command.allowed")
async def test_a_command_runs_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("hello\n", encoding="utf-8")
    tool = made(tmp_path / "work", allowed_commands=["ls", "cat", "pwd"])
    (tmp_path / "work/a.txt").write_text("hello\n", encoding="utf-8")
    text, facts, output = await called(tool, "cat a.txt")
    assert text == "hello\n[exit code 0]"
    assert (facts["exit_code"], facts["working_dir"]) == (0, str(tmp_path / "work"))
    assert facts["sandbox"].startswith(best_level())
    assert not output.is_error
    text, facts, output = await called(tool, "cat nothing")
    assert "No such file" in text
    assert text.endswith("[exit code 1]")
    assert not output.is_error


@pytest.mark.proves("command.working-directory")
async def test_a_command_stays_below_its_folder(tmp_path: Path) -> None:
    tool = made(tmp_path / "work", allowed_commands=["pwd"])
    (tmp_path / "work/sub").mkdir()
    (tmp_path / "work2").mkdir()
    (tmp_path / "work/out").symlink_to(tmp_path / "work2")
    text, _, _ = await called(tool, "pwd", working_dir="sub")
    assert text.startswith(str(tmp_path / "work/sub"))
    for outside in ("..", "/", "../work2", "sub/../../work2", "out", "nowhere", "a\0b", str(tmp_path), 5):
        with pytest.raises(ToolError, match="working_dir|no folder"):
            tool.check({"command": "pwd", "working_dir": outside})
    with pytest.raises(ConfigError, match="root of the file system"):
        made(Path("/"))


@pytest.mark.proves("command.allowed", "command.require-approval")
def test_nobody_is_asked_about_what_may_not_run(tmp_path: Path) -> None:
    tool = made(tmp_path, allowed_commands=["ls"])
    for wrong in ({"command": "rm x"}, {"command": 5}, {}, {"command": "ls", "timeout": -1}, {"command": "ls", "x": 1}):
        with pytest.raises(ToolError):
            tool.check(wrong)
    with pytest.raises(ToolError, match="ls is not among the commands that may be run: none"):
        made(tmp_path, deny_by_default=True).check({"command": "ls"})


@pytest.mark.proves("command.require-approval", "approval.rules")
def test_rules_look_at_each_command_of_a_line(tmp_path: Path) -> None:
    rules = [{"args": {"command": "git push*"}, "action": "deny"}, {"args": {"command": "ls*"}, "action": "allow"}]
    section = CommandTool.model_validate({"working_directory": str(tmp_path), "shell": True, "approval_rules": rules})
    policy = policy_of(command_tool("shell", section)[1], section)
    expected = {
        "ls -la": "allow",
        "ls; git push": "deny",
        "ls && 'git' push x": "deny",
        "ls | cat": "ask",
        "ls > important.txt": "ask",
        "ls 2>> important.txt": "ask",
        "ls 2> /dev/null 2>&1": "allow",
        "cat x": "ask",
    }
    assert {line: decide(policy, "shell", {"command": line})[0] for line in expected} == expected
    assert decide(policy, "shell", {"command": "/usr/bin/git push"})[0] == "deny"


@pytest.mark.proves("command.limits")
async def test_long_output_keeps_its_beginning_and_its_end(tmp_path: Path) -> None:
    said: list[str] = []
    tool = made(tmp_path, max_output=1000)
    output = await tool.call({"command": "seq 100000"}, context(said))
    text = output.content[0]
    assert isinstance(text, Text)
    assert text.text.startswith("1\n2\n3\n")
    assert "99999\n100000\n[exit code 0]" in text.text
    assert "characters were left out here]" in text.text
    assert len(text.text) <= 1000
    assert "".join(said).startswith("1\n2\n3\n")


@pytest.mark.proves("command.limits")
async def test_the_limits_of_the_entry_are_those_of_its_processes(tmp_path: Path) -> None:
    limits = {"memory": "300 MiB", "processes": 900, "file_size": "1 MiB", "open_files": 50}
    text, _, _ = await called(made(tmp_path, limits=limits), "cat /proc/self/limits")
    found = {line[:26].strip(): line[26:].split()[:2] for line in text.splitlines()}
    assert found["Max file size"] == [str(2**20)] * 2
    assert found["Max open files"] == ["50"] * 2
    assert found["Max data size"] == [str(300 * 2**20)] * 2


@pytest.mark.proves("command.max-time")
async def test_the_time_of_the_entry_is_the_longest(tmp_path: Path) -> None:
    tool = made(tmp_path, timeout="300ms")
    text, facts, output = await called(tool, "sleep 60", timeout=50)
    assert text == "[the command was ended: it took longer than 0.3 s, no output]"
    assert (facts["ended"], output.is_error) == ("timeout", True)


@pytest.mark.proves("command.cancel")
async def test_a_call_can_be_ended_by_itself(tmp_path: Path) -> None:
    begun = asyncio.Event()
    tool = made(tmp_path, shell=True)
    about = ToolContext("c", "a", "app", "user", "s", "t", progress=lambda _: begun.set())
    running = asyncio.create_task(tool.call({"command": "echo begun && sleep 60"}, about))
    async with asyncio.timeout(60):
        await begun.wait()
        assert not CALLS.end(("other", "t", "c"))
        assert CALLS.end(("app", "t", "c"))
        output = await running
    assert output.content[0] == Text("begun\n[the command was ended: somebody has canceled it]")
    assert not CALLS.end(("app", "t", "c"))


@pytest.mark.proves("command.sandbox")
def test_a_level_that_cannot_be_had_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, sandbox={"level": "auto", "require": best_level()})
    monkeypatch.setattr("hector.tools.sandbox.sys.executable", "/nowhere/python")
    trouble.cache_clear()
    try:
        with pytest.raises(ConfigError, match="namespaces cannot be had on this machine: .*No such file"):
            made(tmp_path, sandbox={"level": "namespaces"})
        with pytest.raises(ConfigError, match="landlock is required, but commands would run with none"):
            made(tmp_path, sandbox={"require": "landlock"})
    finally:
        trouble.cache_clear()


@pytest.mark.proves("command.sandbox")
async def test_the_folder_of_the_server_is_hidden(tmp_path: Path) -> None:
    for name in (".hector/hector.db", ".env", "conf/secret.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("canary", encoding="utf-8")
    tool = made(tmp_path, shell=True, sandbox={"hide": ["conf"]})
    text, _, _ = await called(tool, "cat .hector/hector.db; cat .env; cat conf/secret.yaml; cat .hec*/*; ls conf")
    assert "canary" not in text


@pytest.mark.proves("command.sandbox")
async def test_variables_come_from_the_entry_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SECRET", "canary")
    tool = made(tmp_path, environment={"GREETING": "hello"})
    text, _, _ = await called(tool, "printenv GREETING")
    assert text.startswith("hello")
    text, _, _ = await called(tool, "printenv")
    assert "canary" not in text
    assert os.environ["SOME_SECRET"] == "canary"


@pytest.mark.proves("command.hostile")
async def test_git_believes_no_folder_that_only_looks_like_a_repository(tmp_path: Path) -> None:
    for name, text in {
        "HEAD": "ref: refs/heads/main\n",
        "objects/x": "",
        "refs/x": "",
        "config": "[core]\nrepositoryformatversion=0\nbare=true\n[alias]\nx = !echo reached\n",
    }.items():
        file = tmp_path / "bare" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    text, facts, _ = await called(made(tmp_path, shell=True), "git x", working_dir="bare")
    assert "reached" not in text
    assert facts["exit_code"] != 0
