"""An entry of type `mcp` as a toolset: what its server offers, under fit names, with policies."""

import asyncio
import time
from dataclasses import replace
from typing import Any, Final

from hector.core.ports import Offer, Tool, ToolPolicy
from hector.core.unseen import seen
from hector.mcp.offering import Catalogue, Offered, assign
from hector.mcp.pins import Pins
from hector.mcp.provider import Provider
from hector.mcp.settings import ServerSettings
from hector.mcp.tools import extra_tools, remote_tool

NOTHING: Final = Offer({}, {})
AGAIN: Final = 2.0
"""Seconds after which it is looked whether a change has been accepted."""
MOST_NAMES: Final = 1000
"""Names that are remembered of a server; of more, the oldest go that it offers no more."""


class McpToolset:
    """Satisfies Toolset and Pinned."""

    def __init__(self, settings: ServerSettings, app: str) -> None:
        self._app = app
        self._provider = Provider(settings)
        self._pins: Pins | None = None
        self._names: dict[str, str] = {}
        self._offer: Offer | None = None
        self._seen: tuple[Catalogue, frozenset[str]] | None = None
        self._looked = 0.0
        self._loading = asyncio.Lock()

    def pin(self, pins: Pins) -> None:
        """Changes are judged by what is kept there."""
        self._pins = pins

    @property
    def settings(self) -> ServerSettings:
        """What is known without asking."""
        return self._provider.settings

    @property
    def offered(self) -> Offer | None:
        """The tools as of now; those of before while the server is away."""
        waiting = self._seen is not None and self._seen[1] and time.monotonic() - self._looked > AGAIN
        return None if self._provider.due or waiting else self._offer or NOTHING

    @property
    def away(self) -> bool:
        """Whether the server has not been there yet, so that nothing is known of its tools."""
        return self._offer is None and self._provider.fault is not None

    async def load(self) -> None:
        """Connect, or ask again. A server that is away takes nothing down: its tools are missing. Raises StoreError."""
        async with self._loading:
            catalogue = await self._provider.catalogue()
            if catalogue is None:
                return
            changed = await self._changed(catalogue)
            if self._seen is None or self._seen[0] is not catalogue or self._seen[1] != changed:
                self._offer, self._seen = self._made(catalogue, changed), (catalogue, changed)

    async def aclose(self) -> None:
        """End the connection, and a server of ours."""
        await self._provider.aclose()

    async def _changed(self, catalogue: Catalogue) -> frozenset[str]:
        self._looked = time.monotonic()
        if self._pins is None:
            return frozenset()
        digests = {tool.name: tool.digest for tool in catalogue.tools}
        texts = {tool.name: tool.told for tool in catalogue.tools}
        return await self._pins.compare(self._app, self.settings.name, digests, texts)

    def _made(self, catalogue: Catalogue, changed: frozenset[str]) -> Offer:
        server = self.settings.name
        self._names |= assign(server, self.settings.prefix, (tool.name for tool in catalogue.tools), (), self._names)
        present = {tool.name for tool in catalogue.tools}
        past = [name for name in self._names if name not in present]
        for name in past[: max(len(self._names) - MOST_NAMES, 0)]:
            del self._names[name]
        tools: dict[str, Tool] = {}
        policies: dict[str, ToolPolicy] = {}
        for tool in catalogue.tools:
            name = self._names[tool.name]
            tools[name] = remote_tool(self._provider, tool, name)
            policies[name] = policy_of(tool, server, changed=tool.name in changed)
        extra: dict[str, Any] = extra_tools(
            self._provider, server, resources=catalogue.resources, prompts=catalogue.prompts
        )
        for ending, made in extra.items():
            name = assign(server, "", (f"{server}_{ending}",), tools, {})[f"{server}_{ending}"]
            tools[name] = replace(made, spec=replace(made.spec, name=name))
            policies[name] = ToolPolicy(on_unknown="retry")
        return Offer(tools, policies)


def policy_of(tool: Offered, server: str, *, changed: bool) -> ToolPolicy:
    """What a tool says of itself, and that a changed one is not to be trusted yet."""
    on_unknown = "retry" if tool.repeatable else "ask"
    if not changed:
        return ToolPolicy(on_unknown="retry") if on_unknown == "retry" else ToolPolicy()
    prompt = (
        f"The MCP server {server} describes its tool {seen(tool.name)[0]} otherwise than before. "
        f"Look at it with: hector mcp changed {server} {seen(tool.name)[0]}"
    )
    return ToolPolicy(True, prompt, on_unknown="ask", firm=True)
