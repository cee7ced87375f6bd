"""Tasks as clients use them: send, stream, get, list, cancel, subscribe."""

import asyncio
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from hector.apps.app import App
from hector.apps.registry import Apps
from hector.config.server import Server
from hector.core.clock import Clock
from hector.core.content import Media, Message, Text
from hector.core.errors import (
    ContentNotAccepted,
    InvalidRequest,
    NotFound,
    NotSupported,
    TaskNotCancelable,
    Violation,
)
from hector.core.event import DirectReply
from hector.core.ids import new_id
from hector.core.push import PushConfig
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
)
from hector.limits.limits import Limits
from hector.store import Accept, Store
from hector.store.history import user_event
from hector.tasks.decisions import continued, decided_calls, named_task, requests_of, waiting_for
from hector.tasks.follow import TaskStream
from hector.tasks.perform import done_of
from hector.tasks.positions import Position
from hector.tasks.run import Run
from hector.tasks.worker import Begun, Worker


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How a client wants its answer."""

    return_immediately: bool = False
    history_length: int | None = None
    push: PushConfig | None = None
    decides: bool = True
    """Whether what is said may decide about a call that waits for approval."""


class TaskService:
    """What clients may do with tasks. Use as an async context manager: leaving it stops what still runs.

    A task may run in this process or in another one, now or later: whoever asks cannot tell the difference.
    """

    def __init__(
        self,
        apps: Apps,
        store: Store,
        clock: Clock,
        settings: Server | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._apps = apps
        self._store = store
        self._clock = clock
        self._limits = self.limits = limits or Limits(store, clock)
        apps.attach(lambda app: app.remember_tools(store))
        self._worker = Worker(apps, store, clock, settings or Server(), self._limits)

    async def __aenter__(self) -> Self:
        await self._worker.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._worker.__aexit__(kind, error, trace)

    async def drain(self, grace: float) -> None:
        """Take no more work, give runs `grace` seconds to reach a stored step, hand all back, then end all streams."""
        await self._worker.drain(grace)

    def runs_here(self, task_id: str) -> bool:
        """Whether this process works on a task."""
        return self._worker.run_of(task_id) is not None

    @property
    def running(self) -> int:
        """How many jobs this process works on."""
        return self._worker.running

    @property
    def running_apps(self) -> list[str]:
        """The app of each run that works now, in this process."""
        return self._worker.apps

    async def send(
        self, caller: Caller, agent: str, message: ClientMessage, options: SendOptions
    ) -> Task | ClientMessage:
        """Run the message. Returns when the task has ended or waits for its user, or at once if so asked.

        When the server stops meanwhile, the task is returned as it is: it goes on after the restart.
        """
        if options.return_immediately:
            begun = await self._accept(caller, agent, message, options, stream=True)
            if begun.run is not None:
                begun.run.keep()
            return begun.snapshot(options.history_length)
        begun = await self._accept(caller, agent, message, options, stream=False, patient=True)
        run = begun.run
        if run is None or not run.ended:
            return await self._settled(caller, begun, options.history_length)
        return run.direct.message if run.direct else run.live.snapshot(options.history_length)

    async def submit(
        self, caller: Caller, agent: str, message: ClientMessage, options: SendOptions, task_id: str
    ) -> Begun:
        """Store a message and have it run, as a task of this new id; nobody watches its pieces.

        Raises StoreError where there is one already.
        """
        begun = await self._accept(caller, agent, message, options, stream=False, task_id=task_id)
        if begun.run is not None:
            begun.run.keep()
        return begun

    async def settled(self, caller: Caller, begun: Begun) -> Task:
        """The task once it has ended or waits for somebody; as it is where the server stops meanwhile."""
        run = begun.run
        if run is not None and await run.settled():
            return run.live.snapshot(0)
        found = await self._settled(caller, begun, 0)
        return found if isinstance(found, Task) else begun.snapshot(0)

    async def stream(
        self,
        caller: Caller,
        agent: str,
        message: ClientMessage,
        options: SendOptions,
        behind: Position | None = None,
    ) -> TaskStream:
        """Run the message and follow it. Raises before the stream begins if the message cannot be accepted.

        With `behind`, a message that has begun a run already is not accepted again: its run is followed from there.
        """
        if behind is not None and (task_id := await self._sent_before(caller, agent, message, behind)):
            follower = self._worker.follower
            return await follower.open(caller, agent, task_id, behind, until_interrupted=True, ended=True)
        begun = await self._accept(caller, agent, message, options, stream=True)
        first = begun.snapshot(options.history_length)
        channel = self._worker.channels.of(first.id)
        subscription, at = channel.subscribe(until_interrupted=True), channel.position
        if begun.run is None:
            self._worker.follow(caller, first)
            return TaskStream(first, subscription, at)
        try:
            direct = await begun.run.decided()
        except asyncio.CancelledError:
            subscription.close()
            raise
        if direct is None:
            return TaskStream(first, subscription, at)
        subscription.close()
        return TaskStream(direct.message, None)

    async def _sent_before(self, caller: Caller, agent: str, message: ClientMessage, behind: Position) -> str | None:
        """The task whose stream a client was cut off from, if it has sent that very message again."""
        try:
            job = await self._store.jobs.get(behind.epoch.job)
            if job.caller != caller:
                return None
            task = await self._store.tasks.get(caller, job.subject, agent)
        except NotFound:
            return None
        said = (one.id for one in task.history or () if one.message.role == "user")
        return task.id if message.id in said else None

    async def _settled(self, caller: Caller, begun: Begun, history_length: int | None) -> Task | ClientMessage:
        """Wait for the end, or the question, of a task that does not run here or no longer does."""
        task = begun.snapshot(history_length)
        subscription = self._worker.channels.of(task.id).subscribe(until_interrupted=True)
        try:
            while True:
                task = await self._store.tasks.get(caller, task.id, history_length=history_length)
                if task.status.state.terminal or task.status.state.interrupted:
                    return task
                if self._worker.stopping:
                    return task
                self._worker.follow(caller, task)
                while await subscription.take():
                    pass
                subscription.close()
                subscription = self._worker.channels.of(task.id).subscribe(until_interrupted=True)
        except NotFound:
            return await self._said(caller, begun)
        finally:
            subscription.close()

    async def _said(self, caller: Caller, begun: Begun) -> ClientMessage:
        """The direct message that a task was answered with, and that it was discarded for. Raises NotFound."""
        session = await self._store.sessions.load(caller, begun.task.context_id)
        said = done_of(session, begun.invocation)
        if not said:
            raise NotFound("task", begun.task.id)
        event = said[-1]
        text = event.control.text if isinstance(event.control, DirectReply) else event.message.text
        return ClientMessage(event.id, Message("assistant", (Text(text),)), begun.task.context_id)

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
        task = await self.get(caller, agent, task_id, history_length=0)
        if task.status.state.terminal:
            raise TaskNotCancelable(f"task {task_id} is already {task.status.state}")
        await self._worker.cancel(task_id)
        at = self._clock.now()
        if await self._store.tasks.cancel(caller, task_id, at):  # it ran elsewhere, waited, or paused just now
            self._worker.channels.publish(task_id, StatusUpdate(Status(TaskState.CANCELED, at)))
            await self._cancel_elsewhere(caller, task)
        task = await self._store.tasks.get(caller, task_id, agent)
        if task.status.state is not TaskState.CANCELED:
            raise TaskNotCancelable(f"task {task_id} had already become {task.status.state}")
        return task

    async def _cancel_elsewhere(self, caller: Caller, task: Task) -> None:
        """End what a task waited for on other servers."""
        if not task.status.state.interrupted or caller.app not in self._apps:
            return
        lease = self._apps.lease(caller.app)
        try:
            if lease.app.clients:
                from hector.tasks.elsewhere import cancel_elsewhere  # noqa: PLC0415 - only with agents elsewhere

                session = await self._store.sessions.load(caller, task.context_id)
                await cancel_elsewhere(lease.app, session.events, task)
        finally:
            lease.release()

    async def subscribe(
        self, caller: Caller, agent: str | None, task_id: str, behind: Position | None = None
    ) -> TaskStream:
        """Follow a task until it has ended: from its present state, or from behind what was seen of it before.

        Raises NotFound, NotSupported for an ended one, StoreUnavailable while stopping.
        """
        follower = self._worker.follower
        stream = follower.here(task_id, behind) if self._own_run(caller, agent, task_id) else None
        return stream or await follower.open(caller, agent, task_id, behind)

    def _own_run(self, caller: Caller, agent: str | None, task_id: str) -> Run | None:
        run = self._worker.run_of(task_id)
        if run is None or run.caller != caller or (agent is not None and run.live.base.agent != agent):
            return None
        return run

    async def _accept(
        self,
        caller: Caller,
        agent: str,
        message: ClientMessage,
        options: SendOptions,
        *,
        stream: bool,
        task_id: str = "",
        patient: bool = False,
    ) -> Begun:
        """Check the message, store it with its task in one transaction, and run it or leave it to whoever is free.

        Returns when it is stored; for one who is `patient`, when a run of it here is over, ended or not. A caller that
        goes away meanwhile takes nothing back. Raises also what `Apps.acquire` raises.
        """
        app_id, apps = caller.app, self._apps
        lease = apps.lease(app_id) if app_id in apps else await apps.acquire(app_id)
        try:
            offer = await self._offer(lease.app, caller, agent, message, options, stream=stream)
            if task_id:
                offer = replace(offer, task_id=task_id, direct=False)
            talk = offer.context_id if message.context_id or message.task_id else None
            await self._limits.admit(caller, agent, talk, offer.task_id)
            try:
                accepted = self._worker.begin(offer, lease, patient=patient)
            except BaseException:
                await self._limits.leave(offer.task_id)
                raise
        except BaseException:
            lease.release()
            raise
        return await accepted

    async def _offer(
        self, app: App, caller: Caller, agent: str, message: ClientMessage, options: SendOptions, *, stream: bool
    ) -> Accept:
        """What the store is to accept. Raises RequestError's subclasses."""
        if agent not in app.agents:
            raise NotFound("agent", agent)
        _check_modes(app, agent, message)
        if not message.task_id and (calls := decided_calls(message)):
            message = replace(message, task_id=await self._waiting(caller, agent, message, calls))
        known = await self._known(caller, agent, message) if message.task_id else None
        context_id = known.context_id if known else message.context_id or new_id()
        now = self._clock.now()
        event = user_event(message, event_id=new_id(), invocation_id=new_id(), at=now)
        if known and not options.decides and requests_of(known):
            how = f"somebody has to decide with `hector approve {known.id}`, or over the admin API"
            raise NotSupported(f"this waits for a person's approval, which cannot be given here: {how}")
        event, decisions = continued(event, known, message, f"user {caller.user}") if known else (event, ())
        return Accept(
            caller,
            agent,
            message.task_id or new_id(),
            context_id,
            event,
            now,
            message.metadata,
            resume=known is not None,
            owner=self._worker.owner,
            stream=stream,
            direct=not (stream or known or options.push) and app.config.agents[agent].answers_as != "task",
            max_attempts=self._worker.max_attempts,
            push=options.push,
            decisions=decisions,
            fresh=not (known or message.context_id),
        )

    async def _waiting(self, caller: Caller, agent: str, message: ClientMessage, calls: tuple[str, ...]) -> str:
        """The id of the task that asked for a decision which came without it. Raises InvalidRequest."""
        named = named_task(message)
        if named is not None:
            return named
        query = TaskQuery(message.context_id, TaskState.INPUT_REQUIRED)
        found = await self._store.tasks.list(caller, agent, query) if message.context_id else None
        return waiting_for(calls, found.tasks if found else ())

    async def _known(self, caller: Caller, agent: str, message: ClientMessage) -> Task:
        """The task that a message continues. Raises NotFound, InvalidRequest, NotSupported."""
        task = await self.get(caller, agent, message.task_id or "", history_length=0)
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


def _check_modes(app: App, agent: str, message: ClientMessage) -> None:
    config = app.config.agents[agent]
    if not config.enforce_input_modes:
        return
    for part in message.message.parts:
        if isinstance(part, Media) and part.media_type not in config.input_modes:
            found = part.media_type or "parts without a media type"
            raise ContentNotAccepted(f"agent {agent!r} takes {', '.join(config.input_modes)}, not {found}")
