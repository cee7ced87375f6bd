"""The kill switch: what runs rests within seconds, in all processes; what is new is refused; all goes on afterwards."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hector.core.clock import SystemClock
from hector.core.errors import SwitchedOff
from hector.core.job import JobState
from hector.core.task import Caller, TaskState
from hector.limits.switches import SERVER, agent_scope, app_scope
from hector.models import scripted
from hector.store.switches import Switch
from tests.limits.conftest import ANA, Process, process, settings, text_of, until

LATE = {"turn": 1, "text": "done", "delay": 1}
CALL = {"turn": 0, "tool_calls": [{"name": "note", "args": {}}]}
TOOL = {"tools": {"note": {"type": "function", "handler": "note"}}}


class Gate(SystemClock):
    """Holds the answers of scripted models that are `LATE` until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        """Wait for the gate rather than for the time."""
        await (self.open.wait() if seconds else super().sleep(0))


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    found = Gate()
    monkeypatch.setattr(scripted, "SystemClock", lambda: found)
    return found


def notes() -> tuple[list[str], Callable[[], str]]:
    """A tool and what it did."""
    done: list[str] = []

    def note() -> str:
        """Note it."""
        done.append("noted")
        return "noted"

    return done, note


async def off(server: Process, scope: str, reason: str = "we look into it") -> None:
    await server.store.switches.off(Switch(scope, reason, "ops", 1.0))


async def begun(server: Process, done: list[str]) -> Any:
    """A task that has done its first step and now waits for its model."""
    task = await server.send(return_immediately=True)

    async def noted() -> bool:
        return bool(done) and await server.limits.folding.fold() is not None

    await until(noted)
    return task


async def _rests(server: Process, task: Any) -> bool:
    async def unit(con: Any) -> Any:
        return await con.one("SELECT state, cause, attempts FROM jobs WHERE subject = ?", (task.id,))

    state, cause, attempts = await server.store.database.read(unit)
    return (state, cause, attempts) == (JobState.READY, "paused: we look into it", 0)


async def _is(server: Process, task: Any, state: TaskState) -> bool:
    found = await server.store.tasks.get(ANA, task.id)
    return bool(found.status.state is state)


@pytest.mark.proves("limits.switch")
@pytest.mark.parametrize("scope", [SERVER, app_scope("default"), agent_scope("default", "helper")])
async def test_what_runs_rests_and_goes_on_from_its_last_step(dsn: str, gate: Gate, scope: str) -> None:
    done, note = notes()
    async with process(dsn, settings(CALL, LATE, **TOOL), (note,)) as server:
        task = await begun(server, done)
        await off(server, scope)
        await until(lambda: _rests(server, task))
        assert not (await server.store.tasks.get(ANA, task.id)).status.state.terminal
        with pytest.raises(SwitchedOff, match="we look into it"):
            await server.send()
        gate.open.set()
        assert await server.store.switches.on(scope)
        await until(lambda: _is(server, task, TaskState.COMPLETED))
        assert done == ["noted"]
        assert (await server.service.get(ANA, None, task.id)).status.state is TaskState.COMPLETED


@pytest.mark.proves("limits.switch")
async def test_others_go_on(dsn: str) -> None:
    config = settings({"text": "hi"})
    async with process(dsn, config) as server:
        for scope in (app_scope("other"), agent_scope("default", "other"), agent_scope("other", "helper")):
            await off(server, scope)
        await server.limits.switches.look()
        assert (await server.send()).status.state is TaskState.COMPLETED
        assert await server.store.switches.on(app_scope("other"))
        assert not await server.store.switches.on(app_scope("other"))


@pytest.mark.proves("limits.switch")
async def test_a_switch_survives_a_restart_and_what_rests_with_it(dsn: str, gate: Gate) -> None:
    done, note = notes()
    config = settings(CALL, LATE, **TOOL)
    async with process(dsn, config, (note,)) as server:
        task = await begun(server, done)
        await off(server, SERVER)
        await until(lambda: _rests(server, task))
    async with process(dsn, config, (note,)) as server:
        with pytest.raises(SwitchedOff):
            await server.send()
        await asyncio.sleep(0.5)
        assert await _rests(server, task)
        gate.open.set()
        await server.store.switches.on(SERVER)
        await until(lambda: _is(server, task, TaskState.COMPLETED))
    assert done == ["noted"]


@pytest.mark.proves("limits.switch", "limits.shared")
async def test_all_processes_stop_what_they_run(postgres_ready: str, gate: Gate) -> None:
    done, note = notes()
    config = settings(CALL, LATE, **TOOL)
    async with (
        process(postgres_ready, config, (note,)) as one,
        process(postgres_ready, config, (note,)) as two,
        process(postgres_ready, config, (note,)) as three,
    ):
        servers = (one, two, three)
        tasks = [await server.send(return_immediately=True) for server in servers for _ in range(4)]

        async def all_noted() -> bool:
            return len(done) == 12

        await until(all_noted)
        await off(one, SERVER)
        for server in servers:
            await until(lambda server=server: _idle(server))
        for task in tasks:
            await until(lambda task=task: _rests(one, task))
        for server in servers:
            with pytest.raises(SwitchedOff):
                await server.send()


async def _idle(server: Process) -> bool:
    return server.service.running == 0


@pytest.mark.proves("limits.switch")
async def test_who_waits_for_a_task_that_rests_waits_on_and_gets_its_answer(dsn: str, gate: Gate) -> None:
    done, note = notes()
    async with process(dsn, settings(CALL, LATE, **TOOL), (note,)) as server:
        sending = asyncio.create_task(server.send())

        async def noted() -> bool:
            return bool(done)

        await until(noted)
        await off(server, SERVER)
        await until(lambda: _idle(server))
        gate.open.set()
        await server.store.switches.on(SERVER)
        async with asyncio.timeout(60):
            assert (await sending).status.state is TaskState.COMPLETED


@pytest.mark.proves("limits.reservations-released", "limits.no-overspend")
async def test_what_rests_holds_nothing_of_a_budget(dsn: str, gate: Gate) -> None:
    done, note = notes()
    config = settings(CALL, LATE, budgets=[{"per": "app", "tokens": 1000}], **TOOL)
    async with process(dsn, config, (note,)) as server:
        task = await begun(server, done)
        await off(server, SERVER)
        await until(lambda: _rests(server, task))

        async def nothing_held() -> bool:
            await server.limits.folding.fold()
            found = await server.store.database.read(lambda con: con.one("SELECT sum(held) FROM counters"))
            return found is not None and int(found[0]) == 0

        await until(nothing_held)
        before = await server.usage()
        gate.open.set()
        await server.store.switches.on(SERVER)
        await until(lambda: _is(server, task, TaskState.COMPLETED))
        after = await server.usage()
        assert (before.calls, after.calls, after.tools) == (1, 2, 1)
        assert text_of(await server.send("again", Caller(user="bo"))) == ""
