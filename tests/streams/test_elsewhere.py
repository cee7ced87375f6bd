"""Following a task that another process runs: two or three task services on one PostgreSQL, in one event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

import pytest

from hector.core.errors import NotFound, NotSupported, StoreError
from hector.core.task import Caller, Task, TaskState
from hector.store.database import Connection
from hector.store.relay import Relays
from hector.tasks import mirrors
from hector.tasks import relay as relays
from hector.tasks.positions import Position
from hector.tasks.service import SendOptions
from tests.streams.reader import Reader
from tests.tasks.serving import ANA, PATIENCE, Serving, serving
from tests.tasks.test_service import answer_of, say

WORDS = " ".join(f"w{number}" for number in range(60))
PACED: dict[str, Any] = {"text": WORDS, "pace": "5ms"}
SLOW: dict[str, Any] = {"user": "slow", "text": "slow done", "delay": "700ms"}
ASKING: dict[str, Any] = {
    "user": "ask",
    "turn": 0,
    "tool_calls": [{"name": "ask_user", "args": {"question": "what?"}}],
}


class Start(Protocol):
    async def __call__(self, *rules: dict[str, Any], **agent: Any) -> Serving: ...


@pytest.fixture
async def start(postgres_ready: Any, request: pytest.FixtureRequest) -> AsyncIterator[Start]:
    """`await start(rules...)` is one more process on the test's database."""
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE * 2):

        async def one(*rules: dict[str, Any], **agent: Any) -> Serving:
            return await stack.enter_async_context(serving(str(postgres_ready), list(rules), **agent))

        yield one


async def begin(serving: Serving, text: str = "go", **envelope: Any) -> Task:
    task = await serving.service.send(ANA, "helper", say(text, **envelope), SendOptions(return_immediately=True))
    assert isinstance(task, Task)
    return task


async def follow(serving: Serving, task: Task) -> Reader:
    reader = Reader()
    await reader.read(await serving.service.subscribe(ANA, "helper", task.id))
    return reader


async def following(group: asyncio.TaskGroup, serving: Serving, task: Task) -> "tuple[Reader, asyncio.Task[None]]":
    """A reader that has begun to read."""
    reader = Reader()
    stream = await serving.service.subscribe(ANA, "helper", task.id)
    return reader, group.create_task(reader.read(stream))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.005)


@pytest.mark.proves("streams.elsewhere")
async def test_whoever_follows_from_elsewhere_sees_the_same_updates_in_the_same_order(start: Start) -> None:
    a, b = await start({**PACED, "delay": "300ms"}), await start(PACED)
    task = await begin(a)
    async with asyncio.TaskGroup() as group:
        here, _ = await following(group, a, task)
        there, _ = await following(group, b, task)
    assert there.snapshots == 1
    assert there.text == here.text == WORDS
    assert here.states[-2:] == there.states[-2:] == [TaskState.WORKING, TaskState.COMPLETED]
    assert len(there.numbered) > 50
    assert there.numbered == here.numbered[-len(there.numbered) :]


@pytest.mark.proves("streams.elsewhere")
async def test_whoever_comes_late_gets_what_was_said_and_what_follows(start: Start) -> None:
    a, b = await start(PACED), await start(PACED)
    task = await begin(a)
    early, late = Reader(), Reader()
    await early.read(await a.service.subscribe(ANA, "helper", task.id), batches=10)
    stream = await b.service.subscribe(ANA, "helper", task.id)
    assert isinstance(stream.first, Task)
    assert answer_of(stream.first).startswith(early.text)
    await late.read(stream)
    assert late.text == WORDS
    assert late.states == [TaskState.WORKING, TaskState.COMPLETED]


@pytest.mark.proves("streams.positions")
@pytest.mark.parametrize("portion", [1, 3])
async def test_a_reader_that_is_cut_off_and_changes_servers_sees_everything_once(start: Start, portion: int) -> None:
    a, b = await start(PACED), await start(PACED)
    task = await begin(a)
    reader, servers = Reader(), [a, b, b]
    for turn in range(1_000):
        serving = servers[turn % 3]
        await reader.read(await serving.service.subscribe(ANA, "helper", task.id, reader.at), batches=portion)
        if reader.over:
            break
    assert reader.text == WORDS
    assert reader.snapshots == 1
    numbers = [position.number for position, _ in reader.numbered]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_what_waits_for_its_session_is_followed_from_its_beginning(start: Start) -> None:
    a, b = await start(SLOW, PACED), await start(SLOW, PACED)
    await begin(a, "slow", context_id="c")
    task = await begin(a, "go", context_id="c")
    assert task.status.state is TaskState.SUBMITTED
    async with asyncio.TaskGroup() as group:
        readers = [(await following(group, serving, task))[0] for serving in (a, b)]
    for reader in readers:
        assert reader.states == [TaskState.SUBMITTED, TaskState.WORKING, TaskState.COMPLETED]
        assert reader.text == WORDS
        assert [position.number for position, _ in reader.numbered][-1] > 50


