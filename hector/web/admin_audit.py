"""The audit log, read."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from hector.auth.access import Access
from hector.core.clock import iso
from hector.core.errors import InvalidRequest, Violation
from hector.store.audit import Chained, Filter
from hector.store.audit_chain import Chain
from hector.store.codec import loads
from hector.web.endpoints import Ask, Endpoint, PageQuery, PageShape, Shape, cut

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts


class AuditQuery(PageQuery):
    """Which entries."""

    app_id: str | None = Field(None, description="Only those about this app.", max_length=128)
    action: str | None = Field(None, description="Only this action, such as session.delete.", max_length=64)
    actor: str | None = Field(None, description="Only what this one did.", max_length=400)
    object: str | None = Field(None, description="Only what was done to this object: kind:id.", max_length=400)
    outcome: str | None = Field(None, description="Only those that ended so: ok, refused or failed.", max_length=64)
    since: str | None = Field(None, description="Not older than this: RFC 3339, such as 2026-01-31T12:00:00Z.")
    before: str | None = Field(None, description="Older than this.")


class EntryShape(Shape):
    """Who did what to which object, and how it ended."""

    seq: int = Field(description="Its place in the chain.")
    at: str
    app_id: str = Field(description="Empty for what is about the whole server.")
    actor: str
    via: str = Field(description="How they proved who they are, or which part of the server acted.")
    action: str
    object: str
    outcome: str
    request_id: str
    detail: dict[str, Any]
    hash: str = Field(description="SHA-256 of this row and the hash of the row before it.")


class HeadShape(Shape):
    """The end of the chain: kept elsewhere, it shows later whether the chain was made anew or cut off."""

    seq: int
    hash: str


class AuditShape(PageShape):
    """A page of entries, the newest first."""

    entries: list[EntryShape]
    head: HeadShape


class AuditEndpoints:
    """The endpoints."""

    def __init__(self, parts: "Parts") -> None:
        self._audit = parts.store.audit
        self._chain = Chain(parts.store.database, parts.clock)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        return (
            Endpoint(
                "GET", "/admin/audit", Access.ADMIN, "The audit log, the newest entries first", self.page, "audit",
                AuditShape, query=AuditQuery,
            ),
        )  # fmt: skip

    async def page(self, ask: Ask) -> Shape:
        """One page, what was written until now included. Raises InvalidRequest."""
        query: AuditQuery = ask.query
        wanted = Filter(
            ask.app(query.app_id),
            query.action,
            query.actor,
            query.object,
            query.outcome,
            _moment(query.since, "since"),
            _moment(query.before, "before"),
        )
        place = query.place
        await self._chain.settle()
        found = await self._audit.page(wanted, before=place, limit=query.page_size + 1)
        page, token = cut(found, query.page_size, lambda one: one.seq)
        head = await self._chain.head()
        shapes = [entry_shape(one) for one in page]
        return AuditShape(entries=shapes, next_page_token=token, head=HeadShape(seq=head.seq, hash=head.hash))


def entry_shape(one: Chained) -> EntryShape:
    """An entry for people and programs."""
    return EntryShape(
        seq=one.seq,
        at=iso(one.at),
        app_id=one.app,
        actor=one.actor,
        via=one.via,
        action=one.action,
        object=one.object,
        outcome=one.outcome,
        request_id=one.request,
        detail=loads(one.detail),
        hash=one.hash,
    )


def _moment(text: str | None, field: str) -> float:
    """Seconds since the epoch; 0 for nothing. Raises InvalidRequest."""
    if text is None:
        return 0.0
    try:
        found = datetime.fromisoformat(text)
        return max(found.replace(tzinfo=found.tzinfo or UTC).timestamp(), 0.001)
    except (ValueError, OverflowError):
        said = "must be a moment of RFC 3339, such as 2026-01-31T12:00:00Z"
        raise InvalidRequest(f"{field} {said}", [Violation(field, said)]) from None
