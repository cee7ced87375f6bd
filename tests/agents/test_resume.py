"""A run goes on from any of its events: nothing that was finished happens again, nothing is forgotten."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hector.agents.history import ANSWERS, messages_of
from hector.core.content import Message, Text, ToolResult
from hector.core.errors import AgentError
from hector.core.event import ApprovalRequired, Event, InputRequired, Rejected
from hector.core.ports import ToolPolicy
from tests.agents.conftest import Bench, decided, said

Make = Callable[..., Bench]
BOTH: list[dict[str, Any]] = [
    {"turn": 0, "text": "Looking.", "tool_calls": [{"name": "look"}, {"name": "send", "args": {"to": "bob"}}]},
    {"turn": 1, "tool_calls": [{"name": "look", "args": {"at": "that"}}]},
    {"tool_result": "look", "text": "Done: \\g<0>"},
]
ASK_FIRST = {"send": ToolPolicy(approval=True)}


def shape(event: Event) -> tuple[Any, ...]:
    """What an event says, ids and times left out."""
    return (
        event.author,
        event.message.role,
        tuple(part.call_id if isinstance(part, ToolResult) else type(part).__name__ for part in event.message.parts),
        event.started,
        type(event.control).__name__,
    )


def texts(message: Message) -> list[str]:
    """The words of the results in a message."""
    found = [part for part in message.parts if isinstance(part, ToolResult)]
    return ["".join(item.text for item in part.content if isinstance(item, Text)) for part in found]


def notes(events: list[Event]) -> str:
    """All words of all results."""
    return "\n".join(text for event in events for text in texts(event.message))


@pytest.mark.proves("resume.events")
async def test_a_run_that_stops_after_any_event_ends_as_if_it_had_not(bench: Make) -> None:
    start = [said("go")]
    whole = bench(BOTH, {"send": ToolPolicy(on_unknown="retry")})
    events = await whole.run(start)
    assert len(events) == 5
    for cut in range(len(events) + 1):
        again = bench(BOTH, {"send": ToolPolicy(on_unknown="retry")})
        rest = await again.run(start + events[:cut])
        assert [shape(event) for event in events[:cut] + rest] == [shape(event) for event in events], cut
        asked_before = sum(event.message.role == "assistant" for event in events[:cut])
        assert len(again.model.requests) == 3 - asked_before
        finished = {result.call_id for event in events[:cut] for result in event.tool_results}
        assert again.effects.total() == 3 - len(finished)


async def test_a_resumed_run_shows_the_model_what_it_would_have_seen(bench: Make) -> None:
    start = [said("go")]
    whole = bench(BOTH)
    events = await whole.run(start)
    again = bench(BOTH)
    await again.run(start + events[:2])
    assert [list(request.messages) for request in again.model.requests] == [
        list(request.messages) for request in whole.model.requests[1:]
    ]


async def test_the_model_turn_announces_what_runs_at_once(bench: Make) -> None:
    events = await bench(BOTH).run([said("go")])
    assert events[0].started == ("call_1", "call_2")
    assert [event.started for event in events[1:]] == [(), ("call_3",), (), ()]


@pytest.mark.proves("resume.unknown")
@pytest.mark.parametrize("policy", ["ask", "retry", "fail"])
async def test_a_call_that_was_cut_off_follows_its_tool(bench: Make, policy: Any) -> None:
    start = [said("go")]
    first = bench(BOTH, {"send": ToolPolicy(on_unknown=policy)})
    events = await first.run(start, until=lambda event: bool(event.started))
    second = bench(BOTH, {"send": ToolPolicy(on_unknown=policy)})
    rest = await second.run(start + events)
    assert second.effects["look"] == (1 if policy == "ask" else 2), "an idempotent call is simply run again"
    if policy == "ask":
        pause = rest[-1].control
        assert isinstance(pause, ApprovalRequired)
        assert [(call.name, call.interrupted) for call in pause.calls] == [("send", True)]
        assert "not known whether it took effect" in pause.calls[0].prompt
        assert second.effects["send"] == 0
    elif policy == "retry":
        assert second.effects["send"] == 1
        assert second.effect_ids == [f"{events[0].id}.1"], "the same id as the first time"
    else:
        assert second.effects["send"] == 0
        assert "not known whether it took effect" in notes(rest)
        assert rest[-1].message.text.startswith("Done")


@pytest.mark.parametrize("word", ["approve", "deny"])
async def test_a_person_decides_about_a_call_that_was_cut_off(bench: Make, word: str) -> None:
    start = [said("go")]
    events = await bench(BOTH).run(start, until=lambda event: bool(event.started))
    again = bench(BOTH)
    log = start + events
    log += await again.run(log)
    log.append(decided(log[-1], call_2=word))
    rest = await again.run(log)
    assert again.effects["send"] == (word == "approve")
    assert ("not known whether it took effect" in notes(rest)) == (word == "deny")
    assert rest[-1].message.text.startswith("Done")


@pytest.mark.proves("approval.parallel")
async def test_calls_that_need_no_approval_run_before_the_run_pauses(bench: Make) -> None:
    one = bench(BOTH, ASK_FIRST)
    events = await one.run([said("go")])
    assert [shape(event) for event in events] == [
        ("helper", "assistant", ("Text", "ToolCall", "ToolCall"), ("call_1",), "NoneType"),
        ("helper", "tool", ("call_1",), (), "NoneType"),
        ("helper", "tool", (), (), "ApprovalRequired"),
    ]
    assert one.effects == {"look": 1}


async def test_an_approved_call_is_announced_then_run_with_the_arguments_that_were_shown(bench: Make) -> None:
    one = bench(BOTH, ASK_FIRST)
    log = [said("go")]
    log += await one.run(log)
    pause = log[-1]
    assert isinstance(pause.control, ApprovalRequired)
    assert pause.control.calls[0].args == {"to": "bob"}
    log.append(decided(pause, call_2="approve"))
    rest = await one.run(log)
    assert (rest[0].message.parts, rest[0].started) == ((), ("call_2",))
    assert notes(rest[1:2]) == "sent to bob"
    assert rest[-1].message.text.startswith("Done")
    assert one.effects["send"] == 1
    for cut in range(len(rest) + 1):
        again = bench(BOTH, ASK_FIRST | {"send": ToolPolicy(approval=True, on_unknown="retry")})
        more = await again.run(log + rest[:cut])
        assert rest[:cut] + more, cut
        assert again.effects["send"] == (cut < 2), "not again once there is a result"


async def test_a_denied_call_is_answered_and_the_model_goes_on(bench: Make) -> None:
    one = bench(BOTH, ASK_FIRST)
    log = [said("go")]
    log += await one.run(log)
    answer = decided(log[-1], call_2="deny")
    assert answer.metadata is not None
    answer.metadata["decisions"]["call_2"]["comment"] = "not to him"
    rest = await one.run([*log, answer])
    assert "denied" in notes(rest[:1])
    assert "not to him" in notes(rest[:1])
    assert one.effects["send"] == 0
    messages = messages_of([*log, answer, *rest], "helper")
    assert [message.role for message in messages] == ["user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert [part.call_id for part in messages[2].parts if isinstance(part, ToolResult)] == ["call_1", "call_2"]


async def test_an_approval_for_other_arguments_is_none(bench: Make) -> None:
    one = bench(BOTH, ASK_FIRST)
    log = [said("go")]
    log += await one.run(log)
    answer = decided(log[-1], call_2="approve")
    assert answer.metadata is not None
    answer.metadata["decisions"]["call_2"]["args_hash"] = "0" * 64
    rest = await one.run([*log, answer])
    assert one.effects["send"] == 0
    assert isinstance(rest[-1].control, ApprovalRequired)


TWICE: list[dict[str, Any]] = [
    {"turn": 0, "tool_calls": [{"name": "send", "args": {"to": "a"}}, {"name": "send", "args": {"to": "b"}}]},
    {"tool_result": "send", "text": "Done"},
]


@pytest.mark.proves("approval.partial")
async def test_calls_that_nobody_decided_about_are_asked_for_again(bench: Make) -> None:
    one = bench(TWICE, {"send": ToolPolicy(approval=True, expires=60.0)})
    log = [said("go")]
    log += await one.run(log)
    first = log[-1].control
    assert isinstance(first, ApprovalRequired)
    log.append(decided(log[-1], call_1="approve"))
    log += await one.run(log)
    second = log[-1].control
    assert isinstance(second, ApprovalRequired)
    assert second.calls == first.calls[1:], "unchanged, with the time that it had"
    assert one.effects["send"] == 1
    log.append(decided(log[-1], call_2="deny"))
    rest = await one.run(log)
    assert rest[-1].message.text == "Done"
    assert one.effects["send"] == 1


async def test_an_expired_approval_is_answered_with_that_reason(bench: Make) -> None:
    one = bench(BOTH, {"send": ToolPolicy(approval=True, expires=60.0)})
    log = [said("go")]
    log += await one.run(log)
    log.append(decided(log[-1], call_2="expire"))
    assert "in time" in notes(await one.run(log))
    assert one.effects["send"] == 0


QUESTION: list[dict[str, Any]] = [
    {
        "turn": 0,
        "tool_calls": [
            {"name": "ask_user", "args": {"question": "Which?"}},
            {"name": "send", "args": {"to": "bob"}},
            {"name": "look"},
        ],
    },
    {"tool_result": "ask_user", "text": "You said \\g<0>"},
]


@pytest.mark.proves("a2a.ask-user")
async def test_a_question_an_approval_and_a_plain_call_of_one_turn(bench: Make) -> None:
    one = bench(QUESTION, ASK_FIRST)
    log = [said("go")]
    log += await one.run(log)
    first = log[-1].control
    assert isinstance(first, InputRequired)
    log.append(said("the red one", **{ANSWERS: log[-1].id}))
    log += await one.run(log)
    second = log[-1].control
    assert isinstance(second, ApprovalRequired), "the question first, then the approval"
    log.append(decided(log[-1], call_2="approve"))
    rest = await one.run(log)
    assert texts(one.model.requests[-1].messages[-1]) == ["the red one", "sent to bob", "saw it"]
    assert rest[-1].message.text.startswith("You said")
    assert one.effects == {"look": 1, "send": 1}


async def test_what_was_said_in_between_does_not_come_between_a_call_and_its_result(bench: Make) -> None:
    rules = [{"user": "hello", "text": "Hi."}, *BOTH]
    one = bench(rules, ASK_FIRST)
    log = [said("go")]
    log += await one.run(log)
    pause = log[-1]
    log.append(said("hello"))
    log += await one.run(log)
    other = one.model.requests[-1].messages
    assert "waits for the approval" in texts(other[2])[1]
    log.append(decided(pause, call_2="approve"))
    rest = await one.run(log)
    assert rest[-1].message.text.startswith("Done")
    assert [message.role for message in one.model.requests[-1].messages] == [
        "user", "assistant", "tool", "assistant", "tool",
    ]  # fmt: skip


async def test_an_ended_run_adds_nothing(bench: Make) -> None:
    rules = [{"tool_calls": [{"name": "reject_task", "args": {"reason": "no"}}, {"name": "send"}]}]
    one = bench(rules, ASK_FIRST)
    log = [said("go")]
    log += await one.run(log)
    assert isinstance(log[-1].control, Rejected)
    assert await one.run(log) == []
    assert one.effects["send"] == 0
    plain = bench([{"text": "hello"}])
    log = [said("hi")]
    log += await plain.run(log)
    assert await plain.run(log) == []


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.mark.proves("agents.structured-output")
async def test_a_repair_of_a_structured_answer_survives_and_is_forgotten_later(bench: Make) -> None:
    rules = [{"user": "does not fit", "text": '{"n": 1}'}, {"text": '{"n": "x"}'}]
    one = bench(rules, output=SCHEMA)
    start = [said("count")]
    events = await one.run(start)
    assert [event.message.text for event in events] == ['{"n": "x"}', '{"n": 1}']
    again = bench(rules, output=SCHEMA)
    assert [event.message.text for event in await again.run(start + events[:1])] == ['{"n": 1}']
    assert len(again.model.requests) == 1
    log = [*start, *events, said("next")]
    assert [message.text for message in messages_of(log, "helper", log[-1].invocation_id)] == [
        "count", '{"n": 1}', "next",
    ]  # fmt: skip


async def test_the_limit_of_model_calls_counts_those_before_the_stop(bench: Make) -> None:
    one = bench([{"tool_calls": [{"name": "look"}]}])
    one.agent = replace(one.agent, max_iterations=3)
    log = [said("go")]
    with pytest.raises(AgentError, match="within 3 model calls"):
        await one.run(log)
    assert len(one.model.requests) == 3
