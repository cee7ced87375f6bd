"""The worst moment for everything: what is cut off, cancelled, refused or overtaken still ends as what it is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Hashable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hector.apps.build import build
from hector.apps.registry import Apps
from hector.core.clock import SystemClock
from hector.core.content import Text
from hector.core.errors import NotFound, NotSupported, StoreUnavailable, TaskNotCancelable
from hector.core.ports import ToolOutput
from hector.core.task import StatusUpdate, Task, TaskQuery, TaskState
from hector.store import Store
from hector.store.database import Shortcut, Work
from hector.store.sqlite import SqliteDatabase
from hector.tasks.service import SendOptions, TaskService
from hector.tools.catalog import Catalog
from tests.tasks.conftest import configure
from tests.tasks.test_service import ANA, answer_of, ask, collect, say

T = TypeVar("T")
NOW = SendOptions(return_immediately=True)
SAVING: list[dict[str, Any]] = [
    {"turn": 0, "tool_calls": [{"name": "save_artifact", "args": {"name": "n", "text": "t"}}]},
    {"text": "done"},
]
ASKING: list[dict[str, Any]] = [
    {"turn": 0, "tool_calls": [{"name": "ask_user", "args": {"question": "Which?"}}]},
    {"text": "done"},
]


class SlowSqlite(SqliteDatabase):
    """SQLite whose answers to writes can be held back, and which can be away."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.away = 0
        self.held: list[asyncio.Event] = []
        self.passed = 0
        self.reached = asyncio.Event()

    def hold(self, writes: int, after: int = 0) -> list[asyncio.Event]:
        """Hold the answers to the next writes back until their events are set; `after` others are let through."""
        self.held = [asyncio.Event() for _ in range(writes)]
        self.passed = after
        self.reached.clear()
        return list(self.held)

    def write(self, work: Work[T], key: Hashable = None, shortcut: Shortcut[T] | None = None) -> Awaitable[T]:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("the database is away")
        handed_over = super().write(work)
        if not self.held or self.passed:
            self.passed = max(0, self.passed - 1)
            return handed_over
        return self._later(handed_over, self.held.pop(0))

    async def _later(self, handed_over: Awaitable[T], gate: asyncio.Event) -> T:
        answer = await handed_over
        self.reached.set()
        await gate.wait()
        return answer


class Bench:
    """A service over such a database."""

    def __init__(self, service: TaskService, database: SlowSqlite, apps: Apps, store: Store) -> None:
        self.service, self.database, self.apps, self.store = service, database, apps, store

    async def begin(self, text: str = "go", **envelope: Any) -> Task:
        task = await self.service.send(ANA, "helper", say(text, **envelope), NOW)
        assert isinstance(task, Task)
        return task

    async def state(self, task_id: str) -> TaskState:
        """What the database says."""
        return (await self.store.tasks.get(ANA, task_id)).status.state

    async def ended(self, task_id: str) -> TaskState:
        while not (state := await self.state(task_id)).terminal:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)
        await self.idle()
        return state

    async def idle(self) -> None:
        while self.service.running:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)


@asynccontextmanager
async def bench(
    path: Path, rules: list[dict[str, Any]], *, functions: tuple[Any, ...] = (), **agent: Any
) -> AsyncIterator[Bench]:
    database = SlowSqlite(str(path / "hector.db"))
    store = Store(database)
    apps = Apps(build(configure(rules, **agent), Catalog(functions)))
    try:
        async with asyncio.timeout(60), TaskService(apps, store, SystemClock()) as service:
            yield Bench(service, database, apps, store)
    finally:
        await apps.aclose()
        await store.aclose()


async def reached(made: Bench) -> None:
    await made.database.reached.wait()


