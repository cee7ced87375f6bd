"""What an agent is run with: its session as it stands, the facts of the request, and what of the run is stored."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

from hector.agents.context import RunContext
from hector.agents.history import DECISIONS, in_turns
from hector.agents.template import ARTIFACT, text_of
from hector.apps.app import App
from hector.core.clock import Clock, iso
from hector.core.errors import AgentError, StoreError
from hector.core.event import Event
from hector.core.record import dataclass
from hector.runner.turn import take_in
from hector.store import Session, Store
from hector.store.history import ENVELOPE
from hector.tasks.insist import insist
from hector.tasks.metering import meter_of
from hector.tasks.run import Run


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be run: the events of one invocation, which began with a message of the user.

    `stream` says whether anybody may watch. `session` is given where it is known without a look. If the `last` attempt
    fails, there is no other.
    """

    app: App
    agent: str
    invocation: str
    stream: bool
    session: Session | None = None
    last: bool = False


async def perform(run: Run, request: Request, store: Store, clock: Clock) -> None:
    """Run the agent from where its stored events end. Raises what the agent, the run and the store raise."""
    if request.stream:
        await asyncio.sleep(0)  # whoever sent the message is awake before us, and misses nothing
    base = run.live.base
    session = request.session or await load(run, store, clock)
    begun_by = begin_of(session, request.invocation)
    agent = request.app.agents.get(request.agent)
    if agent is None:
        raise AgentError(f"agent {request.agent!r} is no longer part of the configuration")
    if DECISIONS in (begun_by.metadata or {}) and not done_of(session, request.invocation):
        from hector.tasks.decided import log_decisions  # noqa: PLC0415 - loaded on first use

        log_decisions(base.id, begun_by)
    await run.begin()
    events = in_turns(session.events, request.invocation)
    state = session.state | _facts(run, begun_by, clock)
    if agent.wants_artifacts:
        state |= await _artifacts(run, request.app, store, clock)
    keeps = request.app.keeps or bool(request.app.clients)
    shelf, memories = None, None
    if keeps:
        from hector.tasks.keeping import Place, shelves  # noqa: PLC0415 - loaded where agents keep anything

        shelf, memories = shelves(Place(run.caller, base.context_id, clock), request.app, store)
    context = RunContext(
        run.caller,
        base.context_id,
        base.id,
        request.invocation,
        clock,
        events,
        state,
        request.stream,
        last=request.last,
        artifacts=shelf,
        memories=memories,
    )
    if request.app.clients:
        context = replace(context, canceled=lambda: run.canceled)
    if keeps:
        from hector.tasks.keeping import jobs_after  # noqa: PLC0415 - as above

        run.journal.most_kept = request.app.config.storage.artifacts.max_total
        run.journal.after = jobs_after(context, request.app, request.agent)
    meter = meter_of(run.limits, run, request.app.config, session, request.invocation)
    heed = partial(take_in, state=state)
    if meter is None:
        await run.follow(agent.run(context), heed)
        return
    try:
        async with meter.running():
            await run.follow(agent.run(replace(context, meter=meter)), heed)
    finally:
        await meter.close(written=run.ended)


async def _artifacts(run: Run, app: App, store: Store, clock: Clock) -> dict[str, Any]:
    """What the instructions may name of what is kept."""
    from hector.tasks.keeping import named_artifacts  # noqa: PLC0415 - loaded on first use

    read = lambda: named_artifacts(store, app, run.caller, run.live.base.context_id)  # noqa: E731 - bound to this run
    names = await insist(clock, read, "artifacts")
    return {f"{ARTIFACT}{name}": text_of(artifact) for name, artifact in names.items()}


async def load(run: Run, store: Store, clock: Clock) -> Session:
    """The session of a run. Raises NotFound when it has been deleted."""
    return await insist(clock, lambda: store.sessions.load(run.caller, run.live.base.context_id), "reading a session")


def begin_of(session: Session, invocation: str) -> Event:
    """The user's message that began an invocation. Raises StoreError."""
    for event in session.events:
        if event.invocation_id == invocation and event.author == "user":
            return event
    raise StoreError(f"session {session.id} lacks the message that began this run")


def done_of(session: Session, invocation: str) -> list[Event]:
    """What an invocation has stored since it began."""
    return [event for event in session.events if event.invocation_id == invocation and event.author != "user"]


def _facts(run: Run, event: Event, clock: Clock) -> dict[str, Any]:
    """Facts of the request, for instructions and tools."""
    base, now = run.live.base, iso(clock.now())
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
