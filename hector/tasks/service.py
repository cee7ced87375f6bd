"""Tasks as clients use them: send, stream, get, list, cancel, subscribe."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Final, Self

from hector.agents.context import RunContext
from hector.agents.history import in_turns
from hector.agents.template import ARTIFACT, text_of
from hector.apps.app import App
from hector.apps.registry import Apps, Lease
from hector.core.clock import Clock, iso
from hector.core.content import Media
from hector.core.errors import (
    ContentNotAccepted,
    HectorError,
    InvalidRequest,
    NotFound,
    NotSupported,
    StoreUnavailable,
    TaskNotCancelable,
    Violation,
)
from hector.core.event import Event
from hector.core.ids import new_id
from hector.core.record import dataclass
from hector.core.task import (
    Caller,
    ClientMessage,
    Status,
    StatusUpdate,
    Task,
    TaskPage,
    TaskQuery,
    TaskState,
    Update,
)
from hector.runner.turn import run_turn
from hector.store import Accept, Record, Session, Store
from hector.store.history import user_event
from hector.tasks.channel import Channel, Subscription
from hector.tasks.live import LiveTask
from hector.tasks.order import Turns
from hector.tasks.run import Run

log = logging.getLogger("hector.tasks")
STOPPED: Final = "the server was stopped before this task had finished; send the message again"
INTERNAL: Final = "the task failed because of an internal error; the server's log has the details"


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How a client wants its answer."""

    return_immediately: bool = False
    history_length: int | None = None
    accepted_output_modes: tuple[str, ...] = ()