@pytest.mark.proves("agents.cancel")
async def test_a_cancel_at_any_moment_ends_the_task_once_and_stores_every_event_once(tmp_path: Path) -> None:
    async with bench(tmp_path, SAVING, tools=["save_artifact"]) as made:
        seen: set[TaskState] = set()
        for steps in range(60):
            task = await made.begin()
            for _ in range(steps):
                await asyncio.sleep(0)
            try:
                state = (await made.service.cancel(ANA, "helper", task.id)).status.state
            except TaskNotCancelable:
                state = await made.state(task.id)
            assert state.terminal
            seen.add(state)
            events = (await made.store.sessions.load(ANA, task.context_id)).events
            assert len({event.id for event in events}) == len(events)
        assert TaskState.CANCELED in seen
        assert made.service.running == 0


async def test_a_cancel_during_the_write_of_tool_results_keeps_them_once(tmp_path: Path) -> None:
    async with bench(tmp_path, SAVING, tools=["save_artifact"]) as made:
        task = await made.begin()
        (gate,) = made.database.hold(1, after=1)  # the intent goes before the results
        await reached(made)
        assert (await made.service.cancel(ANA, "helper", task.id)).status.state is TaskState.CANCELED
        gate.set()
        events = (await made.store.sessions.load(ANA, task.context_id)).events
        assert [event.message.role for event in events] == ["user", "assistant", "tool"]


@pytest.mark.parametrize("cancels", [1, 2])
async def test_a_cancel_during_the_final_write_comes_too_late(tmp_path: Path, cancels: int) -> None:
    async with bench(tmp_path, [{"text": "done"}]) as made:
        task = await made.begin()
        follower = await made.service.subscribe(ANA, "helper", task.id)
        made.database.hold(1)
        await reached(made)
        canceling = [asyncio.create_task(made.service.cancel(ANA, "helper", task.id)) for _ in range(cancels)]
        for attempt in canceling:
            with pytest.raises(TaskNotCancelable, match="completed"):
                await attempt
        last = (await collect(follower))[-1]
        assert isinstance(last, StatusUpdate)
        assert last.status.state is await made.state(task.id) is TaskState.COMPLETED


async def test_a_cancel_during_the_write_of_a_question_still_cancels(tmp_path: Path) -> None:
    async with bench(tmp_path, ASKING, tools=["ask_user"]) as made:
        task = await made.begin()
        made.database.hold(1, after=1)
        await reached(made)
        assert (await made.service.cancel(ANA, "helper", task.id)).status.state is TaskState.CANCELED
        events = (await made.store.sessions.load(ANA, task.context_id)).events
        assert [event.message.role for event in events] == ["user", "assistant", "tool"]


async def test_a_cancel_while_waiting_for_the_turn_lets_the_others_go_on(tmp_path: Path) -> None:
    rules = [{"user": "slow", "text": "slow done", "delay": "200ms"}, {"text": "quick done"}]
    async with bench(tmp_path, rules) as made:
        first = await made.begin("slow", context_id="c")
        second, third = await made.begin("b", context_id="c"), await made.begin("c", context_id="c")
        assert (await made.service.cancel(ANA, "helper", second.id)).status.state is TaskState.CANCELED
        assert await made.ended(first.id) is await made.ended(third.id) is TaskState.COMPLETED


async def test_a_sender_that_goes_away_while_its_message_is_stored_takes_nothing_back(tmp_path: Path) -> None:
    async with bench(tmp_path, [{"text": "done"}]) as made:
        (gate,) = made.database.hold(1)
        sending = asyncio.create_task(made.begin(context_id="c"))
        await reached(made)
        sending.cancel()
        await asyncio.wait((sending,))
        gate.set()
        (task,) = (await made.service.list(ANA, "helper", TaskQuery(context_id="c"))).tasks
        assert await made.ended(task.id) is TaskState.COMPLETED


async def test_a_cancel_while_the_answer_to_a_question_is_stored(tmp_path: Path) -> None:
    async with bench(tmp_path, ASKING, tools=["ask_user"]) as made:
        paused = await ask(made.service, "go")
        (gate,) = made.database.hold(1)
        answering = asyncio.create_task(ask(made.service, "this", task_id=paused.id))
        await reached(made)
        canceling = asyncio.create_task(made.service.cancel(ANA, "helper", paused.id))
        await asyncio.sleep(0.01)
        with pytest.raises(NotSupported):
            await ask(made.service, "no, that", task_id=paused.id)
        gate.set()
        assert (await canceling).status.state is (await answering).status.state is TaskState.CANCELED
        assert await made.ended(paused.id) is TaskState.CANCELED


