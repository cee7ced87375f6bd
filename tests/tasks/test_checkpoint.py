"""When the steps of a run are written, and which runs that were cut off go on."""

from typing import Any

import pytest

from hector.agents.history import DECISIONS, REPAIR
from hector.agents.standing import FINISH
from hector.config.checkpoint import Checkpoint, Recovery
from hector.core.content import Message, Part, Text, ToolCall, ToolResult
from hector.core.event import ApprovalRequired, Event
from hector.tasks.checkpoint import Checkpoints, refusal


def event(role: Any, *parts: Part, **facts: Any) -> Event:
    """Something that the agent did."""
    return Event("e", "i", "helper", 0.0, Message(role, parts), **facts)


def call(name: str) -> ToolCall:
    return ToolCall(name, "look", {})


def result(name: str) -> ToolResult:
    return ToolResult(name, "look", (Text("x"),))


ROUND = (
    ("turn", event("assistant", call("1"), call("2"), started=("1", "2"))),
    ("first result", event("tool", result("1"))),
    ("second result", event("tool", result("2"))),
    ("asking turn", event("assistant", call("3"))),
    ("pause", event("tool", control=ApprovalRequired(()))),
    ("intent", event("tool", started=("3",))),
    ("third result", event("tool", result("3"))),
    ("repair", event("assistant", Text("no"), metadata={REPAIR: "mend"})),
    ("unfinished", event("assistant", Text("and"), metadata={FINISH: "pause"})),
    ("answer", event("assistant", Text("yes"))),
)
ALWAYS = {"turn", "intent"}
"""What takes effect next."""
TURNS = {"asking turn", "repair", "unfinished"}
RESULTS = {"first result", "second result", "third result"}
ASKS_NEXT = {"second result", "third result", "repair", "unfinished"}


def quiet(**settings: Any) -> Checkpoint:
    """Everything off but what is named."""
    return Checkpoint.model_validate({"strategy": "interval", "after_tools": False, "before_llm": False, **settings})


@pytest.mark.proves("durability.checkpoints", "state.checkpoints")
@pytest.mark.parametrize(
    ("settings", "written"),
    [
        (Checkpoint(), TURNS | RESULTS),
        (Checkpoint(enabled=False), set()),
        (quiet(), set()),
        (quiet(strategy="event"), TURNS),
        (quiet(strategy="hybrid"), TURNS),
        (quiet(after_tools=True), RESULTS),
        (quiet(before_llm=True), ASKS_NEXT),
        (quiet(interval=1), ASKS_NEXT),
        (quiet(interval=2), {"third result", "unfinished"}),
        (quiet(strategy="hybrid", interval=2), TURNS | {"third result"}),
        (quiet(strategy="event", interval=1), TURNS),
    ],
)
def test_each_setting_has_its_moments(settings: Checkpoint, written: set[str]) -> None:
    checkpoints = Checkpoints(settings)
    assert {name for name, found in ROUND if checkpoints.due(found)} == ALWAYS | written


@pytest.mark.proves("durability.checkpoints")
@pytest.mark.parametrize(
    ("settings", "silent_for", "decided", "text"),
    [
        (Recovery(), 60.0, True, None),
        (Recovery(auto_resume=False), 1.0, False, "auto_resume is off"),
        (Recovery(auto_resume_hitl=False), 1.0, True, "auto_resume_hitl is off"),
        (Recovery(auto_resume_hitl=False), 1.0, False, None),
        (Recovery(), 24 * 3600 + 1.0, False, "longer than storage.checkpoint.recovery.timeout"),
        (Recovery(timeout=0.0), 9e9, False, None),
    ],
)
def test_what_was_cut_off_goes_on_or_says_why_not(
    settings: Recovery, silent_for: float, decided: bool, text: str | None
) -> None:
    begun_by = event("user", Text("go"), metadata={DECISIONS: {}} if decided else None)
    found = refusal(settings, begun_by, 1e9, 1e9 + silent_for)
    assert (found is None) == (text is None)
    assert (text or "") in (found or "")
