"""The server is killed while a tool takes effect: what becomes of the call is what its configuration says."""

import json
import signal
import sqlite3
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.smoke.frontdoor import PATIENCE, Hector, Server, answer_text, request

PROGRAM = '''
import asyncio, os, pathlib, sys
from hector.__main__ import main
from hector.core.ports import ToolContext
from hector.tools.function import idempotent

async def pay(context: ToolContext, amount: int) -> str:
    """Pay."""
    with open("effects.txt", "a") as effects:
        effects.write(f"pay {amount} {context.effect_id}\\n")
    while os.path.exists("hang"):
        await asyncio.sleep(0.01)
    return f"paid {amount}"

@idempotent
async def look() -> str:
    """Look."""
    with open("effects.txt", "a") as effects:
        effects.write("look\\n")
    return "seen"

sys.exit(main(tools=[pay, look]))
'''
CONFIG = """
llms:
  rules:
    provider: scripted
    rules:
      - {turn: 0, tool_calls: [{name: look}, {name: pay, args: {amount: 7}}]}
      - {tool_result: pay, tool_result_matches: "(?s)(.*)", text: 'Result: \\1'}
agents:
  clerk: {instruction: Pay., tools: [pay, look]}
tools:
  pay: {handler: pay, on_unknown: %s}
  look: {handler: look}
"""
VERSION = {"A2A-Version": "1.0"}


def state_of(server: Server, task: str, wanted: set[str]) -> dict[str, Any]:
    """The task once it is in one of these states."""
    call = urllib.request.Request(f"{server.url}/agents/clerk/tasks/{task}:subscribe", headers=VERSION)
    try:
        with urllib.request.urlopen(call, timeout=PATIENCE) as stream:
            for line in stream:
                if line.startswith(b"data:") and any(f"TASK_STATE_{name}".encode() in line for name in wanted):
                    break
    except urllib.error.HTTPError as error:  # it has ended already
        error.close()
    found: dict[str, Any] = request(f"{server.url}/agents/clerk/tasks/{task}", headers=VERSION).json()
    assert found["status"]["state"].removeprefix("TASK_STATE_") in wanted, found
    return found


def post(server: Server, message: dict[str, Any], **configuration: Any) -> dict[str, Any]:
    body = {"message": {"messageId": "m", "role": "ROLE_USER", **message}, "configuration": configuration}
    answer = request(f"{server.url}/agents/clerk/message:send", body, VERSION)
    assert answer.status == 200, answer.body
    task: dict[str, Any] = answer.json()["task"]
    return task


def effects(folder: Path) -> list[list[str]]:
    path = folder / "effects.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def stored(folder: Path, text: str) -> bool:
    """Whether any event holds this text."""
    with closing(sqlite3.connect(folder / ".hector" / "hector.db")) as con:
        return bool(con.execute("SELECT count(*) FROM events WHERE instr(body, ?)", (text,)).fetchone()[0])


def killed_in_the_middle(hector: Hector, config: str, *, written: bool = True) -> str:
    """The id of a task whose server died after `pay` took effect and before it had a result.

    `written`: not before the result of the other call has been stored.
    """
    (hector.folder / "hang").touch()
    with hector.serve("--config", config) as server:
        task = post(server, {"parts": [{"text": "pay"}]}, returnImmediately=True)
        deadline = time.monotonic() + PATIENCE
        while "pay" not in [line[0] for line in effects(hector.folder)]:
            assert time.monotonic() < deadline, server.text()
            time.sleep(0.02)  # the tool writes a file and tells nobody
        while written and not stored(hector.folder, '"tool_result"'):
            assert time.monotonic() < deadline, server.text()
            time.sleep(0.02)  # the other one's result is on its way to the disk
        server.stop(signal.SIGKILL)
    (hector.folder / "hang").unlink()
    return str(task["id"])


@pytest.mark.proves("resume.unknown", "resume.events", "durability.fault-recovery")
@pytest.mark.parametrize(("policy", "word"), [("ask", "approve"), ("ask", "deny"), ("retry", ""), ("fail", "")])
def test_a_call_that_was_cut_off(tmp_path: Path, policy: str, word: str) -> None:
    (tmp_path / "shop.py").write_text(PROGRAM)
    (tmp_path / "config.yaml").write_text(CONFIG % policy)
    hector = Hector((sys.executable, "shop.py"), tmp_path)
    task = killed_in_the_middle(hector, "config.yaml")
    with hector.serve("--config", "config.yaml") as server:
        if policy == "ask":
            waiting = state_of(server, task, {"INPUT_REQUIRED"})
            said = waiting["status"]["message"]["parts"]
            assert "not known whether it took effect" in said[0]["text"]
            assert said[1]["data"]["arguments"] == {"amount": 7}
            post(server, {"taskId": task, "parts": [{"text": word}]})
        done = state_of(server, task, {"COMPLETED"})
    paid = [line for line in effects(tmp_path) if line[0] == "pay"]
    again = policy == "retry" or word == "approve"
    assert len(paid) == (2 if again else 1)
    assert len({line[2] for line in paid}) == 1, "a repetition can be told by its effect id"
    assert ("paid 7" in answer_text(done)) == again
    assert ("not known whether it took effect" in answer_text(done)) != again
    looked = [line for line in effects(tmp_path) if line[0] == "look"]
    assert len(looked) == 1, "a result that was there is used again"


RECOVERY = {
    "auto_resume: false": "auto_resume is off",
    "timeout: 1ms": "longer than storage.checkpoint.recovery.timeout",
}


@pytest.mark.proves("resume.by-hand", "durability.checkpoints")
@pytest.mark.parametrize("setting", RECOVERY)
def test_a_run_that_may_not_go_on_by_itself(tmp_path: Path, setting: str) -> None:
    (tmp_path / "shop.py").write_text(PROGRAM)
    recovery = f"storage: {{checkpoint: {{recovery: {{{setting}}}}}}}\n"
    (tmp_path / "config.yaml").write_text(CONFIG % "retry" + recovery)
    hector = Hector((sys.executable, "shop.py"), tmp_path)
    task = killed_in_the_middle(hector, "config.yaml")
    with hector.serve("--config", "config.yaml") as server:
        failed = state_of(server, task, {"FAILED"})
        assert RECOVERY[setting] in failed["status"]["message"]["parts"][0]["text"]
        listed = hector.run("dlq", "list", "--json", "--config", "config.yaml")
        (letter,) = json.loads(listed.stdout)["dead_letters"]
        assert (letter["subject"], RECOVERY[setting] in letter["cause"]) == (task, True)
        done = hector.run("dlq", "requeue", str(letter["key"]), "--config", "config.yaml")
        assert done.returncode == 0, done.stderr
        assert "paid 7" in answer_text(state_of(server, task, {"COMPLETED"}))


@pytest.mark.proves("durability.checkpoints")
@pytest.mark.parametrize("after_tools", [True, False])
def test_results_that_were_not_written_down_are_fetched_again(tmp_path: Path, after_tools: bool) -> None:
    (tmp_path / "shop.py").write_text(PROGRAM)
    (tmp_path / "config.yaml").write_text(
        CONFIG % "retry" + f"storage: {{checkpoint: {{after_tools: {str(after_tools).lower()}}}}}\n"
    )
    hector = Hector((sys.executable, "shop.py"), tmp_path)
    task = killed_in_the_middle(hector, "config.yaml", written=after_tools)
    with hector.serve("--config", "config.yaml") as server:
        state_of(server, task, {"COMPLETED"})
    assert len([line for line in effects(tmp_path) if line[0] == "look"]) == (1 if after_tools else 2)
