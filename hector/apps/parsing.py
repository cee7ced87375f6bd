"""Wiring of tools that read documents: from `mcp_parsers` of a document store to the MCP servers of its app."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from hector.config.documents import DocumentStore
from hector.config.root import HectorConfig
from hector.config.sources import DirectorySource
from hector.core.content import JsonObject
from hector.core.errors import ToolError
from hector.core.ids import new_id
from hector.core.ports import Offer, ToolContext, ToolOutput, ToolSpec
from hector.core.record import dataclass
from hector.core.retrieval import Chunk, Content, Extracted
from hector.rag.chunking import Rules
from hector.rag.parsers import Parsers

if TYPE_CHECKING:
    from hector.config.mcp import McpTool
    from hector.mcp.toolset import McpToolset
    from hector.rag.ingest_scan import Reading


def parsers_of(
    section: DocumentStore, config: HectorConfig, app_id: str
) -> "Callable[[Reading], DocumentTools] | None":
    """What puts the tools of a store around our own readers; None: it names none. Connects to nothing yet."""
    if section.mcp_parsers is None:
        return None
    return lambda reading: DocumentTools(section, config, app_id, reading)


@dataclass(frozen=True, slots=True)
class _Server:
    """A server whose tools are looked at. `seconds`: how long one call may take, 0 for ever."""

    toolset: "McpToolset"
    seconds: float


class DocumentTools:
    """Reads documents with the tools of MCP servers and with our own readers, each where it has the say.

    That a store names a tool is the leave to call it: there is nobody to ask for every document. Connections are its
    own, opened for the first document that a tool is to read.
    """

    def __init__(self, section: DocumentStore, config: HectorConfig, app_id: str, reading: "Reading") -> None:
        self._config, self._app, self._reading = config, app_id, reading
        self._chunking = section.chunking
        self._servers: list[_Server] | None = None
        source = section.source
        root = source.path if isinstance(source, DirectorySource) else ""
        if section.mcp_parsers is None:
            raise ValueError("a store without tools needs nothing around its readers")
        self._parsers = Parsers(section.mcp_parsers, self, self._native, root)

    async def read(self, content: Content) -> tuple[Extracted, Sequence[Chunk]]:
        """Extract and cut one document. Raises Unreadable with every reason."""
        return await self._parsers.read(content, self._chunking)

    async def _native(self, content: Content, _: Rules) -> tuple[Extracted, Sequence[Chunk]]:
        return await self._reading(content)

    async def specs(self) -> Mapping[str, ToolSpec]:
        """The tools of all servers that answer; where two have the same name, that of the first."""
        found: dict[str, ToolSpec] = {}
        for server in self._opened():
            for name, tool in (await _offer(server)).tools.items():
                found.setdefault(name, tool.spec)
        return found

    async def call(self, name: str, args: JsonObject) -> ToolOutput:
        """Raises ToolError."""
        for server in self._opened():
            tool = (await _offer(server)).tools.get(name)
            if tool is None:
                continue
            identity = new_id()
            context = ToolContext(identity, "", self._app, "", "", "", effect_id=identity)
            try:
                async with asyncio.timeout(server.seconds or None):
                    return await tool.call(args, context)
            except TimeoutError:
                raise ToolError(f"no answer within {server.seconds:g} s (timeout of the tool)") from None
        raise ToolError("there is no such tool any more")

    def _opened(self) -> list[_Server]:
        if self._servers is None:
            from hector.mcp.making import make_toolset  # noqa: PLC0415 - loaded for the first document

            tools = self._config.tools.items()
            entries = [(name, cast("McpTool", tool)) for name, tool in tools if tool.enabled and tool.type == "mcp"]
            self._servers = [_Server(make_toolset(name, entry, self._app), entry.timeout) for name, entry in entries]
        return self._servers

    async def aclose(self) -> None:
        """End the connections."""
        servers, self._servers = self._servers or [], []
        for server in servers:
            await server.toolset.aclose()


async def _offer(server: _Server) -> Offer:
    if server.toolset.offered is None:
        await server.toolset.load()
    return server.toolset.offered or Offer({}, {})