async def test_a_send_waits_for_a_session_that_is_busy_elsewhere(start: Start) -> None:
    a, b = await start(SLOW, PACED), await start(SLOW, PACED)
    await begin(a, "slow", context_id="c")
    answer = await b.service.send(ANA, "helper", say("go", context_id="c"), SendOptions())
    assert isinstance(answer, Task)
    assert answer.status.state is TaskState.COMPLETED
    assert answer_of(answer) == WORDS


async def test_a_stream_may_wait_for_a_session_that_is_busy_elsewhere(start: Start) -> None:
    a, b = await start(SLOW, PACED), await start(SLOW, PACED)
    await begin(a, "slow", context_id="c")
    reader = Reader()
    await reader.read(await b.service.stream(ANA, "helper", say("go", context_id="c"), SendOptions()))
    assert reader.states == [TaskState.SUBMITTED, TaskState.WORKING, TaskState.COMPLETED]
    assert reader.text == WORDS


@pytest.mark.proves("streams.takeover")
async def test_readers_go_on_with_whoever_takes_a_run_over(start: Start) -> None:
    rules = {**PACED, "pace": "20ms"}
    a, b, c = await start(rules), await start(rules), await start(rules)
    task = await begin(a)
    async with asyncio.TaskGroup() as group:
        readers = [(await following(group, serving, task))[0] for serving in (b, c)]
        await until(lambda: all("w3" in reader.text and reader.numbered for reader in readers))
        a.fall_silent()
    for reader in readers:
        assert reader.text == WORDS
        assert reader.states == [TaskState.WORKING, TaskState.COMPLETED]
        assert {position.epoch.fence for position, _ in reader.numbered} == {1, 3}
        positions = [position for position, _ in reader.numbered]
        assert positions == sorted(set(positions))


@pytest.mark.proves("streams.cancel")
async def test_a_cancel_from_anywhere_ends_every_stream(start: Start) -> None:
    a, b, c = [await start({**PACED, "pace": "200ms"}) for _ in range(3)]
    task = await begin(a)
    async with asyncio.TaskGroup() as group:
        readers = [(await following(group, serving, task))[0] for serving in (a, b, c)]
        await until(lambda: all(reader.text for reader in readers))
        assert (await b.service.cancel(ANA, "helper", task.id)).status.state is TaskState.CANCELED
    assert [reader.states[-1] for reader in readers] == [TaskState.CANCELED] * 3


async def test_a_subscription_lives_through_a_question_that_is_answered_elsewhere(start: Start) -> None:
    rules = (ASKING, {"text": "thanks"})
    a, b, c = [await start(*rules, tools=["ask_user"]) for _ in range(3)]
    task = await begin(a, "ask")
    await a.ended(task.id)
    async with asyncio.TaskGroup() as group:
        readers = [(await following(group, serving, task))[0] for serving in (a, b, c)]
        await begin(b, "that", task_id=task.id)
    for reader in readers:
        assert [state for state in reader.states if state is not TaskState.SUBMITTED] == [
            TaskState.INPUT_REQUIRED,
            TaskState.WORKING,
            TaskState.COMPLETED,
        ]
        assert reader.text == "thanks"


@pytest.mark.proves("streams.unrelayed")
async def test_an_end_that_nobody_relays_ends_every_stream(start: Start) -> None:
    a, b = await start(PACED), await start(PACED)
    a.worker._keeping[0].cancel()
    task = await begin(a)
    reader = await follow(b, task)
    assert reader.text == WORDS
    assert reader.states == [TaskState.WORKING, TaskState.COMPLETED]
    assert not reader.numbered


@pytest.mark.proves("streams.unrelayed")
async def test_a_relay_that_is_refused_harms_no_run(start: Start, postgres: Any, postgres_ready: Any) -> None:
    a, b = await start(PACED), await start(PACED)
    database = str(postgres_ready).rpartition("/")[2].partition("?")[0]
    postgres.psql("ALTER TABLE relay RENAME TO away", database)
    task = await begin(a)
    async with asyncio.TaskGroup() as group:
        here, _ = await following(group, a, task)
        there, _ = await following(group, b, task)
    assert here.text == there.text == WORDS
    assert here.over
    assert there.over


