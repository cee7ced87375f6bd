-- Where connections went, for which purpose: counted by every process, added to now and then. Times are milliseconds
-- since the epoch.

CREATE TABLE egress (
    purpose TEXT NOT NULL,
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    received INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    refusal TEXT NOT NULL,
    PRIMARY KEY (purpose, host, port)
) WITHOUT ROWID;
