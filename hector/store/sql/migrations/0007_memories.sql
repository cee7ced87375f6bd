-- What is known of users across their sessions.
--
-- `terms` are the words of `text`, made by store/terms.py and set apart by blanks: the same on both engines. `owner` is
-- one word for app and user, so that the index never leads to anybody else's. `session` is the key of the session that
-- a memory comes from; one of kind "turn" goes with it, one of kind "fact" stays. Times are milliseconds since the epoch.

CREATE TABLE memories (
    key INTEGER PRIMARY KEY,
    app TEXT NOT NULL,
    "user" TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    session INTEGER NOT NULL,
    context TEXT NOT NULL,
    event TEXT NOT NULL,
    agent TEXT NOT NULL,
    text TEXT NOT NULL,
    owner TEXT NOT NULL,
    terms TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    UNIQUE (app, "user", id)
);

CREATE INDEX memories_session ON memories (session);
CREATE INDEX memories_age ON memories (app, "user", kind, created);
CREATE INDEX memories_expiry ON memories (expires) WHERE expires IS NOT NULL;

-- A restoration drops `memories` alone.
DROP TABLE IF EXISTS memory_index;

CREATE VIRTUAL TABLE memory_index USING fts5(
    owner, terms, content = 'memories', content_rowid = 'key', tokenize = "unicode61 remove_diacritics 0 categories 'L* N* Co M*'"
);

CREATE TRIGGER memories_added AFTER INSERT ON memories BEGIN
    INSERT INTO memory_index (rowid, owner, terms) VALUES (new.key, new.owner, new.terms);
END;

CREATE TRIGGER memories_removed AFTER DELETE ON memories BEGIN
    INSERT INTO memory_index (memory_index, rowid, owner, terms) VALUES ('delete', old.key, old.owner, old.terms);
END;
