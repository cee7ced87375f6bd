"""Runs accepted messages: one asyncio task each, in turn within a session, and every one of them ends."""

import asyncio
import logging
from types import TracebackType
from typing import Any, Final, Self

from hector.agents.context import RunContext
from hector.agents.history import in_turns
from hector.agents.template import ARTIFACT, text_of
from hector.apps.app import App
from hector.apps.registry import Lease
from hector.core.clock import Clock, iso
from hector.core.errors import HectorError, NotSupported, StoreUnavailable
from hector.core.event import Event
from hector.core.record import dataclass
from hector.core.task import Caller, Status, TaskState
from hector.observe.redact import redact
from hector.runner.turn import run_turn
from hector.store import Accept, Session, Store
from hector.store.history import ENVELOPE
from hector.tasks.channel import Channels
from hector.tasks.live import LiveTask
from hector.tasks.order import Place, Turns
from hector.tasks.run import Run

log = logging.getLogger("hector.tasks")
STOPPED: Final = "the server was stopped before this task had finished; send the message again"
INTERNAL: Final = "the task failed because of an internal error; the server's log has the details"
PAUSES: Final = (0.1, 0.5, 2.0)
"""Seconds between the tries to store the end of a run while the database is away."""


@dataclass(slots=True)
class _Work:
    """One message on its way. `run` is there once the message is stored; `ending` is what a cancel makes of it."""

    accepted: asyncio.Future[Run]
    place: Place
    run: Run | None = None
    task: asyncio.Task[None] | None = None
    ending: tuple[TaskState, str] | None = None

    def cancel(self, state: TaskState, text: str = "") -> None:
        """Once, and not before the message is stored: what was handed to the store cannot be taken back."""
        if self.ending is None:
            self.ending = state, text
            if self.run is not None and self.task is not None:
                self.task.cancel()


class Worker:
    """The work of this process. Use as an async context manager: leaving it ends what still runs."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.channels = Channels()
        self._store = store
        self._clock = clock
        self._turns = Turns()
        self._works: dict[str, _Work] = {}
        self._group = asyncio.TaskGroup()
        self.stopping = False

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drain(0.0)
        await self._group.__aexit__(None, None, None)

    @property
    def running(self) -> int:
        """How many messages are being worked on, or wait for their turn."""
        return len(self._works)

    def run_of(self, task_id: str) -> Run | None:
        """The run that works on a task now."""
        work = self._works.get(task_id)
        return work.run if work else None

    def busy(self, caller: Caller, context_id: str) -> bool:
        """Whether a message to this session has to wait for its turn."""
        return (caller, context_id) in self._turns

    def begin(self, offer: Accept, lease: Lease, *, stream: bool) -> "asyncio.Future[Run]":
        """Store the message and run it, also if nobody waits for the future. From here on the lease is ours.

        The future raises what the store raises. Raises StoreUnavailable while stopping, NotSupported when another
        message of the same task is on its way.
        """
        if self.stopping:
            raise StoreUnavailable("the server is stopping and takes no more work")
        if offer.task_id in self._works:
            raise NotSupported(f"task {offer.task_id} is still working; wait for it")
        place = self._turns.join((offer.caller, offer.context_id))
        work = _Work(asyncio.get_running_loop().create_future(), place)
        self._works[offer.task_id] = work
        work.task = self._group.create_task(self._perform(work, offer, lease, stream=stream))
        return work.accepted

    async def cancel(self, task_id: str) -> bool:
        """Cancel the work on a task and wait for its end; False when there is none."""
        work = self._works.get(task_id)
        if work is None or work.task is None:
            return False
        work.cancel(TaskState.CANCELED)
        await asyncio.wait((work.task,))
        return True

    async def drain(self, grace: float) -> None:
        """Take no more work, give what runs `grace` seconds to end, stop the rest, then end all streams."""
        self.stopping = True
        tasks = {work.task for work in self._works.values() if work.task is not None}
        if tasks:
            if grace:
                log.info("waiting for running tasks", extra={"count": len(tasks), "grace_seconds": grace})
            await asyncio.wait(tasks, timeout=grace)
            for work in self._works.values():
                work.cancel(TaskState.FAILED, STOPPED)
            await asyncio.wait(tasks)
        self.channels.close()

    async def _perform(self, work: _Work, offer: Accept, lease: Lease, *, stream: bool) -> None:
        try:
            accepted = await self._store.tasks.accept(offer)
            live = LiveTask.of(accepted.task, Status(TaskState.SUBMITTED, offer.at))
            config = lease.app.config.agents[offer.agent]
            work.run = Run(
                offer.caller,
                live,
                self.channels.hold(offer.task_id),
                self._store,
                self._clock,
                "task" if offer.resume else config.reply,
                structured=config.structured_output is not None,
            )
            if not work.accepted.done():
                work.accepted.set_result(work.run)
            await self._contain(work, work.run, lease.app, offer.event, accepted.session, stream=stream)
        except Exception as error:  # noqa: BLE001 - told to whoever sent the message, if still there
            if not work.accepted.done():
                work.accepted.set_exception(error)
        finally:
            work.accepted.cancel()
            work.place.leave()
            self._works.pop(offer.task_id, None)
            self.channels.release(offer.task_id)
            lease.release()

    async def _contain(
        self, work: _Work, run: Run, app: App, event: Event, session: Session | None, *, stream: bool
    ) -> None:
        """Whatever happens, the task ends in a state that says so."""
        try:
            await asyncio.sleep(0)  # whoever sent the message is awake before us, and misses nothing
            if work.ending is not None:
                raise asyncio.CancelledError
            await work.place.turn()
            await self._work(run, app, event, session, stream=stream)
        except asyncio.CancelledError:
            await self._end(run, *(work.ending or (TaskState.FAILED, INTERNAL)))
        except HectorError as error:
            log.warning("task failed", extra={"task": run.task_id, "cause": error.code, "error": str(error)})
            await self._end(run, TaskState.FAILED, redact(str(error)))
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException:
            log.exception("task failed", extra={"task": run.task_id})
            await self._end(run, TaskState.FAILED, INTERNAL)

    async def _work(self, run: Run, app: App, event: Event, session: Session | None, *, stream: bool) -> None:
        await run.begin()
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
        envelope = (event.metadata or {}).get(ENVELOPE, {})
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

    async def _end(self, run: Run, state: TaskState, text: str) -> None:
        """Settle a run that did not settle itself: with its last events, without them if those are the trouble.

        If even that cannot be stored, those who watch still learn that it is over.
        """
        for pause in (*PAUSES, 0.0):
            try:
                await run.end(state, text)
            except StoreUnavailable as error:
                log.warning("the end of a task cannot be stored yet", extra={"task": run.task_id, "error": str(error)})
                await self._clock.sleep(pause)
            except Exception:
                log.exception("the end of a task cannot be stored with its events", extra={"task": run.task_id})
                run.unsaved.clear()
            else:
                return
        run.abandon(text or INTERNAL)
