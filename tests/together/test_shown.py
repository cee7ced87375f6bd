"""What is said of several agents at once, from update to wire, to other processes, and in the log."""

from typing import Any

import pytest

from hector.a2a import render, v03
from hector.core.content import Text, ToolCall, ToolResult
from hector.core.event import (
    ApprovalRequired,
    Control,
    InputRequired,
    PendingCall,
    TextDelta,
    ThinkingDelta,
    Transfer,
    call_name,
)
from hector.core.task import AgentDelta, Status, Task, TaskState, ToolProgress, Update
from hector.store.codec import control_from_json, control_to_json
from hector.store.relay import Stretch, _from_row, _to_text

TASK = Task("t", "c", "chief", Status(TaskState.WORKING, 0.0))
SPOKEN = AgentDelta("call_1", "one", "one@call_1", (TextDelta("Let me "), ThinkingDelta("hm"), TextDelta("see")))
CALLED = ToolProgress(ToolCall("one@call_1.call_1", "look", {}), None, "one", "one@call_1")
DONE = ToolProgress(None, ToolResult("one@call_1.call_1", "look", (Text("x"),)), "one", "one@call_1")


@pytest.mark.proves("agents.together.shown")
@pytest.mark.parametrize(
    ("root", "author", "branch", "expected"),
    [
        ("chief", "chief", "", "c"),
        ("chief", "one", "", "one.c"),
        ("chief", "one", "one@x", "one@x.c"),
        ("chief", "two", "one@x", "one@x.two.c"),
        ("chief", "chief", "one@x", "one@x.chief.c"),
        ("chief", "low", "one@x.low@y", "one@x.low@y.c"),
    ],
)
def test_calls_go_by_names_that_no_two_share(root: str, author: str, branch: str, expected: str) -> None:
    assert call_name("c", author, branch, root) == expected


@pytest.mark.proves("agents.together.shown")
def test_progress_names_the_agent() -> None:
    status = render.event(TASK, SPOKEN)["statusUpdate"]["status"]
    assert status["state"] == "TASK_STATE_WORKING"
    message = status["message"]
    assert message["metadata"] == {"author": "one", "branch": "one@call_1"}
    assert message["messageId"] == "call_1-progress"
    (part,) = message["parts"]
    assert part == {
        "data": {
            "id": "call_1",
            "name": "one",
            "content": [{"text": "Let me "}, {"text": "hm", "metadata": {"kind": "thinking"}}, {"text": "see"}],
            "status": "working",
        },
        "metadata": {"kind": "toolProgress"},
    }
    for update in (CALLED, DONE):
        assert render.event(TASK, update)["statusUpdate"]["status"]["message"]["metadata"]["author"] == "one"
        assert v03.event(TASK, update)["status"]["message"]["metadata"]["author"] == "one"
    old = v03.event(TASK, SPOKEN)
    assert (old["final"], old["status"]["message"]["parts"][0]["data"]["status"]) == (False, "working")
    assert "metadata" not in render.event(TASK, ToolProgress(CALLED.call))["statusUpdate"]["status"]["message"]


@pytest.mark.proves("agents.together.shown")
@pytest.mark.parametrize("update", [SPOKEN, CALLED, DONE, ToolProgress(CALLED.call)])
def test_other_processes_are_told_the_same(update: Update) -> None:
    found = _from_row(1, "t", 1, 1, _to_text(Stretch("t", 1, 1, 5, (update,))))
    assert isinstance(found, Stretch)
    assert found.updates == (update,)


@pytest.mark.parametrize(
    "control",
    [
        Transfer("one", "do it"),
        InputRequired("c", "which?"),
        InputRequired("one@c.d", "which?", "one", "one@c"),
        ApprovalRequired((PendingCall("one@c.d", "send", {}, "h", "may I?", 1.0, False, "one", "one@c"),)),
    ],
)
def test_what_is_stored_reads_back(control: Any) -> None:
    stored: Control = control_from_json(control_to_json(control))
    assert stored == control
