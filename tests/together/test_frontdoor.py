"""Agents that work together, as their users meet them: in a chat, over A2A, and with `hector approve`."""

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.driver import PATIENCE, ROOT, environment, pipe, terminal
from tests.cli.driver import hector as command
from tests.smoke.frontdoor import FORMS, Hector, Server, answer_text, request

EXAMPLE = ROOT / "examples" / "together.yaml"


@pytest.mark.proves("agents.together.shown", "approval.agents")
def test_a_chat_shows_what_each_agent_does_and_takes_answers_for_them(tmp_path: Path) -> None:
    with terminal("--config", str(EXAMPLE), "--agent", "desk", folder=tmp_path) as screen:
        screen.expect("desk › ")
        screen.type("plan a trip to Oslo\r")
        shown = screen.expect("your answer › ")
        assert "? Museums or mountains?" in shown
        assert "no result" not in shown
        screen.type("mountains\r")
        shown = screen.expect(r"\(approve/deny\) › ")
        assert "⚙ scout(request: what is worth seeing in Oslo?) → For you: mountains." in shown
        assert "request_approval (agent clerk)" in shown
        screen.type("yes\r")
        shown = screen.expect("The room is booked.\r?\n")
        assert "⚙ clerk › request_approval(" in shown
        screen.expect("desk › ")
        screen.type("my invoice is wrong\r")
        screen.expect("Which number does the invoice have")
        screen.expect("desk › ")
        screen.type("number 42\r")
        screen.expect("Invoice 42 is corrected")
        screen.expect("desk › ")
        screen.type("/quit\r")
        assert screen.exit_code() == 0


@pytest.mark.proves("agents.together.shown")
def test_a_pipe_gets_the_answer_alone(tmp_path: Path) -> None:
    done = pipe("my invoice is wrong", "--config", str(EXAMPLE), "--agent", "desk", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("That is for billing.")
    assert "Which number does the invoice have?" in done.stdout


def stream(server: Server, text: str, task: Any = None) -> list[Any]:
    """Every event of a message that is streamed."""
    message: dict[str, Any] = {"messageId": text, "role": "ROLE_USER", "parts": [{"text": text}]}
    if task is not None:
        message |= {"taskId": task["id"], "contextId": task["contextId"]}
    headers = {"Content-Type": "application/json", "A2A-Version": "1.0"}
    body = json.dumps({"message": message}).encode()
    call = urllib.request.Request(f"{server.url}/agents/desk/message:stream", body, headers)
    with urllib.request.urlopen(call, timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def get(server: Server, task: Any) -> Any:
    call = urllib.request.Request(f"{server.url}/agents/desk/tasks/{task['id']}", headers={"A2A-Version": "1.0"})
    with urllib.request.urlopen(call, timeout=PATIENCE) as answer:
        return json.loads(answer.read())


@pytest.mark.proves("agents.together.shown", "approval.agents", "approval.cli")
def test_an_a2a_client_sees_one_task_and_who_does_what(tmp_path: Path) -> None:
    hector = Hector(FORMS["source"], tmp_path)
    shutil.copy(EXAMPLE, hector.folder / "together.yaml")
    with hector.serve("--config", "together.yaml", "--database", "sqlite://hector.db") as server:
        asked = stream(server, "plan a trip to Oslo")
        task = asked[0]["task"]
        said = [event["statusUpdate"]["status"] for event in asked if "statusUpdate" in event]
        assert (said[-1]["state"], said[-1]["message"]["metadata"]["author"]) == ("TASK_STATE_INPUT_REQUIRED", "scout")
        whose = [one["message"].get("metadata", {}).get("author") for one in said if "message" in one]
        assert "scout" in whose
        events = stream(server, "mountains", task)
        pieces = [
            part["data"]
            for event in events
            if "statusUpdate" in event
            for part in event["statusUpdate"]["status"].get("message", {}).get("parts", ())
            if part.get("metadata", {}).get("kind") == "toolProgress"
        ]
        assert {(one["id"], one["name"], one["status"]) for one in pieces} == {("call_1", "scout", "working")}
        assert "".join(part["text"] for one in pieces for part in one["content"]) == "For you: mountains."
        found = get(server, task)
        (request,) = [part["data"] for part in found["status"]["message"]["parts"] if "data" in part]
        assert (request["agent"], request["tool_name"]) == ("clerk", "request_approval")
        listed = approve(hector)
        assert re.search(r"\bclerk +\d", listed.stdout), listed.stdout
        done = approve(hector, task["id"])
        assert done.returncode == 0, done.stderr
        while found["status"]["state"] not in {"TASK_STATE_COMPLETED", "TASK_STATE_FAILED"}:
            found = get(server, task)
        assert answer_text(found).endswith("For you: mountains.\nThe room is booked.")


def approve(one: Hector, *arguments: str) -> "subprocess.CompletedProcess[str]":
    given = ("--config", "together.yaml", "--database", "sqlite://hector.db")
    return subprocess.run(
        command("approve", *arguments, *given),
        cwd=one.folder,
        env=environment(one.folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.mark.proves("approval.agents")
@pytest.mark.parametrize("word", ["approve", "deny"])
def test_an_administrator_decides_for_a_called_agent(tmp_path: Path, word: str) -> None:
    shutil.copy(EXAMPLE, tmp_path / "together.yaml")
    with Hector(FORMS["source"], tmp_path).serve("--config", "together.yaml") as server:
        first = stream(server, "plan a trip to Oslo")[0]["task"]
        stream(server, "mountains", first)
        secret = re.search(r"admin secret\s+(\S+)", server.text())
        assert secret is not None
        admin = {"Authorization": f"Bearer {secret[1]}"}
        (row,) = request(f"{server.url}/admin/approvals", headers=admin).json()["approvals"]
        assert (row["call"], row["tool"]) == ("clerk@call_2.call_1", "request_approval")
        assert (row["agent"], row["asked_by"]) == ("desk", "clerk")
        assert "agent clerk" in row["prompt"]
        done = request(f"{server.url}/admin/approvals/{row['key']}", {"decision": word}, admin)
        assert done.status < 300, done.body
        found = get(server, first)
        while found["status"]["state"] not in {"TASK_STATE_COMPLETED", "TASK_STATE_FAILED"}:
            found = get(server, first)
        booked = "The room is booked." if word == "approve" else "No room was booked."
        assert answer_text(found).endswith(f"For you: mountains.\n{booked}")
