-- What was kept of each tool of an MCP server: the digest of its description as it was accepted, and of the one that the
-- server offers now where that differs (offered, empty otherwise). seen_at is milliseconds since the epoch.

CREATE TABLE mcp_pins (
    app TEXT COLLATE "C" NOT NULL,
    server TEXT COLLATE "C" NOT NULL,
    tool TEXT COLLATE "C" NOT NULL,
    digest TEXT NOT NULL,
    offered TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (app, server, tool)
);
