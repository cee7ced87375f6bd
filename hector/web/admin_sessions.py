"""Sessions of all users of an app: listed, read, deleted."""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from hector.auth.access import Access
from hector.core.clock import iso
from hector.core.content import part_to_json
from hector.core.errors import NotFound, TaskNotCancelable
from hector.core.event import Event
from hector.observe.redact import redact_values
from hector.store.codec import control_to_json
from hector.store.inspection import Conversation
from hector.web.endpoints import Ask, Endpoint, PageQuery, PageShape, Query, Shape

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts

_APP: Final = "The app that it belongs to. Left out: whichever has it, of those that one may see."
_USER: Final = "The user that it belongs to. Left out: whoever has it."
_ROUNDS: Final = 3
"""How often unfinished tasks are looked for before a session is deleted whose user goes on sending messages."""


class SessionsQuery(PageQuery):
    """Which sessions."""

    app_id: str | None = Field(None, description="Only those of this app.", max_length=128)
    user_id: str | None = Field(None, description="Only those of this user.", max_length=256)


class WhoseQuery(Query):
    """Whose session is meant where several have one of the same id."""

    app_id: str | None = Field(None, description=_APP, max_length=128)
    user_id: str | None = Field(None, description=_USER, max_length=256)


class EventsQuery(WhoseQuery):
    """Which of its events."""

    limit: int = Field(100, ge=1, le=500, description="How many events at most.")
    after_event_id: str | None = Field(None, description="Only events behind this one.", max_length=256)


class ConversationShape(Shape):
    """A conversation."""

    id: str = Field(description="The context id that the client chose or was given.")
    app_name: str = Field(description="The id of the app.")
    user_id: str
    agent: str = Field(description="The agent that it began with.")
    created: str
    last_update: str
    event_count: int


class ConversationsShape(PageShape):
    """A page of sessions, the newest first."""

    sessions: list[ConversationShape]


class EventShape(Shape):
    """One fact of a conversation."""

    id: str
    timestamp: str
    invocation_id: str = Field(description="The run that it belongs to.")
    author: str = Field(description="user, or the agent.")
    branch: str = Field(description="Where it stands among agents that work for each other; empty for the first.")
    role: str
    parts: list[dict[str, Any]]
    state_delta: dict[str, Any] = Field(description="Keys of state that it changed; null deletes.")
    control: dict[str, Any] | None = Field(description="How it ended or paused the run.")
    artifacts: list[dict[str, Any]]
    usage: dict[str, int] | None = Field(description="Tokens that it took.")
    metadata: dict[str, Any] | None


class ConversationWithEventsShape(ConversationShape):
    """A conversation and some of its events, in their order."""

    events: list[EventShape]


class SessionEndpoints:
    """The endpoints."""

    def __init__(self, parts: "Parts") -> None:
        self._store = parts.store
        self._tasks = parts.tasks
        self._apps = parts.apps

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        ids = {"id": "session"}
        return (
            Endpoint(
                "GET", "/admin/sessions", Access.APP, "The sessions, the newest first", self.page, "sessions",
                ConversationsShape, query=SessionsQuery,
            ),
            Endpoint(
                "GET", "/admin/sessions/{id:path}", Access.APP, "One session with its events", self.get, "sessions",
                ConversationWithEventsShape, query=EventsQuery, ids=ids, errors=(409,), action="session.read",
            ),
            Endpoint(
                "DELETE", "/admin/sessions/{id:path}", Access.APP,
                "Delete a session with all that belongs to it; what runs in it is canceled first", self.delete,
                "sessions", status=204, query=WhoseQuery, ids=ids, errors=(409,), action="session.delete",
            ),
        )  # fmt: skip

    async def page(self, ask: Ask) -> Shape:
        """One page. Raises InvalidRequest, NotFound."""
        query: SessionsQuery = ask.query
        app = ask.app(query.app_id)
        found, token = await self._store.inspection.page(
            app, query.user_id, page_size=query.page_size, page_token=query.page_token
        )
        return ConversationsShape(sessions=[ConversationShape(**_facts(one)) for one in found], next_page_token=token)

    async def get(self, ask: Ask) -> Shape:
        """One with events. Raises NotFound, Conflict, InvalidRequest."""
        query: EventsQuery = ask.query
        found = await self._find(ask, query)
        events = await self._store.inspection.events(found.key, after=query.after_event_id, limit=query.limit)
        await ask.note(f"session:{found.id}", found.caller.app, user=found.caller.user)
        return ConversationWithEventsShape(**_facts(found), events=[_event(event) for event in events])

    async def delete(self, ask: Ask) -> None:
        """Cancel what runs, delete the rest. Raises NotFound, Conflict."""
        found = await self._find(ask, ask.query)
        for _ in range(_ROUNDS):
            await self._cancel(found)
            if not await self._store.inspection.unfinished(found.key):
                break
        aside = ask.aside(f"session:{found.id}", found.caller.app, user=found.caller.user, events=found.events)
        if not await self._store.sessions.delete(found.caller, found.id, aside):
            raise NotFound("session", found.id)
        await self._forget_changes(found)

    async def _forget_changes(self, found: Conversation) -> None:
        """What its file tools have kept on this server's disk."""
        from hector.tools.files.making import forget_changes  # noqa: PLC0415 - loaded by the first deletion

        tools = self._apps.current.config.tools.values()
        await asyncio.to_thread(forget_changes, list(tools), found.caller.app, found.caller.user, found.id)

    async def _find(self, ask: Ask, query: WhoseQuery) -> Conversation:
        return await self._store.inspection.find(ask.id(), ask.app(query.app_id), query.user_id)

    async def _cancel(self, found: Conversation) -> None:
        for task in await self._store.inspection.unfinished(found.key):
            try:
                await self._tasks.cancel(found.caller, None, task)
            except (TaskNotCancelable, NotFound):  # it has just ended by itself
                continue


def _facts(found: Conversation) -> dict[str, Any]:
    return {
        "id": found.id,
        "app_name": found.caller.app,
        "user_id": found.caller.user,
        "agent": found.agent,
        "created": iso(found.created),
        "last_update": iso(found.updated),
        "event_count": found.events,
    }


def _event(event: Event) -> EventShape:
    """An event as it stands in the log, what is known as secret hidden."""
    usage = event.usage
    tokens = ("input", "output", "cache_read", "cache_write", "reasoning")
    return EventShape(
        id=event.id,
        timestamp=iso(event.at),
        invocation_id=event.invocation_id,
        author=event.author,
        branch=event.branch,
        role=event.message.role,
        parts=[redact_values(part_to_json(part)) for part in event.message.parts],
        state_delta=redact_values(dict(event.state)),
        control=None if event.control is None else redact_values(control_to_json(event.control)),
        artifacts=[{"id": one.id, "name": one.name, "description": one.description} for one in event.artifacts],
        usage=None if usage is None else {name: getattr(usage, name) for name in tokens},
        metadata=redact_values(event.metadata),
    )
