"""The inbox of approvals: what waits for a person, and deciding about it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hector.auth.access import Access
from hector.core.errors import InvalidRequest
from hector.observe.redact import redact_values
from hector.store.approvals import Approval, ApprovalState
from hector.tasks.decisions import WORDS, continuation, decide, shown
from hector.web.endpoints import Ask, Body, Endpoint, PageQuery, PageShape, Shape, cut

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts


class ApprovalsQuery(PageQuery):
    """Which approvals."""

    state: Literal["pending", "decided"] = Field("pending", description="Those that wait, or those that do no more.")
    app_id: str | None = Field(None, description="Only those of this app.", max_length=128)
    task: str | None = Field(None, description="Only those of this task.", max_length=256)
    after: int | None = Field(
        None, ge=0, le=1 << 62, description="An older way to say `page_token`: `next` of the page before."
    )


class ApprovalShape(Shape):
    """A call of a tool that waits, or waited, for a person."""

    key: int = Field(description="Its id.")
    state: Literal["pending", "approved", "denied", "expired", "canceled"]
    task: str = Field(description="The task that waits.")
    context: str = Field(description="The conversation of the task.")
    agent: str = Field(description="The agent of the task.")
    asked_by: str = Field(description="The agent whose call it is: that one, or one that works for it.")
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
    comment: str | None = Field(None, description="What whoever decided has said.")


class ApprovalsShape(PageShape):
    """A page of approvals."""

    approvals: list[ApprovalShape]
    next: int | None = Field(description="An older way to say `next_page_token`, for `after`; null on the last page.")


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
                "GET", "/admin/approvals", Access.APP,
                "The calls that wait for a person, the oldest first, or those that were decided, the newest first",
                self.page, "approvals", ApprovalsShape, query=ApprovalsQuery,
            ),
            Endpoint(
                "GET", "/admin/approvals/{id}", Access.APP, "One of them, decided or not", self.get, "approvals",
                ApprovalShape, ids={"id": "approval"},
            ),
            Endpoint(
                "POST", "/admin/approvals/{id}", Access.APP, "Approve a call or deny it", self.decide, "approvals",
                ApprovalShape, body=DecisionBody, ids={"id": "approval"}, action="approval.decide",
            ),
        )  # fmt: skip

    async def page(self, ask: Ask) -> Shape:
        """What waits, the oldest first, or what was decided, the newest first. Raises NotFound."""
        query: ApprovalsQuery = ask.query
        app, place, most = ask.app(query.app_id), query.place, query.page_size + 1
        place = query.after if place is None else place
        approvals = self._store.approvals
        if query.state == "pending":
            found = await approvals.waiting(query.task, after=place or 0, limit=most, app=app)
        else:
            found = await approvals.decided(query.task, before=1 << 62 if place is None else place, limit=most, app=app)
        page, token = cut(found, query.page_size, lambda one: one.key)
        after = page[-1].key if token else None
        return ApprovalsShape(approvals=[_shape(one) for one in page], next_page_token=token, next=after)

    async def get(self, ask: Ask) -> Shape:
        """One of them. Raises NotFound."""
        found = await self._store.approvals.get(ask.number())
        ask.require_app(found.caller.app)
        return _shape(found)

    async def decide(self, ask: Ask) -> Shape:
        """Approve or deny. Raises InvalidRequest, NotFound."""
        body: DecisionBody = ask.body
        found = await self._store.approvals.get(ask.number())
        ask.require_app(found.caller.app)
        if found.state is not ApprovalState.PENDING:
            raise InvalidRequest(f"approval {found.key} was already {found.state} by {found.decided_by}")
        decisions = decide((found,), WORDS[body.decision], ask.author, body.comment)
        offer = continuation((found,), decisions, self._clock.now())
        ask.entry(f"task:{found.task_id}", found.caller.app)  # the store notes each decision with the event
        await self._store.tasks.accept(replace(offer, max_attempts=self._max_attempts))
        return _shape(await self._store.approvals.get(found.key))


def _shape(found: Approval) -> ApprovalShape:
    """As it is kept, what is known as secret hidden."""
    return ApprovalShape.model_validate(redact_values(shown(found)))