class TaskStream:
    """A first answer, then batches of updates until the stream's end. Close it when done; that cancels nothing."""

    def __init__(self, first: Task | ClientMessage, subscription: Subscription | None) -> None:
        self.first = first
        self._subscription = subscription

    def __aiter__(self) -> AsyncIterator[tuple[Update, ...]]:
        return self

    async def __anext__(self) -> tuple[Update, ...]:
        batch = await self._subscription.take() if self._subscription else ()
        if not batch:
            raise StopAsyncIteration
        return batch

    async def aclose(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            self._subscription.close()


class TaskService:
    """Owns the runs of this process. Use as an async context manager: leaving it ends what still runs."""

    def __init__(self, apps: Apps, store: Store, clock: Clock) -> None:
        self._apps = apps
        self._store = store
        self._clock = clock
        self._turns = Turns()
        self._runs: dict[str, Run] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._canceling: set[str] = set()
        self._channels: dict[str, Channel] = {}
        self._group = asyncio.TaskGroup()
        self._stack = AsyncExitStack()
        self._stopping = False

    async def __aenter__(self) -> Self:
        failed = await self._store.tasks.fail_interrupted(STOPPED, self._clock.now())
        if failed:
            log.warning("tasks were cut off by the last stop and are marked as failed", extra={"count": failed})
        await self._stack.enter_async_context(self._group)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        for task_id in tuple(self._tasks):
            await self._stop(task_id)
        await self._stack.__aexit__(None, None, None)

    async def drain(self, grace: float) -> None:
        """Take no more work and give the running tasks `grace` seconds to end."""
        self._stopping = True
        if self._tasks:
            log.info("waiting for running tasks", extra={"count": len(self._tasks), "grace_seconds": grace})
            await asyncio.wait(tuple(self._tasks.values()), timeout=grace)
        for channel in tuple(self._channels.values()):
            channel.close()

    @property
    def running(self) -> int:
        """How many tasks run or wait for their turn in this process."""
        return len(self._runs)

    async def send(
        self, caller: Caller, agent: str, message: ClientMessage, options: SendOptions
    ) -> Task | ClientMessage:
        """Run the message. Returns when the task has ended or waits for its user, or at once if so asked."""
        run = await self._accept(caller, agent, message, stream=options.return_immediately)
        if options.return_immediately:
            run.keep()
            return run.live.snapshot(options.history_length)
        direct = await run.settled()
        return direct.message if direct else run.live.snapshot(options.history_length)

    async def stream(self, caller: Caller, agent: str, message: ClientMessage, options: SendOptions) -> TaskStream:
        """Run the message and follow it. Raises before the stream begins if the message cannot be accepted."""
        run = await self._accept(caller, agent, message, stream=True)
        first = run.live.snapshot(options.history_length)
        subscription = run.channel.subscribe(until_interrupted=True)
        try:
            direct = await run.decided()
        except asyncio.CancelledError:
            subscription.close()
            raise
        if direct is None:
            return TaskStream(first, subscription)
        subscription.close()
        return TaskStream(direct.message, None)

    async def get(self, caller: Caller, agent: str | None, task_id: str, history_length: int | None = None) -> Task:
        """A snapshot. Raises NotFound."""
        run = self._own_run(caller, agent, task_id)
        if run is not None:
            return run.live.snapshot(history_length)
        return await self._store.tasks.get(caller, task_id, agent, history_length)

    async def list(self, caller: Caller, agent: str | None, query: TaskQuery) -> TaskPage:
        """The caller's tasks, newest first. Raises InvalidRequest for a bad page size or token."""
        return await self._store.tasks.list(caller, agent, query)

    async def cancel(
        self, caller: Caller, agent: str | None, task_id: str, metadata: dict[str, Any] | None = None
    ) -> Task:
        """End the task as canceled; the model's connection is closed. Raises NotFound, TaskNotCancelable."""
        task = await self.get(caller, agent, task_id)
        if task.status.state.terminal:
            raise TaskNotCancelable(f"task {task_id} is already {task.status.state}")
        running = self._tasks.get(task_id)
        if running is not None:
            await self._stop(task_id)
            await asyncio.wait((running,))
        else:
            await self._cancel_waiting(caller, task)
        task = await self._store.tasks.get(caller, task_id, agent)
        if task.status.state is not TaskState.CANCELED:
            raise TaskNotCancelable(f"task {task_id} had already become {task.status.state}")
        return task

    async def subscribe(self, caller: Caller, agent: str | None, task_id: str) -> TaskStream:
        """Follow a task from its present state until it has ended. Raises NotFound, NotSupported for an ended one."""
        subscription = self._channel(task_id).subscribe(until_interrupted=False)
        try:
            task = await self._snapshot_for(subscription, caller, agent, task_id)
            if task.status.state.terminal:
                raise NotSupported(f"task {task_id} is already {task.status.state}; there is nothing to follow")
        except BaseException:
            subscription.close()
            raise
        return TaskStream(task, subscription)

    async def _snapshot_for(self, subscription: Subscription, caller: Caller, agent: str | None, task_id: str) -> Task:
        """The state at which the subscription begins: nothing lost between the two, nothing told twice."""
        while True:
            run = self._own_run(caller, agent, task_id)
            if run is not None:
                subscription.restart()
                return run.live.snapshot()
            task = await self._store.tasks.get(caller, task_id, agent)
            if subscription.untouched and task_id not in self._runs:
                return task
            subscription.restart()

    async def _cancel_waiting(self, caller: Caller, task: Task) -> None:
        status = Status(TaskState.CANCELED, self._clock.now())
        if await self._store.tasks.record(Record(caller, task.id, task.context_id, status=status)):
            channel = self._channels.get(task.id)
            if channel is not None:
                channel.publish(StatusUpdate(status))

    async def _stop(self, task_id: str) -> None:
        """Cancel a run once, and not before its first step: a coroutine that never began could not record its end."""
        if task_id in self._runs and not self._runs[task_id].started:
            await asyncio.sleep(0)  # its first step was scheduled before our next one
        if task_id in self._tasks and task_id not in self._canceling:
            self._canceling.add(task_id)
            self._tasks[task_id].cancel()

    def _own_run(self, caller: Caller, agent: str | None, task_id: str) -> Run | None:
        run = self._runs.get(task_id)
        if run is None or run.caller != caller or (agent is not None and run.live.base.agent != agent):
            return None
        return run

    def _channel(self, task_id: str) -> Channel:
        channel = self._channels.get(task_id)
        if channel is None:
            channel = self._channels[task_id] = Channel(lambda: self._drop_channel(task_id))
        return channel

    def _drop_channel(self, task_id: str) -> None:
        channel = self._channels.get(task_id)
        if channel is not None and channel.empty and task_id not in self._runs:
            del self._channels[task_id]

    async def _accept(self, caller: Caller, agent: str, message: ClientMessage, *, stream: bool) -> Run:
        """Check the message, store it with its task in one transaction, and start the run."""
        if self._stopping:
            raise StoreUnavailable("the server is stopping and takes no more work")
        lease = self._apps.lease()
        try:
            return await self._accept_in(lease, caller, agent, message, stream=stream)
        except BaseException:
            lease.release()
            raise

    async def _accept_in(
        self, lease: Lease, caller: Caller, agent: str, message: ClientMessage, *, stream: bool
    ) -> Run:
        app = lease.app
        if agent not in app.agents:
            raise NotFound("agent", agent)
        _check_modes(app, agent, message)
        known = await self._known(caller, agent, message) if message.task_id else None
        task_id = message.task_id or new_id()
        context_id = known.context_id if known else message.context_id or new_id()
        busy = self._turns.busy((caller, context_id))
        now = self._clock.now()
        event = user_event(message, event_id=new_id(), invocation_id=new_id(), at=now)
        accepted = await self._store.tasks.accept(
            Accept(
                caller,
                agent,
                task_id,
                context_id,
                event,
                now,
                TaskState.SUBMITTED if busy else TaskState.WORKING,
                message.metadata,
                resume=known is not None,
            )
        )
        live = LiveTask.of(accepted.task, Status(TaskState.SUBMITTED, now))
        run = Run(caller, live, self._channel(task_id), self._store, self._clock, app.config.agents[agent].reply)
        self._runs[task_id] = run
        work = self._execute(run, lease, event, accepted.session, stream=stream)
        self._tasks[task_id] = self._group.create_task(work)
        return run

    async def _known(self, caller: Caller, agent: str, message: ClientMessage) -> Task:
        """The task that a message continues. Raises NotFound, InvalidRequest, NotSupported."""
        task = await self.get(caller, agent, message.task_id or "")
        if message.context_id not in (None, task.context_id):
            raise InvalidRequest(
                f"task {task.id} belongs to another context",
                [Violation("message.contextId", "must be the context of the task, or left out")],
            )
        state = task.status.state
        if state.terminal:
            raise NotSupported(f"task {task.id} is {state}; send a new message in context {task.context_id}")
        if not state.interrupted:
            raise NotSupported(f"task {task.id} is still {state}; wait for it, or send the message without a task id")
        return task

    async def _execute(self, run: Run, lease: Lease, event: Event, session: Session | None, *, stream: bool) -> None:
        """The containment of a run: whatever happens, the task ends in a state that says so."""
        run.started = True
        try:
            async with self._turns.hold((run.caller, run.live.base.context_id)):
                await self._work(run, lease.app, event, session, stream=stream)
        except asyncio.CancelledError:
            if self._stopping:
                await self._end(run, TaskState.FAILED, STOPPED)
            else:
                await self._end(run, TaskState.CANCELED)
        except HectorError as error:
            log.warning("task failed", extra={"task": run.task_id, "cause": error.code, "error": str(error)})
            await self._end(run, TaskState.FAILED, str(error))
        except Exception:
            log.exception("task failed", extra={"task": run.task_id})
            await self._end(run, TaskState.FAILED, INTERNAL)
        finally:
            self._runs.pop(run.task_id, None)
            self._tasks.pop(run.task_id, None)
            self._canceling.discard(run.task_id)
            self._drop_channel(run.task_id)
            lease.release()

    async def _work(self, run: Run, app: App, event: Event, session: Session | None, *, stream: bool) -> None:
        run.begin()
        base = run.live.base
        if session is None:
            session = await self._store.sessions.load(run.caller, base.context_id)
        events = in_turns(session.events, event.invocation_id)
        state = session.state | self._facts(run, event)
        if app.agents[base.agent].prompt.wants_artifacts:
            found = await self._store.sessions.artifacts(run.caller, base.context_id)
            state |= {f"{ARTIFACT}{name}": text_of(artifact) for name, artifact in found.items()}
        context = RunContext(
            run.caller, base.context_id, base.id, event.invocation_id, self._clock, events, state, stream
        )
        await run.follow(run_turn(app.agents[base.agent], context, state))

    def _facts(self, run: Run, event: Event) -> dict[str, Any]:
        """Facts of the request, for instructions and tools."""
        base, now = run.live.base, iso(self._clock.now())
        envelope = (event.metadata or {}).get("a2a", {})
        return {
            "temp:a2a_message_id": envelope.get("message_id", ""),
            "temp:a2a_context_id": base.context_id,
            "temp:a2a_task_id": base.id,
            "temp:user_id": run.caller.user,
            "temp:app_id": run.caller.app,
            "temp:agent_id": base.agent,
            "temp:now": now,
            "temp:date": now[:10],
        }

    async def _end(self, run: Run, state: TaskState, text: str = "") -> None:
        """Settle a run that did not settle itself; if even that cannot be stored, its watchers still learn of it."""
        try:
            await run.end(state, text)
        except Exception:
            log.exception("the end of a task could not be stored", extra={"task": run.task_id})
            run.abandon(text or INTERNAL)


def _check_modes(app: App, agent: str, message: ClientMessage) -> None:
    config = app.config.agents[agent]
    if not config.enforce_input_modes:
        return
    for part in message.message.parts:
        if isinstance(part, Media) and part.media_type not in config.input_modes:
            found = part.media_type or "parts without a media type"
            found = part.media_type or "parts without a media type"
            raise ContentNotAccepted(f"agent {agent!r} takes {', '.join(config.input_modes)}, not {found}")
