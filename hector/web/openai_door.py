"""The agents behind OpenAI's API: which conversation a request goes on with, and what it says there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hector.apps.app import App
from hector.apps.registry import Apps
from hector.auth.access import sees
from hector.core.clock import Clock
from hector.core.content import JsonObject, Message, Text
from hector.core.digest import args_hash
from hector.core.errors import HectorError, NotFound
from hector.core.identity import Principal
from hector.core.ids import new_id
from hector.core.record import dataclass
from hector.core.task import Caller, ClientMessage, Task, TaskQuery
from hector.core.usage import Usage
from hector.store import Store
from hector.store.history import ENVELOPE
from hector.tasks.follow import TaskStream
from hector.tasks.service import SendOptions, TaskService
from hector.web.openai_input import Asked, Turn
from hector.web.openai_output import Names
from hector.web.openai_talk import Conversations, Place, content_of
from hector.web.protocol import visible_agent
from hector.web.tenancy import app_for

OWNER: Final = "hector"
_OF_CONTEXT: Final = "c"
"""How the number of an answer begins that belongs to no task: the conversation follows."""


@dataclass(frozen=True, slots=True)
class Work:
    """A request that is ready to be run.

    `known` are the artifacts that its task has already, `taken` is the place in a conversation that it was given.
    """

    caller: Caller
    agent: str
    message: ClientMessage
    asked: Asked
    known: frozenset[str] = frozenset()
    taken: Place | None = None


class Door:
    """What requests ask for, over the same service as A2A's."""

    def __init__(self, apps: Apps, tasks: TaskService, store: Store, clock: Clock) -> None:
        self._apps = apps
        self._tasks = tasks
        self._store = store
        self._clock = clock
        self._talks = Conversations()

    async def models(self, who: Principal) -> JsonObject:
        """The agents that somebody may see, as a list of models."""
        app = await app_for(self._apps, who, None)
        seen = [name for name, agent in app.config.agents.items() if sees(who, agent.visibility)]
        return {"object": "list", "data": [_described(app, name) for name in seen]}

    async def model(self, who: Principal, name: str) -> JsonObject:
        """One of them. Raises NotFound."""
        app = await app_for(self._apps, who, None)
        return _described(app, visible_agent(app, name, who))

    async def work(self, who: Principal, asked: Asked) -> Work:
        """Find out what a request goes on with. Raises NotFound, InvalidRequest."""
        app = await app_for(self._apps, who, None)
        agent, caller = visible_agent(app, asked.model, who), who.caller(app.id)
        taken = None if _is_named(asked) else self._talks.take(caller, agent, asked.before)
        place, task, fresh = await self._place(caller, agent, asked, taken)
        message = Message("user", content_of(asked.before, asked.said, fresh=fresh))
        sent = ClientMessage(new_id(), message, place.context or None, place.task or None)
        known = frozenset(one.id for one in task.artifacts) if task else frozenset[str]()
        return Work(caller, agent, sent, asked, known, taken)

    async def run(self, work: Work) -> Task | ClientMessage:
        """The whole answer."""
        with self._kept(work):
            return await self._tasks.send(work.caller, work.agent, work.message, SendOptions(history_length=0))

    async def stream(self, work: Work) -> TaskStream:
        """The answer as it comes."""
        with self._kept(work):
            return await self._tasks.stream(work.caller, work.agent, work.message, SendOptions(history_length=0))

    @contextmanager
    def _kept(self, work: Work) -> Iterator[None]:
        """A message that is not accepted leaves its conversation where it was."""
        try:
            yield
        except HectorError:
            if work.taken is not None:
                self._talks.keep(work.caller, work.agent, work.asked.before, work.taken)
            raise

    def names(self, work: Work, first: Task | ClientMessage) -> Names:
        """What the answer is called."""
        context = first.context_id or ""
        task = first.id if isinstance(first, Task) else ""
        number = f"{task or _OF_CONTEXT + context}_{work.message.id[-12:]}"
        return Names(number, work.agent, context, int(self._clock.now()), task, work.asked.previous or None)

    def over(self, work: Work, names: Names, text: str, *, waits: bool) -> None:
        """The client has the answer: where it goes on from there."""
        if not _is_named(work.asked):
            turns = (*work.asked.turns, Turn("assistant", (Text(text),)))
            self._talks.keep(work.caller, work.agent, turns, Place(names.context, names.task if waits else ""))

    async def usage(self, work: Work, context: str) -> Usage:
        """What the run has used: all models, those of agents that were called included."""
        try:
            session = await self._store.sessions.load(work.caller, context)
        except NotFound:
            return Usage()
        of_this = ((event.metadata or {}).get(ENVELOPE, {}).get("message_id") for event in session.events)
        begin = next((at for at, found in enumerate(of_this) if found == work.message.id), None)
        if begin is None:
            return Usage()
        invocation, total = session.events[begin].invocation_id, Usage()
        for event in session.events[begin:]:
            if event.usage is not None and event.invocation_id == invocation:
                total += event.usage
        return total

    async def _place(
        self, caller: Caller, agent: str, asked: Asked, taken: Place | None
    ) -> tuple[Place, Task | None, bool]:
        """Where the message goes, the task that waits there, and whether the conversation begins."""
        if asked.previous:
            context = await self._previous(caller, agent, asked.previous)
        elif asked.session or asked.user:
            context = asked.session or f"user-{args_hash({'agent': agent, 'user': asked.user})[:32]}"
        else:
            if taken and taken.task:
                return await self._resumed(caller, agent, taken)
            return taken or Place(""), None, taken is None
        query = TaskQuery(context, page_size=1, include_artifacts=True)
        page = await self._tasks.list(caller, agent, query)
        last = page.tasks[0] if page.tasks else None
        waiting = last if last is not None and last.status.state.interrupted else None
        return Place(context, waiting.id if waiting else ""), waiting, last is None and not asked.previous

    async def _resumed(self, caller: Caller, agent: str, taken: Place) -> tuple[Place, Task | None, bool]:
        """Where a conversation goes on whose task waited: it may have been answered elsewhere, or be gone by now."""
        try:
            task = await self._tasks.get(caller, agent, taken.task, 0)
        except NotFound:
            return Place(""), None, True
        return (taken, task, False) if task.status.state.interrupted else (Place(taken.context), None, False)

    async def _previous(self, caller: Caller, agent: str, previous: str) -> str:
        """The conversation of an earlier response. Raises NotFound."""
        number = previous.removeprefix("resp_").rpartition("_")[0]
        try:
            if number.startswith(_OF_CONTEXT):
                return (await self._store.sessions.load(caller, number.removeprefix(_OF_CONTEXT))).id
            return (await self._tasks.get(caller, agent, number, 0)).context_id
        except NotFound:
            raise NotFound("response", previous[:80]) from None


def _is_named(asked: Asked) -> bool:
    """Whether the request says itself which conversation it belongs to."""
    return bool(asked.session or asked.user or asked.previous)


def _described(app: App, name: str) -> JsonObject:
    agent = app.config.agents[name]
    about = {"name": agent.name or name, "description": agent.description}
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER, **about}
