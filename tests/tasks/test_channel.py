import asyncio

import pytest

from hector.core.task import AnswerDelta, Status, StatusUpdate, TaskState, Update
from hector.tasks.channel import Channel
from hector.tasks.log import MOST_UPDATES
from hector.tasks.subscription import Subscription


def piece(number: int) -> AnswerDelta:
    return AnswerDelta(f"a{number}", (), first=False)


def status(state: TaskState) -> StatusUpdate:
    return StatusUpdate(Status(state, 0.0))


async def drain(subscription: Subscription) -> list[Update]:
    found: list[Update] = []
    while batch := await subscription.take():
        found += batch
    return found


@pytest.fixture
def emptied() -> list[str]:
    return []


@pytest.fixture
def channel(emptied: list[str]) -> Channel:
    return Channel(lambda: emptied.append("empty"))


async def test_all_subscribers_see_the_same_order_and_one_leaving_disturbs_nobody(channel: Channel) -> None:
    stays, leaves, late = (channel.subscribe(until_interrupted=False) for _ in range(3))
    reading = [asyncio.create_task(drain(stays)), asyncio.create_task(drain(late))]
    updates: list[Update] = []
    for number in range(100):
        updates.append(piece(number))
        channel.publish(updates[-1])
        if number % 7 == 0:
            await asyncio.sleep(0)
        if number == 50:
            leaves.close()
    updates.append(status(TaskState.COMPLETED))
    channel.publish(updates[-1])
    assert [await task for task in reading] == [updates, updates]


@pytest.mark.parametrize(("until_interrupted", "ends"), [(True, 2), (False, 4)])
async def test_a_subscription_goes_on_through_a_question_and_a_stream_does_not(
    channel: Channel, until_interrupted: bool, ends: int
) -> None:
    subscription = channel.subscribe(until_interrupted=until_interrupted)
    for state in (TaskState.WORKING, TaskState.INPUT_REQUIRED, TaskState.WORKING, TaskState.COMPLETED):
        channel.publish(status(state))
    channel.publish(piece(1))
    assert len(await drain(subscription)) == ends


async def test_a_reader_that_lags_too_far_is_cut_off_and_the_rest_go_on(channel: Channel) -> None:
    slow, quick = (channel.subscribe(until_interrupted=False) for _ in range(2))
    received = 0
    for number in range(MOST_UPDATES + 1):
        channel.publish(piece(number))
        if number % 1000 == 0:
            received += len(await quick.take())
    assert await drain(slow) == []
    channel.publish(status(TaskState.COMPLETED))
    assert received + len(await drain(quick)) == MOST_UPDATES + 2


async def test_the_channel_says_when_the_last_reader_has_left(channel: Channel, emptied: list[str]) -> None:
    first, second = (channel.subscribe(until_interrupted=False) for _ in range(2))
    first.close()
    first.close()
    assert not emptied
    waiting = asyncio.create_task(drain(second))
    await asyncio.sleep(0)
    channel.close()
    assert await waiting == []
    assert emptied == ["empty"]
