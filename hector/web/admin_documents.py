"""Document stores: how far their indexes are, what cannot be read and why, and indexing anew."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hector.auth.access import Access
from hector.core.clock import iso
from hector.core.errors import Conflict, NotFound
from hector.core.identity import DEFAULT_APP
from hector.web.endpoints import Ask, Body, Endpoint, Query, Shape

if TYPE_CHECKING:
    from hector.rag.ingest_progress import Progress
    from hector.rag.knowledge import Knowledge
    from hector.store.collection_rows import Failure
    from hector.web.admin_parts import Parts

State = Literal["waiting", "reading", "embedding", "ready", "searched"]


class StoresQuery(Query):
    """Whose document stores."""

    app_id: str | None = Field(None, description="Of which app. Left out: that of the token, else default.")


class FailuresQuery(StoresQuery):
    """Which documents."""

    limit: int = Field(100, ge=1, le=1000, description="How many at most.")
    after: str = Field("", max_length=4000, description="Only behind this id.")


class IndexBody(Body):
    """What is indexed."""

    force: bool = Field(False, description="Read, cut and embed everything anew.")


class StoreShape(Shape):
    """One document store. Percentages are null where they cannot be known."""

    id: str
    state: State = Field(
        description="waiting: for its turn, or after trouble; ready: all that there is can be found; searched: nobody "
        "fills it here."
    )
    percent: float | None = Field(description="How much of all there is to do is done.")
    read_percent: float | None = Field(description="Documents that the present scan is done with.")
    vectors_percent: float | None = Field(description="Chunks that have vectors; null without embedder or chunks.")
    eta: float | None = Field(description="Seconds that the present work still takes, at its pace so far.")
    documents: int
    failed: int
    chunks: int
    pending: int = Field(description="Chunks that wait for a vector.")
    left_out: dict[str, int] = Field(description="What the source left out, by the reason.")
    embedder: str
    indexed_at: str | None = Field(description="When the source was last looked through to its end.")
    trouble: str = Field(description="Why it does not go on; empty if it does.")


class StoresShape(Shape):
    """All of an app, in the order of its configuration."""

    document_stores: list[StoreShape]


class FailureShape(Shape):
    """A document that cannot be read."""

    id: str
    uri: str
    reason: str
    attempts: int
    next_try: str | None = Field(description="When it is read again; null: when it has changed.")
    stale: bool = Field(description="Whether an earlier state of it is found in the meantime.")


class FailuresShape(Shape):
    """Some of them, by id."""

    failures: list[FailureShape]


class AskedShape(Shape):
    """It will be done soon, by the process that keeps the index."""

    status: Literal["asked"]


class DocumentEndpoints:
    """The endpoints."""

    def __init__(self, parts: "Parts") -> None:
        self._apps = parts.apps

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        tag, ids = "documents", {"id": "document store"}
        return (
            Endpoint(
                "GET", "/admin/document-stores", Access.APP, "Document stores, and how far their indexes are",
                self.list, tag, StoresShape, query=StoresQuery,
                description="Figures are those of this process's machine: each keeps indexes of its own.",
            ),
            Endpoint(
                "GET", "/admin/document-stores/{id}/failures", Access.APP, "Documents that cannot be read, and why",
                self.failures, tag, FailuresShape, query=FailuresQuery, ids=ids,
            ),
            Endpoint(
                "POST", "/admin/document-stores/{id}/index", Access.APP, "Look through the source of a document store",
                self.index, tag, AskedShape, status=202, query=StoresQuery, body=IndexBody, ids=ids,
                action="documents.index",
                description="What has not changed is not read, cut or embedded again, but with `force`.",
            ),
        )  # fmt: skip

    async def list(self, ask: Ask) -> Shape:
        """How far each is. Raises NotFound for an app of somebody else."""
        knowledge = await self._knowledge(ask, ask.query.app_id)
        found = [] if knowledge is None else await knowledge.progress()
        return StoresShape(document_stores=[_store(one) for one in found])

    async def failures(self, ask: Ask) -> Shape:
        """What cannot be read. Raises NotFound."""
        knowledge = await self._knowledge(ask, ask.query.app_id)
        if knowledge is None:
            raise NotFound("document store", ask.id())
        found = await knowledge.failures(ask.id(), ask.query.limit, ask.query.after)
        return FailuresShape(failures=[_failure(one) for one in found])

    async def index(self, ask: Ask) -> Shape:
        """Have it looked through. Raises NotFound, and Conflict for one that is only searched."""
        knowledge = await self._knowledge(ask, ask.query.app_id)
        if knowledge is None:
            raise NotFound("document store", ask.id())
        running = knowledge.store(ask.id())
        if running.plan.source is None:
            raise Conflict(f"document store {ask.id()!r} is only searched: index the store that fills its collection")
        await running.ask(force=ask.body.force)
        await ask.note(f"document store:{ask.id()}", ask.app(ask.query.app_id) or DEFAULT_APP, force=ask.body.force)
        return AskedShape(status="asked")

    async def _knowledge(self, ask: Ask, app_id: str | None) -> "Knowledge | None":
        return (await self._apps.get(ask.app(app_id) or DEFAULT_APP)).knowledge


def _store(one: "Progress") -> StoreShape:
    return StoreShape(
        id=one.store, state=one.state, percent=one.percent, read_percent=one.read_percent,
        vectors_percent=one.vectors_percent, eta=one.eta, documents=one.documents, failed=one.failed,
        chunks=one.chunks, pending=one.pending, left_out=dict(one.omitted), embedder=one.embedder,
        indexed_at=None if one.scanned is None else iso(one.scanned), trouble=one.trouble,
    )  # fmt: skip


def _failure(one: "Failure") -> FailureShape:
    return FailureShape(
        id=one.id, uri=one.uri, reason=one.reason, attempts=one.attempts,
        next_try=None if one.retry_at is None else iso(one.retry_at), stale=one.stale,
    )  # fmt: skip
