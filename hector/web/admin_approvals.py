"""The inbox of approvals: what waits for a person, and deciding about it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from hector.auth.access import Access
from hector.core.errors import InvalidRequest
from hector.store.approvals import ApprovalState
from hector.tasks.decisions import WORDS, continuation, decide, shown
from hector.web.endpoints import Ask, Body, Endpoint, Query, Shape

if TYPE_CHECKING:
    from hector.web.admin import Parts

MOST: Final = 100
"""Approvals on one page."""


class WaitingQuery(Query):
    """Which approvals."""

    task: str | None = Field(None, description="Only those of this task.", max_length=256)
    after: int = Field(0, ge=0, description="Go on behind this key, the `next` of the page before.")


class ApprovalShape(Shape):
    """A call of a tool that waits, or waited, for a person."""

    key: int = Field(description="Its id.")
    state: Literal["pending", "approved", "denied", "expired", "canceled"]
    task: str = Field(description="The task that waits.")
    context: str = Field(description="The conversation of the task.")
    agent: str
    app: str
    user: str
    call: str = Field(description="The id of the call within the task.")
    tool: str
    arguments: dict[str, Any]
    arguments_hash: str = Field(description="What a decision is bound to.")
    prompt: str = Field(description="What the person is asked.")
    asked: str
    expires: str | None = Field(description="When it counts as denied; null for never.")
    decided: str | None = None
    decided_by: str | None = None


class ApprovalsShape(Shape):
    """A page of approvals."""

    approvals: list[ApprovalShape]
    next: int | None = Field(description="The `after` of the next page; null on the last one.")


class DecisionBody(Body):
    """A decision."""

    decision: Literal["approve", "deny"]
    comment: str = Field("", max_length=4096, description="Kept with the decision; a model that is denied reads it.")


class ApprovalEndpoints:
    """The endpoints."""

    def __init__(self, parts: "Parts") -> None:
        self._store = parts.store
        self._clock = parts.clock
        self._max_attempts = parts.settings.queue.max_retries + 1

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        return (
            Endpoint(
                "GET",
                "/admin/approvals",
                Access.OPERATOR,
                "The calls that wait for a person, the oldest first",
                self.waiting,
                "approvals",
                ApprovalsShape,
                query=WaitingQuery,
            ),
            Endpoint(
                "GET",
                "/admin/approvals/{id}",
                Access.OPERATOR,
                "One of them, decided or not",
                self.get,
                "approvals",
                ApprovalShape,
                ids={"id": "approval"},
            ),
            Endpoint(
                "POST",
                "/admin/approvals/{id}",
                Access.OPERATOR,
                "Approve a call or deny it",
                self.decide,
                "approvals",
                ApprovalShape,
                body=DecisionBody,
                ids={"id": "approval"},
                action="approval.decide",
            ),
        )

    async def waiting(self, ask: Ask) -> Shape:
        """What waits; `after` is a key."""
        query: WaitingQuery = ask.query
        found = await self._store.approvals.waiting(query.task, after=query.after, limit=MOST + 1)
        page = [ApprovalShape.model_validate(shown(one)) for one in found[:MOST]]
        return ApprovalsShape(approvals=page, next=page[-1].key if len(found) > MOST else None)

    async def get(self, ask: Ask) -> Shape:
        """One of them. Raises NotFound."""
        found = await self._store.approvals.get(ask.number())
        ask.require_app(found.caller.app)
        return ApprovalShape.model_validate(shown(found))

    async def decide(self, ask: Ask) -> Shape:
        """Approve or deny. Raises InvalidRequest, NotFound."""
        body: DecisionBody = ask.body
        found = await self._store.approvals.get(ask.number())
        ask.require_app(found.caller.app)
        if found.state is not ApprovalState.PENDING:
            raise InvalidRequest(f"approval {found.key} was already {found.state} by {found.decided_by}")
        decisions = decide((found,), WORDS[body.decision], ask.author, body.comment)
        offer = continuation((found,), decisions, self._clock.now())
        await self._store.tasks.accept(replace(offer, max_attempts=self._max_attempts))
        return ApprovalShape.model_validate(shown(await self._store.approvals.get(found.key)))
