import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hector.tasks.order import Place, Turns


@contextmanager
def joined(turns: Turns, key: str) -> Iterator[Place]:
    place = turns.join(key)
    try:
        yield place
    finally:
        place.leave()


async def test_arrivals_are_served_in_order_and_keys_do_not_wait_for_each_other() -> None:
    turns, seen = Turns(), list[str]()
    gate = asyncio.Event()

    async def work(key: str, name: str) -> None:
        with joined(turns, key) as place:
            await place.turn()
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
    assert "a" not in turns


async def test_the_order_is_that_of_joining_not_of_asking_for_the_turn() -> None:
    turns = Turns()
    with joined(turns, "a") as first:
        with joined(turns, "a") as second:
            assert (first.first, second.first) == (True, False)
            waiting = asyncio.create_task(second.turn())
            await first.turn()
            await asyncio.sleep(0)
            assert not waiting.done()
            waiting.cancel()
        with joined(turns, "a") as third:
            assert not third.first
    assert "a" not in turns


async def test_a_cancelled_waiter_leaves_the_queue_intact() -> None:
    turns, seen = Turns(), list[str]()

    async def work(name: str) -> None:
        with joined(turns, "a") as place:
            await place.turn()
            seen.append(name)

    async with asyncio.TaskGroup() as group:
        with joined(turns, "a"):
            waiting = [group.create_task(work(name)) for name in ("second", "third", "fourth")]
            await asyncio.sleep(0)
            waiting[1].cancel()
            await asyncio.wait((waiting[1],))
        await asyncio.wait(waiting)
    assert seen == ["second", "fourth"]
    assert "a" not in turns


async def test_a_waiter_cancelled_just_after_it_was_given_the_turn_hands_it_on() -> None:
    turns, seen = Turns(), list[str]()

    async def work(name: str) -> None:
        with joined(turns, "a") as place:
            await place.turn()
            seen.append(name)

    async with asyncio.TaskGroup() as group:
        with joined(turns, "a"):
            second, third = group.create_task(work("second")), group.create_task(work("third"))
            await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait((second, third))
    assert seen == ["third"]


async def test_an_error_inside_frees_the_key() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="boom"), joined(turns, "a"):
        raise ValueError("boom")
    assert "a" not in turns
