"""The Model Context Protocol: tools of other servers for our agents, and our agents as the tools of others.

provider    one declared server: connected when first needed, kept up, and what it offers as tools
session     one connection: the official package's session over one of the transports
stdio, streamable, sse   the transports
serving     the other way: our agents as an MCP server, as pure functions
sdk         loads the official package, at the first connection and not before
"""
