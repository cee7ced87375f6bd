"""Agents as the tools of an MCP server."""

from pydantic import Field

from hector.config.base import Names, Section


class McpServer(Section):
    """Which agents MCP clients find as tools under `/mcp`, and over `hector mcp`."""

    enabled: bool = Field(True, description="Whether there is such a server.")
    agents: Names | None = Field(None, description="Agents that are offered, by id. Left out: all public ones.")
    instructions: str = Field("", description="What clients are told about the server as a whole.")
