"""What the agent of a step is told before a round: that one begins, unless the user has just spoken."""

from typing import Any

import pytest

from hector.agents.context import RunContext
from hector.agents.part import GO_ON, Part
from hector.core.clock import FakeClock
from hector.core.content import Message, Text, user
from hector.core.event import Event
from hector.core.task import Caller
from tests.flows.conftest import answer, plan, says
from tests.together.conftest import Open


def context_of(*events: Event) -> RunContext:
    """That of the last run."""
    return RunContext(Caller(), "s", "t", events[-1].invocation_id, FakeClock(), list(events), {}, stream=False)


def shown(*events: Event) -> list[str]:
    """What the agent `writer` of the plan `chief` is shown in the last run."""
    return [event.message.text for event in Part.of("chief", context_of(*events)).step_context("writer", "").events]


def said(author: str, text: str, invocation: str) -> Event:
    """A message."""
    message = user(text) if author == "user" else Message("assistant", (Text(text),))
    return Event(f"{author} {text}", invocation, author, 0.0, message)


@pytest.mark.proves("agents.loop", "agents.sequential")
def test_the_second_turn_begins_with_what_the_user_says() -> None:
    before = (said("user", "one", "i"), said("writer", "first", "i"))
    assert shown(*before, said("user", "two", "j")) == ["one", "first", "two"]


@pytest.mark.proves("agents.loop")
def test_the_next_round_is_announced_to_whoever_spoke_last() -> None:
    mark: dict[str, Any] = (
        Part.of("chief", context_of(said("user", "one", "i"))).mark({"step": "writer"}).metadata or {}
    )
    ended = Event("m", "i", "chief", 0.0, Message("assistant", ()), metadata=mark)
    assert shown(said("user", "one", "i"), said("writer", "first", "i"), ended) == ["one", "first", "", GO_ON]


@pytest.mark.proves("agents.loop", "agents.sequential")
async def test_a_conversation_with_a_plan_goes_on(company: Open) -> None:
    async with company({"one": says("hello")}, {"chief": plan("loop", "one", max_iterations=1)}) as it:
        task = await it.say("hi")
        assert answer(await it.say("again", context_id=task.context_id)) == "hello"
        assert GO_ON not in [event.message.text for event in await it.events(task)]