async def test_of_two_answers_at_once_one_is_taken_and_one_refused(tmp_path: Path) -> None:
    async with bench(tmp_path, ASKING, tools=["ask_user"]) as made:
        paused = await ask(made.service, "go")
        follower = await made.service.subscribe(ANA, "helper", paused.id)
        both = [asyncio.create_task(ask(made.service, text, task_id=paused.id)) for text in ("this", "that")]
        await asyncio.wait(both)
        refused = [attempt.exception() for attempt in both if attempt.exception()]
        assert [type(error) for error in refused] == [NotSupported]
        states = [u.status.state for u in await collect(follower) if isinstance(u, StatusUpdate)]
        assert states == [TaskState.WORKING, TaskState.COMPLETED]


async def test_stopping_while_a_message_is_stored_gives_its_sender_a_task_that_goes_on_later(tmp_path: Path) -> None:
    async with bench(tmp_path, [{"text": "done", "delay": "60s"}]) as made:
        (gate,) = made.database.hold(1)
        sending = asyncio.create_task(ask(made.service, "go"))
        await reached(made)
        draining = asyncio.create_task(made.service.drain(grace=0.05))
        await asyncio.sleep(0.1)
        gate.set()
        await draining
        task = await sending
        assert task.status.state is await made.state(task.id) is TaskState.WORKING
        with pytest.raises(StoreUnavailable):
            await ask(made.service, "more")
        with pytest.raises(StoreUnavailable):
            await made.service.subscribe(ANA, "helper", task.id)
    async with bench(tmp_path, [{"text": "done"}]) as made:
        assert await made.ended(task.id) is TaskState.COMPLETED


@pytest.mark.proves("serve.stop")
async def test_a_stop_after_the_grace_time_cuts_streams_and_hands_the_task_back(tmp_path: Path) -> None:
    async with bench(tmp_path, [{"text": "done", "delay": "60s"}]) as made:
        stream = await made.service.stream(ANA, "helper", say("go"), SendOptions())
        assert isinstance(stream.first, Task)
        await made.service.drain(grace=0.05)
        states = [update.status.state for update in await collect(stream) if isinstance(update, StatusUpdate)]
        assert states == [TaskState.WORKING]
        statistics = await made.store.queue.statistics()
        assert (statistics.pending, statistics.processing) == (1, 0)


async def test_a_database_that_is_away_refuses_the_message_and_nothing_remains(tmp_path: Path) -> None:
    async with bench(tmp_path, [{"text": "done"}]) as made:
        made.database.away = 1
        with pytest.raises(StoreUnavailable):
            await ask(made.service, "go")
        assert made.service.running == 0
        assert answer_of(await ask(made.service, "go")) == "done"


@pytest.mark.parametrize("rules", [SAVING, [{"text": "done"}]])
async def test_a_database_that_is_away_for_a_moment_is_waited_for(tmp_path: Path, rules: list[dict[str, Any]]) -> None:
    async with bench(tmp_path, rules, tools=["save_artifact"]) as made:
        task = await made.begin()
        made.database.away = 2
        assert await made.ended(task.id) is TaskState.COMPLETED
        events = (await made.store.sessions.load(ANA, task.context_id)).events
        assert len(events) == len({event.id for event in events}) > 1


async def test_a_task_that_waited_for_its_turn_is_listed_as_working_once_it_works(tmp_path: Path) -> None:
    rules = [{"user": "first", "text": "x", "delay": "100ms"}, {"user": "second", "text": "y", "delay": "60s"}]
    async with bench(tmp_path, rules) as made:
        await made.begin("first", context_id="c")
        second = await made.begin("second", context_id="c")
        assert await made.state(second.id) is TaskState.SUBMITTED
        follower = await made.service.subscribe(ANA, "helper", second.id)
        await anext(follower)
        await follower.aclose()
        assert await made.state(second.id) is TaskState.WORKING


