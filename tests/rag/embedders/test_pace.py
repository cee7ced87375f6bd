"""Several calls at once, and less of them when a service has had enough."""

import asyncio

import pytest

from hector.core.clock import FakeClock
from hector.rag.embedders.pace import AT_ONCE, Pace

pytestmark = pytest.mark.proves("rag.embedders.pace")


async def held(pace: Pace, count: int) -> tuple[int, list["asyncio.Task[None]"], asyncio.Event]:
    """So many calls want to begin: how many did, and what lets them end."""
    begun, end = list[int](), asyncio.Event()

    async def call(number: int) -> None:
        async with pace.turn():
            begun.append(number)
            await end.wait()

    tasks = [asyncio.ensure_future(call(number)) for number in range(count)]
    for _ in range(2 * count):
        await asyncio.sleep(0)
    return len(begun), tasks, end


async def test_no_more_calls_than_are_allowed() -> None:
    pace = Pace(FakeClock())
    begun, tasks, end = await held(pace, 3 * AT_ONCE)
    assert begun == AT_ONCE
    end.set()
    await asyncio.wait(tasks, timeout=60)
    assert all(task.done() for task in tasks), "each gets its turn"


async def test_one_refusal_slows_all_of_them_down() -> None:
    clock = FakeClock()
    pace = Pace(clock)
    for _ in range(3):  # at the same time
        pace.slow_down(7)
    assert pace.allowed == AT_ONCE // 2
    begun, tasks, end = await held(pace, AT_ONCE)
    assert clock.slept[0] == pytest.approx(7), "nobody begins before the time that the service asks for"
    assert begun == AT_ONCE // 2
    end.set()
    await asyncio.wait(tasks, timeout=60)
    for _ in range(20):
        pace.answered()
    assert pace.allowed == AT_ONCE, "what goes well makes room again"


async def test_there_is_always_one() -> None:
    clock = FakeClock()
    pace = Pace(clock)
    for _ in range(10):
        pace.slow_down(1)
        await clock.sleep(2)
    assert pace.allowed == 1
