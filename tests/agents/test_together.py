"""Several streams of steps as one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from hector.agents.approval import Waiting
from hector.agents.delegation import branch_of, depth_of, seen_from
from hector.agents.history import ANSWERS
from hector.agents.invoke import Answered
from hector.agents.together import Step, together
from hector.core.content import Message, Text, user
from hector.core.errors import AgentError, ModelUnavailable
from hector.core.event import Control, Event, InputRequired, Partial, Rejected


def piece(text: str) -> Partial:
    return Partial(text, ())


async def source(*steps: Step | BaseException, log: list[str] | None = None) -> AsyncGenerator[Step]:
    try:
        for step in steps:
            await asyncio.sleep(0)
            if isinstance(step, BaseException):
                raise step
            yield step
            if log is not None:
                log.append("went on")
    finally:
        if log is not None:
            log.append("closed")


async def test_an_error_waits_for_the_others_to_end() -> None:
    seen: list[Step] = []

    async def take_all(steps: AsyncGenerator[Step]) -> None:
        async for step in steps:
            seen.append(step)

    steps = together([source(ModelUnavailable("away")), source(*(piece(str(at)) for at in range(20)))])
    with pytest.raises(ModelUnavailable, match="away"):
        await take_all(steps)
    assert [step.author for step in seen if isinstance(step, Partial)] == [str(at) for at in range(20)]


async def test_what_cancels_itself_does_not_count_as_a_cancelled_run() -> None:
    with pytest.raises(AgentError, match="was cancelled"):
        await anext(together([source(asyncio.CancelledError())]))


async def test_what_ends_or_pauses_comes_last_and_in_order() -> None:
    ends = Answered((), (), {}, Rejected("no"))
    first, second = Waiting((InputRequired("a", "?"),), ()), Waiting((InputRequired("b", "?"),), ())
    steps = together([source(ends), source(piece("x"), piece("y"), first), source(second)])
    assert [step async for step in steps] == [piece("x"), piece("y"), ends, first, second]


async def test_a_source_goes_on_only_when_its_step_has_been_dealt_with() -> None:
    log: list[str] = []
    async with aclosing(together([source(piece("x"), piece("y"), log=log)])) as steps:
        assert await anext(steps) == piece("x")
        await asyncio.sleep(0.01)
        assert log == []
        assert await anext(steps) == piece("y")
        assert log == ["went on"]
    assert log == ["went on", "closed"]


async def test_closing_closes_every_source() -> None:
    logs: list[list[str]] = [[], [], []]
    async with aclosing(together([source(piece("x"), log=log) for log in logs])) as steps:
        await anext(steps)
    assert [log[-1] for log in logs] == ["closed"] * 3


def test_branches_are_told_apart_whatever_the_ids_are() -> None:
    one, *others = (branch_of("", "a", call) for call in ("call_1", "call.1", "call@1", "call/1"))
    assert one == "a@call_1"
    assert len({one, *others}) == 4
    assert [depth_of(branch) for branch in ("", others[0], branch_of(one, "b", "c.d"))] == [0, 1, 2]


def test_a_called_agent_sees_what_concerns_it_since_it_was_called() -> None:
    def event(name: str, author: str, branch: str = "", control: Control | None = None, answers: str = "") -> Event:
        metadata = {ANSWERS: answers} if answers else None
        message = Message("user" if author == "user" else "assistant", (Text(name),))
        return Event(name, "i", author, 0.0, message, branch, control=control, metadata=metadata)

    turn = event("turn", "chief")
    log = [
        event("old", "a", "a@1"),
        turn,
        event("mine", "a", "a@1"),
        event("below", "b", "a@1.b@2"),
        event("other", "a", "a@10"),
        event("pause", "chief", control=InputRequired("x", "?", "b", "a@1.b@2")),
        event("answer", "user", answers="pause"),
        event("pause of others", "chief", control=InputRequired("y", "?", "a", "a@10")),
        event("answer to others", "user", answers="pause of others"),
        event("unrelated", "user"),
    ]
    seen = seen_from("a@1", log, turn, "do it")
    assert [one.message.text for one in seen] == ["do it", "mine", "below", "pause", "answer"]
    assert seen[0].message == user("do it")
    assert [one.message.text for one in seen_from("a@1", log[:1], turn, "do it")] == ["do it"]
