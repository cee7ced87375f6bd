-- What was kept of each tool of an MCP server: the digest of its description as it was accepted, and of the one that the
-- server offers now where that differs (offered, empty otherwise). seen_at is milliseconds since the epoch.

CREATE TABLE mcp_pins (
    app TEXT NOT NULL,
    server TEXT NOT NULL,
    tool TEXT NOT NULL,
    digest TEXT NOT NULL,
    offered TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (app, server, tool)
) WITHOUT ROWID;
