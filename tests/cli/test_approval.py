"""Calls that need approval, at a terminal, in a pipe, and with `hector approve` beside a running server."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hector.cli.chat_ballot import Ballot
from hector.cli.chat_pieces import Asked, Called, Wanted
from hector.cli.chat_screen import Screen
from tests.cli.driver import PATIENCE, ROOT, environment, hector, pipe, serving, terminal

SECRET = "Xk3-ow9fGmn2-48sjA1qzVb0"
EXAMPLE = ROOT / "examples" / "approval.yaml"


def test_a_ballot_takes_decisions_and_reasons() -> None:
    ballot = Ballot.of([Wanted("1", "send", {}, "h"), Wanted("2", "send", {}), Wanted("3", "drop", {})])
    assert not ballot.take("what is that?")
    assert not ballot.take("nothing")
    assert ballot.question() == "approve send? (approve/deny)"
    assert ballot.take("No, not to him.")
    assert ballot.parts[0] == {
        "type": "tool_approval",
        "tool_call_id": "1",
        "decision": "deny",
        "arguments_hash": "h",
        "comment": "not to him.",
    }
    assert ballot.take("yes all")
    assert [(part["tool_call_id"], part["decision"]) for part in ballot.parts[1:]] == [
        ("2", "approve"),
        ("3", "approve"),
    ]
    assert (ballot.left, ballot.question(), ballot.take("yes")) == ((), "", False)


@pytest.mark.proves("approval.chat")
def test_a_tool_whose_name_commands_the_terminal_is_named_without(tmp_path: Path) -> None:
    name = "send\033]0;owned\007\033[2J\n" + "x" * 500
    with (tmp_path / "screen").open("w+", encoding="utf-8", newline="") as out:
        screen = Screen(out, colours=True)
        screen.show(Called("1", name, {}))
        screen.show(Asked("May I?", calls=(Wanted("1", name, {}),)))
        label = screen.prompt(Ballot.of([Wanted("1", name, {})]).question())
        screen.end()
        out.seek(0)
        shown = out.read()
    for text in (shown, label):
        assert "send]0;owned[2J" in text
        assert "\007" not in text
        assert "\033]" not in text
        assert "\033[2J" not in text
    waiting, _, _ = shown.partition("\r\033[K")
    assert len(waiting) < 80
    assert "\n" not in waiting + label


@pytest.mark.proves("approval.chat")
def test_at_a_terminal_the_call_is_shown_and_decided(tmp_path: Path) -> None:
    with terminal("--config", str(EXAMPLE), folder=tmp_path) as screen:
        screen.expect("publisher › ")
        screen.type("publish the notes\r")
        shown = screen.expect(r"approve save_artifact\? \(approve/deny\) › ")
        assert "Publish this for everybody to see?" in shown
        assert '"name": "notes.md"' in shown
        assert "can be approved until 20" in shown
        screen.type("perhaps\r")
        screen.expect("answer approve or deny")
        screen.type("yes\r")
        assert "▤ notes.md" in screen.expect("It is published")
        screen.expect("publisher › ")
        screen.type("publish it\r")
        screen.expect(r"\(approve/deny\) › ")
        screen.type("deny: not yet\r")
        screen.expect("The user says: not yet")
        screen.expect("publisher › ")
        screen.type("/quit\r")
        assert screen.exit_code() == 0


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """The address of a database that others can open, too."""
    return "sqlite://hector.db" if request.param == "sqlite" else str(request.getfixturevalue("postgres_ready"))


@contextmanager
def served(folder: Path, database: str = "sqlite://hector.db") -> Iterator[str]:
    """A server over the example."""
    shutil.copy(EXAMPLE, folder / "approval.yaml")
    secrets = {"HECTOR_AUTH_SECRET": SECRET, "HECTOR_REQUIRE_AUTH": "no"}
    with serving(folder, "approval.yaml", "--database", database, **secrets) as url:
        yield url


def approve(folder: Path, database: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        hector("approve", *arguments, "--config", "approval.yaml", "--database", database),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def ended(url: str, task: str) -> dict[str, object]:
    """The task once it is over."""
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        body = client.get(f"/tasks/{task}:subscribe").text  # ends with the task, or says that it has ended
        assert body
        found: dict[str, object] = client.get(f"/tasks/{task}").json()
    return found


@pytest.mark.proves("approval.elsewhere", "approval.cli")
def test_the_command_decides_while_the_server_runs(tmp_path: Path, database: str) -> None:
    with served(tmp_path, database) as url:
        asked = pipe("publish notes", "--url", url, folder=tmp_path)
        assert asked.returncode == 1
        assert "Publish this for everybody to see?" in asked.stderr
        assert "hector approve" in asked.stderr
        (found,) = json.loads(approve(tmp_path, database, "--json").stdout)["approvals"]
        assert (found["tool"], found["arguments"]["name"], found["state"]) == ("save_artifact", "notes.md", "pending")
        listed = approve(tmp_path, database, "--list").stdout.splitlines()
        assert listed[0].split() == ["TASK", "CALL", "AGENT", "WAITS", "EXPIRES", "TOOL", "AND", "ARGUMENTS"]
        assert found["task"] in listed[1]
        wrong = approve(tmp_path, database, found["task"], "--call", "nothing")
        assert (wrong.returncode, found["call"] in wrong.stderr) == (1, True)
        done = approve(tmp_path, database, found["task"], "--deny", "--comment", "too early")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("denied save_artifact {")
        assert re.search(r"\nthe server on \S+, pid \d+, goes on with it within a second or two\n", done.stdout)
        assert "too early" in json.dumps(ended(url, found["task"]))
        again = approve(tmp_path, database, found["task"])
        assert (again.returncode, "waits for approval" in again.stderr) == (1, True)
        assert approve(tmp_path, database).stdout == "nothing waits for approval\n"
        (past,) = json.loads(approve(tmp_path, database, "--decided", "--json").stdout)["approvals"]
        assert (past["key"], past["state"], past["comment"]) == (found["key"], "denied", "too early")
        assert past["decided_by"].startswith("hector approve, ")
        title, line, comment = approve(tmp_path, database, found["task"], "--decided").stdout.splitlines()
        assert title.split()[:5] == ["TASK", "CALL", "DECISION", "AGO", "BY"]
        assert " denied " in line
        assert comment == '    "too early"'
        older = approve(tmp_path, database, "--decided", "--before", str(found["key"]))
        assert older.stdout == "nothing was decided yet\n"
        assert approve(tmp_path, database, "--decided", "--list").returncode == 2


@pytest.mark.proves("approval.admin")
def test_the_admin_pages_decide_for_those_who_have_the_secret(tmp_path: Path) -> None:
    with (
        served(tmp_path) as url,
        httpx.Client(base_url=url, timeout=PATIENCE, headers={"Authorization": f"Bearer {SECRET}"}) as client,
    ):
        pipe("publish notes", "--url", url, folder=tmp_path)
        (found,) = client.get("/admin/approvals").json()["approvals"]
        place = f"/admin/approvals/{found['key']}"
        assert client.get(place).json() == found
        for headers, status in (({"authorization": "Bearer wrong"}, 401), ({"host": "evil.example"}, 403)):
            refused = client.get("/admin/approvals", headers=headers)
            assert (refused.status_code, "message" in refused.text) == (status, True)
            assert client.post(place, json={"decision": "approve"}, headers=headers).status_code == status
        bodies: list[Any] = [{}, {"decision": "maybe"}, {"decision": "approve", "comment": 1}, []]
        for body in bodies:
            assert client.post(place, json=body).status_code == 400
        assert client.post(place, content="decision=approve", headers={"content-type": "text/plain"}).status_code == 415
        done = client.post(place, json={"decision": "approve", "comment": "fine"})
        assert done.status_code == 200
        assert done.json()["state"] == "approved"
        assert done.json()["decided_by"].startswith("admin")
        assert "It is published." in json.dumps(ended(url, found["task"]))
        twice = client.post(place, json={"decision": "deny"})
        assert (twice.status_code, "already approved" in twice.text) == (400, True)
        assert client.get("/admin/approvals/999").status_code == 404
        assert client.get("/admin/approvals?after=x").status_code == 400
