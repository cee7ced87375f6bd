-- Sessions, their events and state, tasks and artifacts.
--
-- events.key is session * 2^24 + seq: one clustered B-tree holds each session's events side by side, so that loading
-- fifty of them reads the same few pages in a small database and in a huge one, and no second index is needed.
-- A task's key is the key of the event that began it, hence its session is key >> 24; `last` is its newest event so far.
-- Times are milliseconds since the epoch, an event's `at` excepted (seconds, unrounded).

CREATE TABLE sessions (
    key INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    user TEXT NOT NULL,
    id TEXT NOT NULL,
    agent TEXT NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    UNIQUE (app, user, id)
);

CREATE TABLE events (
    key INTEGER PRIMARY KEY,
    task INTEGER NOT NULL,
    shown INTEGER NOT NULL,
    id TEXT NOT NULL,
    invocation TEXT NOT NULL,
    author TEXT NOT NULL,
    branch TEXT NOT NULL,
    at REAL NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE app_state (
    app TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (app, name)
) WITHOUT ROWID;

CREATE TABLE user_state (
    app TEXT NOT NULL,
    user TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (app, user, name)
) WITHOUT ROWID;

CREATE TABLE session_state (
    session INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (session, name)
) WITHOUT ROWID;

CREATE TABLE tasks (
    key INTEGER PRIMARY KEY,
    last INTEGER NOT NULL,
    app TEXT NOT NULL,
    user TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    state TEXT NOT NULL,
    changed INTEGER NOT NULL,
    message TEXT,
    metadata TEXT,
    created INTEGER NOT NULL
);

CREATE INDEX tasks_listing ON tasks (app, user, changed DESC, key DESC);
CREATE INDEX tasks_unfinished ON tasks (key) WHERE state IN ('submitted', 'working');

CREATE TABLE artifacts (
    key INTEGER PRIMARY KEY,
    task INTEGER NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (task, id)
);