@pytest.mark.proves("streams.unrelayed")
async def test_a_task_that_cannot_be_read_ends_its_own_stream_and_hides_no_other(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    late = {"text": "late", "delay": "60s"}
    a, b = await start(late), await start(late)
    broken, sound = await begin(a), await begin(a)
    async with asyncio.TaskGroup() as group:
        of_broken, _ = await following(group, b, broken)
        of_sound, _ = await following(group, b, sound)
        a.worker._keeping[0].cancel()  # nobody relays any more

        async def end(con: Connection) -> None:
            await con.execute("UPDATE jobs SET state = 'failed', fence = fence + 1, ended = 1")
            await con.execute("UPDATE tasks SET state = 'failed'")
            await con.execute("UPDATE tasks SET message = '{' WHERE id = ?", (broken.id,))

        await a.store.database.write(end)
    assert of_sound.states[-1] is TaskState.FAILED
    assert TaskState.FAILED not in of_broken.states
    assert [one.levelname for one in caplog.records if one.getMessage() == "a followed task cannot be read"] == [
        "WARNING"
    ]
    with pytest.raises(StoreError, match="is damaged"):
        await b.service.subscribe(ANA, "helper", broken.id)


@pytest.mark.parametrize("ended", [True, False])
async def test_nobody_follows_what_is_not_his_or_has_ended(start: Start, ended: bool) -> None:
    a, b = await start(PACED), await start(PACED)
    task = await begin(a)
    if ended:
        await follow(a, task)
        with pytest.raises(NotSupported, match="nothing to follow"):
            await b.service.subscribe(ANA, "helper", task.id)
    with pytest.raises(NotFound):
        await b.service.subscribe(Caller(user="bob"), "helper", task.id)


@pytest.mark.proves("streams.positions")
async def test_who_missed_the_end_is_told_it(start: Start) -> None:
    a, b = await start(PACED), await start(PACED)
    task = await begin(a)
    reader = Reader()
    await reader.read(await a.service.subscribe(ANA, "helper", task.id), batches=3)
    at = reader.at
    await a.ended(task.id)
    late = Reader()
    await late.read(await b.service.subscribe(ANA, "helper", task.id, at))
    assert (late.snapshots, late.text, late.states) == (1, WORDS, [TaskState.COMPLETED])
    await reader.read(await a.service.subscribe(ANA, "helper", task.id, at))
    assert (reader.snapshots, reader.text, reader.over) == (1, WORDS, True)
    for either in (a, b):
        assert late.at is not None
        with pytest.raises(NotSupported, match="nothing to follow"):
            await either.service.subscribe(ANA, "helper", task.id, late.at)


async def test_a_stream_that_is_asked_for_again_is_not_a_new_message(start: Start) -> None:
    a, b = await start(PACED), await start(PACED)
    message, reader = say("go"), Reader()
    await reader.read(await a.service.stream(ANA, "helper", message, SendOptions()), batches=4)
    for turn in range(1_000):
        serving = (b, a)[turn % 2]
        stream = await serving.service.stream(ANA, "helper", message, SendOptions(), reader.at)
        await reader.read(stream, batches=3)
        if reader.over:
            break
    assert (reader.text, reader.snapshots) == (WORDS, 1)
    again = await a.service.stream(ANA, "helper", message, SendOptions(), Position.parse("1.1-end"))
    assert isinstance(again.first, Task)
    assert again.first.status.state is TaskState.COMPLETED
    other = await a.service.stream(ANA, "helper", say("go"), SendOptions(), reader.at)
    assert isinstance(other.first, Task)
    assert other.first.id != again.first.id
    await other.aclose()


@pytest.mark.proves("streams.bounded")
async def test_who_no_longer_follows_is_no_longer_served(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "LINGER", 0.1)
    monkeypatch.setattr(mirrors, "RENEW", 0.1)
    monkeypatch.setattr(relays, "INTEREST", 0.3)
    a, b = await start({**PACED, "pace": "100ms"}), await start(PACED)
    task = await begin(a)
    reader = Reader()
    await reader.read(await b.service.subscribe(ANA, "helper", task.id), batches=2)
    giving, taking = a.worker.follower._remote, b.worker.follower._remote
    assert giving is not None
    assert taking is not None
    assert giving._relay._feeds
    await until(lambda: not giving._relay._feeds and not taking._mirrors._mirrors)
    assert not a.worker.channels.of(task.id)._taps
    assert await Relays(a.store.database).sweep(0.0) > 0
    await reader.read(await b.service.subscribe(ANA, "helper", task.id, reader.at), batches=3)
    assert reader.snapshots == 1
    await a.service.cancel(ANA, "helper", task.id)
