"""Which units of work share a batch."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from hector.store.groupcommit import MOST_TURNS, Outcome, Pool, Unit


class _Noting:
    """An engine that notes its batches."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []

    def run(self, batch: Sequence[Unit]) -> list[Outcome]:
        values = [work(None) for work, _ in batch]
        self.batches.append(values)
        return [(future, value, None) for value, (_, future) in zip(values, batch, strict=True)]

    def close(self) -> None:
        pass


def _place(place: tuple[int, int], _con: object) -> tuple[int, int]:
    return place


async def _submitted(turns: Sequence[int]) -> list[list[Any]]:
    """The batches of units of which so many are handed in during each turn of the loop."""
    engine = _Noting()
    pool = Pool("test", [engine], 256)
    waiting: list[asyncio.Future[Any]] = []
    for turn, count in enumerate(turns):
        waiting += [pool.submit(partial(_place, (turn, number))) for number in range(count)]
        await asyncio.sleep(0)
    found = [await one for one in waiting]
    await pool.aclose()
    assert found == [(turn, number) for turn, count in enumerate(turns) for number in range(count)]
    return engine.batches


async def test_those_of_turns_that_follow_each_other_share_a_batch() -> None:
    assert await _submitted([2, 2, 2, 0]) == [[(turn, number) for turn in range(3) for number in range(2)]]


class _Watched(Pool):
    """Notes how many units are handed over at a time."""

    def __init__(self, limit: int) -> None:
        super().__init__("test", [_Noting()], limit)
        self.handed: list[int] = []

    def _hand_over(self) -> None:
        self.handed.append(len(self._waiting))
        super()._hand_over()


@pytest.mark.parametrize(("limit", "count", "handed"), [(256, 1, [1]), (256, 2, []), (1, 2, [2])])
async def test_who_waits_longer_than_a_turn(limit: int, count: int, handed: list[int]) -> None:
    """Neither one that comes alone, nor what is run one by one."""
    pool = _Watched(limit)
    futures = [pool.submit(partial(_place, (0, number))) for number in range(count)]
    await asyncio.sleep(0)
    assert pool.handed == handed
    assert [await future for future in futures] == [(0, number) for number in range(count)]
    await pool.aclose()


async def test_nobody_waits_for_others_without_end() -> None:
    engine = _Noting()
    pool = Pool("test", [engine], 256)
    first = pool.submit(lambda _: "first")
    others = []
    for _ in range(50 * MOST_TURNS):
        if first.done():
            break
        others += [pool.submit(lambda _: None) for _ in range(2)]
        await asyncio.sleep(0.001)
    assert first.done(), "it was held up for as long as others came"
    await asyncio.wait(others)
    await pool.aclose()
