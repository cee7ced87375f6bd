"""Tools that MCP servers describe otherwise than they were accepted: which they are, and accepting them."""

from itertools import groupby
from typing import TYPE_CHECKING

from pydantic import Field

from hector.auth.access import Access
from hector.core.clock import iso
from hector.core.identity import DEFAULT_APP
from hector.store.mcp_pins import digest_of
from hector.web.endpoints import Ask, Body, Endpoint, Query, Shape

if TYPE_CHECKING:
    from hector.web.admin_parts import Parts


class ChangedQuery(Query):
    """Whose tools."""

    app_id: str | None = Field(None, description="Only those of this app.", max_length=256)
    server: str | None = Field(None, description="Only those of this entry under tools.", max_length=256)
    tool: str | None = Field(None, description="Only this tool, by the server's own name.")


class AcceptBody(Body):
    """What is accepted."""

    app_id: str | None = Field(None, description="Whose tool it is. Left out: that of the token, else default.")
    server: str = Field(description="The entry under tools.", min_length=1, max_length=256)
    tool: str | None = Field(None, description="Only this tool, by the server's own name. Left out: all of the server.")
    digest: str = Field(description="Of what was shown: the tool's, or that of all changed tools of the server.")


class ChangedTool(Shape):
    """A tool whose calls ask a person until it is accepted."""

    app_id: str
    server: str
    tool: str
    since: str
    digest: str = Field(description="Of what the server says now.")
    before: str = Field(description="What was accepted; empty if that was not kept.")
    now: str = Field(description="What the server says now. Signs that nobody sees are spelt, such as <U+200B>.")


class ServerDigest(Shape):
    """What stands for all the shown tools of one server together."""

    app_id: str
    server: str
    digest: str


class ChangedShape(Shape):
    """All of them, up to fifty."""

    changed: list[ChangedTool]
    servers: list[ServerDigest]


class AcceptedShape(Shape):
    """How many tools had changed, and are accepted now."""

    accepted: int


class McpEndpoints:
    """The endpoints."""

    def __init__(self, parts: "Parts") -> None:
        self._pins = parts.store.mcp_pins

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The table."""
        tag = "mcp"
        return (
            Endpoint(
                "GET", "/admin/mcp/changed", Access.APP,
                "Tools that MCP servers describe otherwise than they were accepted", self.list, tag, ChangedShape,
                query=ChangedQuery,
            ),
            Endpoint(
                "POST", "/admin/mcp/accept", Access.APP, "Take tools of an MCP server as they were shown",
                self.accept, tag, AcceptedShape, body=AcceptBody, action="mcp.accept",
            ),
        )  # fmt: skip

    async def list(self, ask: Ask) -> Shape:
        """What has changed in the apps that the principal may see."""
        found = await self._pins.changed(ask.app(ask.query.app_id), ask.query.server, ask.query.tool)
        groups = groupby(found, lambda one: (one.app, one.server))
        return ChangedShape(
            changed=[
                ChangedTool(
                    app_id=one.app, server=one.server, tool=one.tool, since=iso(one.at), digest=one.digest,
                    before=one.before, now=one.now,
                )
                for one in found
            ],
            servers=[
                ServerDigest(app_id=app, server=server, digest=digest_of(some)) for (app, server), some in groups
            ],
        )  # fmt: skip

    async def accept(self, ask: Ask) -> Shape:
        """Take them. Raises NotFound for an app of somebody else, Conflict for what has changed meanwhile."""
        body: AcceptBody = ask.body
        app = ask.app(body.app_id) or DEFAULT_APP
        aside = ask.aside(f"mcp:{body.server}/{body.tool or '*'}", app)
        return AcceptedShape(accepted=await self._pins.accept(app, body.server, body.tool, body.digest, aside))
