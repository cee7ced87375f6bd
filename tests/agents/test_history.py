from hector.agents.history import in_turns, messages_of
from hector.core.content import Message, Part, Text, ToolCall, ToolResult, user
from hector.core.event import Control, Event, InputRequired


def event(author: str, invocation: str, *parts: Part, role: str = "assistant", control: Control | None = None) -> Event:
    message = Message("user" if author == "user" else role, parts)  # type: ignore[arg-type]
    return Event(f"{author}-{invocation}", invocation, author, 0.0, message, control=control)


def test_interleaved_invocations_are_shown_one_after_the_other() -> None:
    log = [
        event("user", "1", Text("first")),
        event("user", "2", Text("second")),
        event("helper", "1", Text("answer to first")),
        event("user", "3", Text("third")),
    ]
    assert [message.text for message in messages_of(in_turns(log, "2"), "helper")] == [
        "first",
        "answer to first",
        "second",
    ]


def test_the_answer_to_a_question_is_its_tool_result() -> None:
    call = ToolCall("c1", "ask_user", {"question": "Which?"})
    log = [
        event("user", "1", Text("do it")),
        event("helper", "1", call),
        event("helper", "1", role="tool", control=InputRequired("c1", "Which?")),
        event("user", "2", Text("the red one")),
    ]
    assert messages_of(log, "helper")[-1] == Message("tool", (ToolResult("c1", "ask_user", (Text("the red one"),)),))


def test_another_agents_turn_is_reported_without_its_calls() -> None:
    log = [event("other", "1", Text("I looked."), ToolCall("c", "look", {}))]
    assert messages_of(log, "helper") == [user("[other said]\nI looked.")]
