"""Where connections go: the policy in force, and every destination with what went there or was refused."""

from typing import TYPE_CHECKING

from pydantic import Field

from hector.auth.access import Access
from hector.core.clock import iso
from hector.net.gate import current
from hector.net.policy import describe
from hector.store.egress import EgressKeeper, Visited
from hector.web.endpoints import Ask, Endpoint, Query, Shape

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts


class EgressQuery(Query):
    """Which destinations."""

    purpose: str | None = Field(None, description="Only those called for this, such as model or push.", max_length=32)
    limit: int = Field(200, ge=1, le=1000, description="How many at most, those called last.")


class DestinationShape(Shape):
    """One destination; all numbers since `first_at`, of all processes."""

    purpose: str = Field(description="model, identity, database, push, mcp, tool, agent, child, console or other.")
    host: str = Field(description="As it was written, never looked up. (others): what found no row of its own.")
    port: int
    connections: int = Field(description="Connections that were tried.")
    failed: int = Field(description="Of these, those that could not be made.")
    refused: int = Field(description="How often the policy forbade one.")
    requests: int
    bytes_sent: int = Field(description="Of requests; without TLS and, behind a proxy, not counted.")
    bytes_received: int = Field(description="Of the bodies of answers, as they came.")
    first_at: str
    last_at: str
    refusal: str = Field(description="Why the last refusal was one; empty without any.")


class EgressShape(Shape):
    """The policy, and where connections went, the last ones first."""

    policy: list[str] = Field(description="The policy of this process in words: first all purposes, then differences.")
    destinations: list[DestinationShape]


class EgressEndpoints:
    """The endpoints."""

    def __init__(self, parts: "Parts") -> None:
        self._table = parts.store.egress
        self._keeper = EgressKeeper(parts.store.egress, parts.store.audit, parts.clock)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        return (
            Endpoint(
                "GET", "/admin/egress", Access.OPERATOR,
                "Where connections of the server went, or were refused, by destination", self.list, "server",
                EgressShape, query=EgressQuery,
                description="Other processes write down what they counted every 15 seconds.",
            ),
        )  # fmt: skip

    async def list(self, ask: Ask) -> Shape:
        """What was counted by this process until now included."""
        query: EgressQuery = ask.query
        await self._keeper.flush()
        found = await self._table.all(query.purpose, query.limit)
        policy = list(describe(current().settings))
        return EgressShape(policy=policy, destinations=[_shape(one) for one in found])


def _shape(one: Visited) -> DestinationShape:
    return DestinationShape(
        purpose=one.purpose,
        host=one.host,
        port=one.port,
        connections=one.attempts,
        failed=one.failed,
        refused=one.refused,
        requests=one.calls,
        bytes_sent=one.sent,
        bytes_received=one.received,
        first_at=iso(one.first_at),
        last_at=iso(one.last_at),
        refusal=one.refusal,
    )
