-- Apps with the versions of their configurations, credentials, counters of limits and budgets, switches, the audit log.
--
-- A token of an app names the app's `epoch`: raising it revokes all tokens of before. Secrets are stored as hashes only.
-- Audit entries are written to `audit_inbox` in the transaction of what they tell of, and moved from there into the
-- chain, one process at a time. Times are milliseconds since the epoch; money is in millionths of the unit of prices.

CREATE TABLE apps (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    version INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE app_configs (
    app TEXT NOT NULL,
    version INTEGER NOT NULL,
    format TEXT NOT NULL,
    body TEXT NOT NULL,
    author TEXT NOT NULL,
    note TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (app, version)
) WITHOUT ROWID;

CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL,
    role TEXT NOT NULL,
    app TEXT,
    user TEXT NOT NULL,
    author TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    used INTEGER,
    revoked INTEGER
) WITHOUT ROWID;

CREATE TABLE counters (
    subject TEXT NOT NULL,
    what TEXT NOT NULL,
    period INTEGER NOT NULL,
    used INTEGER NOT NULL,
    held INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    PRIMARY KEY (subject, what, period)
) WITHOUT ROWID;

CREATE INDEX counters_ended ON counters (ends);

CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    task TEXT NOT NULL,
    held TEXT NOT NULL,
    paid TEXT,
    created INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE usage (
    app TEXT NOT NULL,
    agent TEXT NOT NULL,
    user TEXT NOT NULL,
    model TEXT NOT NULL,
    day INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    input INTEGER NOT NULL,
    output INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    tools INTEGER NOT NULL,
    money INTEGER NOT NULL,
    PRIMARY KEY (app, day, agent, user, model)
) WITHOUT ROWID;

CREATE TABLE switches (
    scope TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    author TEXT NOT NULL,
    created INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit_inbox (
    key INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    app TEXT NOT NULL,
    actor TEXT NOT NULL,
    via TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL,
    request TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    app TEXT NOT NULL,
    actor TEXT NOT NULL,
    via TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    outcome TEXT NOT NULL,
    request TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
);

CREATE INDEX audit_by_app ON audit (app, seq);
CREATE INDEX audit_cuts ON audit (seq) WHERE action = 'audit.cut';

-- The agent that asks, where that is not the task's own.
ALTER TABLE approvals ADD COLUMN asker TEXT NOT NULL DEFAULT '';