async def test_whoever_subscribes_at_any_moment_sees_the_end_or_is_told_that_it_was(tmp_path: Path) -> None:
    async with bench(tmp_path, SAVING, tools=["save_artifact"]) as made:
        outcomes: set[str] = set()
        for steps in range(0, 120, 3):
            task = await made.begin()
            for _ in range(steps):
                await asyncio.sleep(0)
            try:
                follower = await made.service.subscribe(ANA, "helper", task.id)
            except NotSupported:
                outcomes.add("over")
                assert await made.state(task.id) is TaskState.COMPLETED
                continue
            last = (await collect(follower))[-1]
            assert isinstance(last, StatusUpdate)
            assert last.status.state is TaskState.COMPLETED
            outcomes.add("followed")
        assert "followed" in outcomes


async def test_changes_of_state_last_unless_they_are_temporary_and_none_deletes(tmp_path: Path) -> None:
    def remember(step: int) -> ToolOutput:
        """Remember."""
        first = {"a": 1, "user:b": "two", "temp:c": object()}
        return ToolOutput((Text("ok"),), state=first if step == 1 else {"a": None, "user:b": "three"})

    rules: list[dict[str, Any]] = [
        {"user": "(\\d)", "turn": 0, "tool_calls": [{"name": "remember", "args": {"step": "\\1"}}]},
        {"system": "a=1 b=two c=$", "text": "kept"},
        {"system": "a= b=three c=$", "text": "deleted"},
        {"text": "nothing yet"},
    ]
    tools = {"remember": {"type": "function", "handler": "remember"}}
    agent = {"instruction": "a={a?} b={user:b?} c={temp:c?}", "disable_safety_protocols": True, "declared": tools}
    async with bench(tmp_path, rules, functions=(remember,), **agent) as made:
        answers = [answer_of(await ask(made.service, text, context_id="c")) for text in ("go", "1", "see", "2", "see")]
        assert answers == ["nothing yet", "nothing yet", "kept", "kept", "deleted"]
        events = (await made.store.sessions.load(ANA, "c")).events
        assert not [key for event in events for key in event.state if key.startswith("temp:")]


@pytest.mark.proves("config.hot-reload")
async def test_an_agent_that_is_gone_after_a_reload_takes_no_answer_until_it_is_back(tmp_path: Path) -> None:
    async with bench(tmp_path, ASKING, tools=["ask_user"]) as made:
        paused = await ask(made.service, "go")
        config = made.apps.current.config
        without = config.model_copy(update={"agents": {"other": config.agents["helper"]}})
        made.apps.swap(build(without, Catalog()))
        with pytest.raises(NotFound, match="agent 'helper'"):
            await ask(made.service, "this", task_id=paused.id)
        assert await made.state(paused.id) is TaskState.INPUT_REQUIRED
        made.apps.swap(build(config, Catalog()))
        assert answer_of(await ask(made.service, "this", task_id=paused.id)) == "done"


async def test_a_run_ends_on_the_app_that_it_began_with(tmp_path: Path) -> None:
    async with bench(tmp_path, [{"text": "old", "delay": "100ms"}]) as made:
        old = made.apps.current
        task = await made.begin()
        made.apps.swap(build(configure([{"text": "new"}]), Catalog()))
        assert answer_of(await ask(made.service, "go")) == "new"
        await made.ended(task.id)
        assert answer_of(await made.service.get(ANA, "helper", task.id)) == "old"
        assert made.apps.current is not old


async def test_nothing_is_kept_of_what_has_ended(tmp_path: Path) -> None:
    async with bench(tmp_path, [{"text": "done"}]) as made:
        worker = made.service._worker
        for number in range(300):
            stream = await made.service.stream(ANA, "helper", say("go", context_id=f"c{number % 7}"), SendOptions())
            if number % 3:
                await collect(stream)
            else:
                await stream.aclose()
            with pytest.raises(NotFound):
                await made.service.subscribe(ANA, "helper", "invented")
        await made.idle()
        assert not worker.channels._channels
        assert not worker.channels._held
        assert not worker._runs
        assert made.apps.leases == 0
