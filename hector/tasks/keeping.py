"""What a run finds of artifacts and memories: its own user's, and no more."""

from typing import NamedTuple

from hector.agents.context import RunContext
from hector.agents.llm import Agent
from hector.apps.app import App
from hector.config.agents import LlmAgent
from hector.core.clock import Clock
from hector.core.event import Artifact
from hector.core.job import NewJob
from hector.core.keeping import MemoryShelf
from hector.core.task import Caller
from hector.observe import metrics
from hector.store import Store
from hector.store.shelf import Bounds, Shelf


async def named_artifacts(store: Store, app: App, caller: Caller, context_id: str) -> dict[str, Artifact]:
    """The newest versions of the artifacts that instructions of the app name, as far as there are any.

    Sessions that are older than the store of versions have only what their tasks have shown; what was deleted stays
    away, although it was shown.
    """
    agents = (agent for agent in app.agents.values() if isinstance(agent, Agent))
    names = frozenset(name for agent in agents for name in agent.prompt.artifacts | agent.overall.artifacts)
    found = await store.artifacts.newest(caller, context_id, names)
    if len(found) < len(names):
        shown = await store.sessions.artifacts(caller, context_id)
        only = names & shown.keys() - found.keys()
        gone = await store.artifacts.deleted(caller, context_id, only) if only else frozenset[str]()
        found = {name: shown[name] for name in only - gone} | found
    return found


class Place(NamedTuple):
    """Whose conversation something is kept for."""

    caller: Caller
    session_id: str
    clock: Clock


def shelves(place: Place, app: App, store: Store) -> tuple[Shelf, MemoryShelf | None]:
    """The ports that tools and agents keep artifacts and memories through."""
    bounds = app.config.storage.artifacts
    shelf = Shelf(store.artifacts, place.caller, place.session_id, Bounds(bounds.max_size, bounds.max_total))
    memories = _memories(place, app, store)
    if memories is not None and metrics.current is not None:
        from hector.tasks.counted import CountedMemories  # noqa: PLC0415 - only with metrics

        memories = CountedMemories(memories, metrics.current, place.caller.app)
    return shelf, memories


def _memories(place: Place, app: App, store: Store) -> MemoryShelf | None:
    memory = app.config.storage.memory
    if memory is None:
        return None
    from hector.store.memories import Recollection  # noqa: PLC0415 - loaded where anything is remembered

    words = Recollection(store.memories, place.caller, place.session_id, place.clock, memory.max_entries)
    return words if app.meaning is None else app.meaning.shelf(words, store.memory_vectors)


def jobs_after(context: RunContext, app: App, agent: str) -> tuple[NewJob, ...]:
    """What remembers a turn once it is over, where that is wanted."""
    memory, config = app.config.storage.memory, app.config.agents.get(agent)
    if memory is None or not memory.turns or (isinstance(config, LlmAgent) and not config.memory.save):
        return ()
    from hector.tasks.remembering import job_for  # noqa: PLC0415 - loaded where anything is remembered

    place = (context.caller, context.task_id, context.session_id, context.invocation_id)
    return (job_for(*place, memory.expires, memory.max_entries),)
