"""A running command is ended over HTTP, by whoever its task belongs to, and the run goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.bindings import events
from tests.web.live import Live, helper, live, user

RUNS = {"turn": 0, "tool_calls": [{"name": "shell", "args": {"command": "echo begun && sleep 120"}}]}
ENDED = {"tool_result": "shell", "tool_result_matches": "somebody has canceled it", "text": "It was ended."}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Live]:
    tool: dict[str, Any] = {"type": "command", "shell": True, "require_approval": False}
    tools = {"tools": {"shell": {**tool, "working_directory": str(tmp_path / "work")}}}
    with live({**helper(RUNS, ENDED, {"text": "It went wrong."}, tools=["shell"]), **tools}, tmp_path) as made:
        yield made


@pytest.mark.proves("command.cancel")
def test_a_command_is_ended_and_its_run_goes_on(server: Live) -> None:
    with server.client.stream("POST", "/message:stream", json={"message": user("go")}) as answer:
        stream = events(answer)
        task = next(stream)["task"]["id"]
        call = next(found for event in stream if (found := begun(event)))
        with httpx.Client(base_url=server.url) as other:
            assert other.post(f"/tasks/{task}/toolCalls/nope/cancel").status_code == 404
            assert other.post(f"/tasks/nope/toolCalls/{call}/cancel").status_code == 404
            done = other.post(f"/tasks/{task}/toolCalls/tool_{call}/cancel")
            assert (done.status_code, done.json()) == (
                200, {"cancelled": True, "task_id": task, "call_id": f"tool_{call}"},
            )  # fmt: skip
        list(stream)
    ended = server.client.get(f"/tasks/{task}").json()
    assert ended["status"]["state"] == "TASK_STATE_COMPLETED"
    assert ended["artifacts"][0]["parts"] == [{"text": "It was ended."}]
    assert server.client.post(f"/tasks/{task}/toolCalls/{call}/cancel").status_code == 404


@pytest.mark.proves("command.cancel")
def test_a_command_of_a_called_agent_goes_by_the_name_that_is_shown(tmp_path: Path) -> None:
    tool: dict[str, Any] = {"type": "command", "shell": True, "require_approval": False}
    asks = {"turn": 0, "tool_calls": [{"name": "hand", "args": {"request": "go"}}]}
    config = {
        "llms": {
            "chief": {"provider": "scripted", "rules": [asks, {"tool_result_matches": "(.+)", "text": r"\1"}]},
            "hand": {"provider": "scripted", "rules": [RUNS, ENDED, {"text": "It went wrong."}]},
        },
        "agents": {
            "chief": {"llm": "chief", "tools": [], "agent_tools": ["hand"]},
            "hand": {"llm": "hand", "tools": ["shell"]},
        },
        "tools": {"shell": {**tool, "working_directory": str(tmp_path / "work")}},
    }
    with live(config, tmp_path) as server, httpx.Client(base_url=server.url) as other:
        with server.client.stream("POST", "/message:stream", json={"message": user("go")}) as answer:
            stream = events(answer)
            task = next(stream)["task"]["id"]
            call = next(found for event in stream if (found := begun(event)))
            plain = call.rpartition(".")[2]
            assert call.startswith("hand@")
            assert call != plain
            assert other.post(f"/tasks/{task}/toolCalls/{plain}/cancel").status_code == 404
            assert other.post(f"/tasks/{task}/toolCalls/{call}/cancel").status_code == 200
            list(stream)
        assert server.client.get(f"/tasks/{task}").json()["artifacts"][0]["parts"] == [{"text": "It was ended."}]


def begun(event: Any) -> str:
    """The id of the call whose output an event shows."""
    said = event.get("statusUpdate", {}).get("status", {}).get("message", {})
    shown = (part for part in said.get("parts", ()) if part.get("metadata", {}).get("kind") == "toolProgress")
    return next((str(part["data"]["id"]) for part in shown), "")
