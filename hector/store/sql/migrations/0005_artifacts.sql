-- Versions of the artifacts that agents keep for a session or (session 0) for a user.
--
-- `artifacts` holds what a task shows to its client, and a new one replaces the old; here every version stands.

CREATE TABLE artifact_versions (
    key INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    "user" TEXT NOT NULL,
    session INTEGER NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    agent TEXT NOT NULL,
    event TEXT NOT NULL,
    created INTEGER NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (app, "user", session, name, version)
);

CREATE INDEX artifact_versions_session ON artifact_versions (session);
