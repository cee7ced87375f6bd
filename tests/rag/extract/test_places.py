"""Nobody's documents wait for those of others for long."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from hector.rag.extract.places import Owner, Places, next_owner

pytestmark = pytest.mark.proves("rag.extract.fair")
A1, A2, B1 = ("a", "one"), ("a", "two"), ("b", "one")


@pytest.mark.parametrize(
    ("waiting", "reading", "expected"),
    [
        ([], {}, None),
        ([A1], {}, A1),
        ([A1], {A1: 2}, None),
        ([A1, A2], {A1: 2}, A2),  # a store that has none: one place more
        ([A2], {A1: 2, A2: 1}, None),
        ([A2, B1], {A1: 2, A2: 1}, B1),  # an app that has none: two
        ([B1], {A1: 3, B1: 1}, None),
        ([A1, B1], {A1: 1}, B1),
        ([A1, B1], {A1: 1, B1: 1}, None),
        ([B1, A1], {}, B1),  # the longest wait
    ],
)
def test_whose_turn_it_is(waiting: list[Owner], reading: dict[Owner, int], expected: Owner | None) -> None:
    assert next_owner(waiting, reading, 2) == expected


async def test_a_crowd_holds_nobody_up() -> None:
    places, begun, end = Places(2), Counter[Owner](), asyncio.Event()

    async def read(owner: Owner) -> None:
        async with places.one(owner):
            begun[owner] += 1
            if owner == A1:
                await end.wait()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(read(A1))  # each of them takes for ever
        others = [group.create_task(read(owner)) for owner in (A2, B1) for _ in range(20)]
        await asyncio.wait(others)
        assert begun == {A1: 2, A2: 20, B1: 20}
        end.set()
    assert begun[A1] == 50


async def test_who_gives_up_leaves_no_place_taken() -> None:
    places = Places(1)
    async with AsyncExitStack() as held:
        await held.enter_async_context(places.one(A1))
        waiting = [asyncio.ensure_future(held.enter_async_context(places.one(A1))) for _ in range(3)]
        await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
    async with asyncio.timeout(60), places.one(A1):
        pass
