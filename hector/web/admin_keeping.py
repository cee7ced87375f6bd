"""What is kept of users beside their conversations: memories and artifacts, listed, read, deleted."""

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from hector.auth.access import Access
from hector.core.clock import iso
from hector.core.content import part_to_json
from hector.core.errors import NotFound
from hector.core.identity import DEFAULT_APP
from hector.core.keeping import Memory, StoredArtifact
from hector.core.task import Caller
from hector.observe.redact import redact, redact_values
from hector.web.endpoints import Ask, Endpoint, PageQuery, PageShape, Query, Shape

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts

_APP: Final = "The app that the user belongs to. Left out: the one of whoever asks, else `default`."
_USER: Final = "The user."


class UserQuery(Query):
    """Whose."""

    app_id: str | None = Field(None, description=_APP, max_length=128)
    user_id: str = Field("default", description=_USER, max_length=256)


class MemoriesQuery(PageQuery, UserQuery):
    """Which page of whose memories."""


class ArtifactsQuery(UserQuery):
    """Whose artifacts."""

    session_id: str | None = Field(
        None, description="The session that they belong to. Left out: the user himself.", max_length=256
    )


class ArtifactQuery(ArtifactsQuery):
    """Which version of whose artifact."""

    version: int | None = Field(None, ge=1, description="Left out: the newest.")


class MemoryShape(Shape):
    """Something that is known of a user."""

    id: str
    text: str
    kind: str = Field(description="fact: told to be remembered; turn: said in a session.")
    session: str = Field(description="Where it comes from.")
    event: str = Field(description="The event of that session, where it was said.")
    agent: str
    created: str
    expires: str | None


class MemoriesShape(PageShape):
    """A page of memories, the newest first."""

    memories: list[MemoryShape]


class RemovedShape(Shape):
    """How much went."""

    removed: int


class ArtifactShape(Shape):
    """A version of an artifact."""

    name: str
    version: int
    media_type: str
    size: int = Field(description="Bytes of its content.")
    agent: str
    created: str


class ArtifactsShape(Shape):
    """The newest version of each artifact, by name."""

    artifacts: list[ArtifactShape]


class ContentShape(Shape):
    """An artifact with its content."""

    name: str
    version: int
    parts: list[dict[str, Any]] = Field(description="Bytes in base64.")
    versions: list[ArtifactShape] = Field(description="All that are kept, the newest first.")


class KeepingEndpoints:
    """The endpoints."""

    def __init__(self, parts: "Parts") -> None:
        self._store = parts.store

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        return (*self._of_memories(), *self._of_artifacts())

    def _of_memories(self) -> tuple[Endpoint, ...]:
        return (
            Endpoint(
                "GET", "/admin/memories", Access.APP, "What is known of a user, the newest first", self.memories,
                "memories", MemoriesShape, query=MemoriesQuery, action="memory.read",
            ),
            Endpoint(
                "DELETE", "/admin/memories", Access.APP, "Forget all that is known of a user", self.forget_all,
                "memories", RemovedShape, query=UserQuery, action="memory.clear",
            ),
            Endpoint(
                "DELETE", "/admin/memories/{id:path}", Access.APP, "Forget one thing", self.forget, "memories",
                status=204, query=UserQuery, ids={"id": "memory"}, action="memory.delete",
            ),
        )  # fmt: skip

    def _of_artifacts(self) -> tuple[Endpoint, ...]:
        ids = {"name": "artifact"}
        return (
            Endpoint(
                "GET", "/admin/artifacts", Access.APP, "The artifacts of a session or of a user", self.artifacts,
                "artifacts", ArtifactsShape, query=ArtifactsQuery,
            ),
            Endpoint(
                "GET", "/admin/artifacts/{name:path}", Access.APP, "One artifact with its content", self.artifact,
                "artifacts", ContentShape, query=ArtifactQuery, ids=ids, action="artifact.read",
            ),
            Endpoint(
                "DELETE", "/admin/artifacts/{name:path}", Access.APP, "Delete all versions of one",
                self.delete_artifact, "artifacts", status=204, query=ArtifactsQuery, ids=ids, action="artifact.delete",
            ),
        )  # fmt: skip

    async def memories(self, ask: Ask) -> Shape:
        """One page. Raises InvalidRequest, NotFound."""
        query: MemoriesQuery = ask.query
        caller = _caller(ask)
        found, token = await self._store.memories.page(caller, page_size=query.page_size, page_token=query.page_token)
        await self._note(ask, f"memories:{caller.user}", caller)
        return MemoriesShape(memories=[_memory(one) for one in found], next_page_token=token)

    async def forget_all(self, ask: Ask) -> Shape:
        """All of a user's. Raises NotFound."""
        caller = _caller(ask)
        gone = await self._store.memories.forget_user(caller)
        await self._note(ask, f"memories:{caller.user}", caller, removed=gone)
        return RemovedShape(removed=gone)

    async def forget(self, ask: Ask) -> None:
        """One. Raises NotFound."""
        caller, memory = _caller(ask), ask.id()
        if not await self._store.memories.forget(caller, memory):
            raise NotFound("memory", memory)
        await self._note(ask, f"memory:{memory}", caller)

    async def artifacts(self, ask: Ask) -> Shape:
        """All names. Raises NotFound."""
        found = await self._store.artifacts.heads(_caller(ask), ask.query.session_id)
        return ArtifactsShape(artifacts=[_artifact(one) for one in found])

    async def artifact(self, ask: Ask) -> Shape:
        """One. Raises NotFound."""
        query: ArtifactQuery = ask.query
        caller, name = _caller(ask), ask.id("name")
        found = await self._store.artifacts.load(caller, query.session_id, name, query.version)
        if found is None:
            raise NotFound("artifact", name)
        version, artifact = found
        versions = await self._store.artifacts.versions(caller, query.session_id, name)
        await self._note(ask, f"artifact:{name}", caller, version=version)
        parts = [redact_values(part_to_json(part)) for part in artifact.parts]
        return ContentShape(name=name, version=version, parts=parts, versions=[_artifact(one) for one in versions])

    async def delete_artifact(self, ask: Ask) -> None:
        """All versions of one. Raises NotFound."""
        caller, name = _caller(ask), ask.id("name")
        if not await self._store.artifacts.delete(caller, ask.query.session_id, name):
            raise NotFound("artifact", name)
        await self._note(ask, f"artifact:{name}", caller)

    async def _note(self, ask: Ask, thing: str, caller: Caller, **detail: Any) -> None:
        await ask.note(thing, caller.app, user=caller.user, **detail)


def _caller(ask: Ask) -> Caller:
    return Caller(ask.app(ask.query.app_id) or DEFAULT_APP, ask.query.user_id)


def _memory(one: Memory) -> MemoryShape:
    return MemoryShape(
        id=one.id,
        text=redact(one.text),
        kind=one.kind,
        session=one.session,
        event=one.event,
        agent=one.agent,
        created=iso(one.created),
        expires=None if one.expires is None else iso(one.expires),
    )


def _artifact(one: StoredArtifact) -> ArtifactShape:
    return ArtifactShape(
        name=one.name,
        version=one.version,
        media_type=one.media_type,
        size=one.size,
        agent=one.agent,
        created=iso(one.created),
    )
