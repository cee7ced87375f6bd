import asyncio

import pytest

from hector.tasks.order import Turns


async def test_arrivals_are_served_in_order_and_keys_do_not_wait_for_each_other() -> None:
    turns, seen = Turns(), list[str]()
    gate = asyncio.Event()

    async def work(key: str, name: str) -> None:
        async with turns.hold(key):
            if name == "first":
                await gate.wait()
            seen.append(name)

    async with asyncio.TaskGroup() as group:
        for name in ("first", "second", "third"):
            group.create_task(work("a", name))
        other = group.create_task(work("b", "other"))
        await other
        assert seen == ["other"]
        gate.set()
    assert seen == ["other", "first", "second", "third"]
    assert not turns.busy("a")


async def test_a_cancelled_waiter_leaves_the_queue_intact() -> None:
    turns, seen = Turns(), list[str]()

    async def work(name: str) -> None:
        async with turns.hold("a"):
            seen.append(name)

    async with asyncio.TaskGroup() as group:
        async with turns.hold("a"):
            waiting = [group.create_task(work(name)) for name in ("second", "third", "fourth")]
            await asyncio.sleep(0)
            waiting[1].cancel()
            await asyncio.wait((waiting[1],))
        await asyncio.wait(waiting)
    assert seen == ["second", "fourth"]
    assert not turns.busy("a")


async def test_a_waiter_cancelled_just_after_it_was_given_the_turn_hands_it_on() -> None:
    turns, seen = Turns(), list[str]()

    async def work(name: str) -> None:
        async with turns.hold("a"):
            seen.append(name)

    async with asyncio.TaskGroup() as group:
        async with turns.hold("a"):
            second, third = group.create_task(work("second")), group.create_task(work("third"))
            await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait((second, third))
    assert seen == ["third"]


async def test_an_error_inside_frees_the_key() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="boom"):
        async with turns.hold("a"):
            raise ValueError("boom")
    assert not turns.busy("a")
