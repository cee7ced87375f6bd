-- One document store's index.db: a cache of its source, which can be made again from there.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE documents (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    checksum TEXT NOT NULL,
    uri TEXT NOT NULL,
    title TEXT NOT NULL,
    metadata TEXT NOT NULL,
    notes TEXT NOT NULL,
    chunks INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    retry_at INTEGER,
    seen INTEGER NOT NULL,
    indexed INTEGER NOT NULL
);

CREATE INDEX documents_seen ON documents (seen);
CREATE INDEX documents_failed ON documents (id) WHERE failed;

-- What filters ask for: one row per value, the members of a list apart. `value` is JSON.
CREATE TABLE attributes (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (name, value, document)
) WITHOUT ROWID;

CREATE INDEX attributes_document ON attributes (document);

-- Keys are never used again: a vector that outlives its chunk belongs to nothing.
CREATE TABLE chunks (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL,
    number INTEGER NOT NULL,
    text TEXT NOT NULL,
    place TEXT NOT NULL,
    hash BLOB NOT NULL,
    embedded INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX chunks_document ON chunks (document);
CREATE INDEX chunks_pending ON chunks (key) WHERE NOT embedded;
CREATE INDEX IF NOT EXISTS chunks_stale ON chunks (key) WHERE embedded > 1;

-- Vectors of chunks that are gone, until the index of vectors has dropped them.
CREATE TABLE removals (
    key INTEGER PRIMARY KEY
);

-- Where in the files of the flat index a vector lies, and which places are free again.
CREATE TABLE slots (
    key INTEGER PRIMARY KEY,
    slot INTEGER NOT NULL
);

CREATE TABLE free_slots (
    slot INTEGER PRIMARY KEY
);

-- Where vectors will lie when those that are left have been put together, until that is finished.
CREATE TABLE moved_slots (
    key INTEGER PRIMARY KEY,
    slot INTEGER NOT NULL
);

-- Vectors by what they were made of, the latest of them.
CREATE TABLE vectors (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    vector BLOB NOT NULL
);

-- Words are folded and set apart by store/terms.py; the tokenizer adds nothing but English stems.
CREATE VIRTUAL TABLE words USING fts5 (terms, title, content='', tokenize='porter ascii');
