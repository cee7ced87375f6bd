-- get_meta
SELECT value FROM meta WHERE name = ?;

-- set_meta
INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- drop_meta
DELETE FROM meta WHERE name = ?;

-- known
SELECT id, fingerprint, checksum, failed, reason, attempts, retry_at, chunks FROM documents
WHERE id IN (SELECT value FROM json_each(?));

-- find
SELECT key, title, metadata FROM documents WHERE id = ?;

-- store
INSERT INTO documents (id, name, fingerprint, checksum, uri, title, metadata, notes, chunks, failed, reason, attempts,
                       retry_at, seen, indexed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', 0, NULL, ?, ?)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, fingerprint = excluded.fingerprint, checksum = excluded.checksum,
    uri = excluded.uri, title = excluded.title, metadata = excluded.metadata, notes = excluded.notes,
    chunks = excluded.chunks, failed = 0, reason = '', attempts = 0, retry_at = NULL, seen = excluded.seen,
    indexed = excluded.indexed;

-- fail
-- What was indexed of an earlier state of the document is gone: `remove_chunks` came first.
INSERT INTO documents (id, name, fingerprint, checksum, uri, title, metadata, notes, chunks, failed, reason, attempts,
                       retry_at, seen, indexed)
VALUES (?, ?, ?, '', ?, '', '{}', '[]', 0, 1, ?, 1, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, checksum = '', uri = excluded.uri, title = '', metadata = '{}',
    notes = '[]', chunks = 0, failed = 1, reason = excluded.reason,
    attempts = CASE WHEN fingerprint = excluded.fingerprint THEN attempts + 1 ELSE 1 END,
    fingerprint = excluded.fingerprint, retry_at = excluded.retry_at, seen = excluded.seen, indexed = excluded.indexed;

-- has_chunks
SELECT 1 FROM documents WHERE id = ? AND chunks > 0;

-- fail_kept
UPDATE documents SET attempts = CASE WHEN failed AND fingerprint = ?1 THEN attempts + 1 ELSE 1 END, fingerprint = ?1,
    failed = 1, reason = ?2, retry_at = ?3, seen = ?4
WHERE id = ?5;

-- touch
UPDATE documents SET seen = ?1 WHERE id IN (SELECT value FROM json_each(?2));

-- touch_below
UPDATE documents SET seen = ?1 WHERE substr(id, 1, length(?2)) = ?2;

-- refresh
UPDATE documents SET fingerprint = ?, uri = ?, name = ?, seen = ? WHERE id = ?;

-- unseen
SELECT key, id FROM documents WHERE seen < ? ORDER BY seen, key LIMIT ?;

-- count_unseen
SELECT count(*) FROM documents WHERE seen < ?;

-- of_ids
SELECT key, id, title FROM documents WHERE id IN (SELECT value FROM json_each(?));

-- remove_document
DELETE FROM documents WHERE key = ?;

-- add_attribute
INSERT OR IGNORE INTO attributes (name, value, document) VALUES (?, ?, ?);

-- remove_attributes
DELETE FROM attributes WHERE document = ?;

-- chunks_of
SELECT c.key, c.number, c.hash, c.text, c.place, c.embedded FROM chunks c WHERE c.document = ? ORDER BY c.number;

-- add_chunk
INSERT INTO chunks (document, number, text, place, hash) VALUES (?, ?, ?, ?, ?);

-- move_chunk
UPDATE chunks SET number = ?, place = ? WHERE key = ?;

-- remove_chunk
DELETE FROM chunks WHERE key = ?;

-- add_removal
INSERT OR IGNORE INTO removals (key) VALUES (?);

-- add_words
INSERT INTO words (rowid, terms, title) VALUES (?, ?, ?);

-- remove_words
INSERT INTO words (words, rowid, terms, title) VALUES ('delete', ?, ?, ?);

-- pending
-- In the order in which they came, which is that of the source; a vector that was made of the same text once.
SELECT c.key, d.id, c.text, c.hash, d.metadata, d.title, c.place, v.vector FROM chunks c
JOIN documents d ON d.key = c.document LEFT JOIN vectors v ON v.hash = c.hash
WHERE NOT c.embedded AND c.key > ? ORDER BY c.key LIMIT ?;

-- stale
-- Vectors that are somewhere else together with metadata that has changed since: `embedded` counts how often.
SELECT c.key, d.id, c.text, c.hash, d.metadata, d.title, c.place, v.vector, c.embedded FROM chunks c
JOIN documents d ON d.key = c.document LEFT JOIN vectors v ON v.hash = c.hash
WHERE c.embedded > 1 ORDER BY c.key LIMIT ?;

-- mark_stale
UPDATE chunks SET embedded = embedded + 1 WHERE document = ? AND embedded > 0;

-- mark_described
UPDATE chunks SET embedded = 1 WHERE key = ? AND embedded = ?;

-- hash_of
SELECT hash FROM chunks WHERE key = ? AND NOT embedded;

-- mark_embedded
UPDATE chunks SET embedded = 1 WHERE key = ?;

-- mark_untold
UPDATE chunks SET embedded = 2 WHERE key = ?;

-- metadata_of
SELECT d.metadata FROM chunks c JOIN documents d ON d.key = c.document WHERE c.key = ?;

-- mark_pending
UPDATE chunks SET embedded = 0 WHERE key = ?;

-- keep_vector
INSERT INTO vectors (hash, vector) VALUES (?, ?)
ON CONFLICT (hash) DO UPDATE SET vector = excluded.vector;

-- trim_vectors
DELETE FROM vectors WHERE number <= (SELECT max(number) FROM vectors) - ?;

-- removals
SELECT key FROM removals ORDER BY key LIMIT ?;

-- drop_removal
DELETE FROM removals WHERE key = ?;

-- passages
-- Of a document that cannot be read any more as it is now, the last state that could be.
SELECT c.key, d.id, d.title, d.uri, c.number, c.text, c.place,
    CASE WHEN d.failed THEN json_set(d.metadata, '$.stale', json('true')) ELSE d.metadata END FROM chunks c
JOIN documents d ON d.key = c.document WHERE c.key IN (SELECT value FROM json_each(?));

-- lexical
SELECT rowid, -bm25(words, 1.0, 0.5) FROM words WHERE words MATCH ?1 ORDER BY bm25(words, 1.0, 0.5), rowid LIMIT ?2;

-- lexical_among
-- With a filter: `?3` is a list of documents.
SELECT w.rowid, -bm25(words, 1.0, 0.5) FROM words w JOIN chunks c ON c.key = w.rowid
WHERE words MATCH ?1 AND c.document IN (SELECT value FROM json_each(?3))
ORDER BY bm25(words, 1.0, 0.5), w.rowid LIMIT ?2;

-- having
SELECT document FROM attributes WHERE name = ? AND value IN (SELECT value FROM json_each(?));

-- count_documents
SELECT count(*), coalesce(sum(failed), 0), coalesce(sum(chunks), 0) FROM documents;

-- count_pending
SELECT count(*) FROM chunks WHERE NOT embedded;

-- failures
SELECT id, uri, reason, attempts, retry_at, chunks > 0 FROM documents WHERE failed AND id > ? ORDER BY id LIMIT ?;

-- due
SELECT id FROM documents WHERE failed AND retry_at IS NOT NULL AND retry_at <= ? ORDER BY id LIMIT ?;

-- next_due
SELECT min(retry_at) FROM documents WHERE failed AND retry_at IS NOT NULL;

-- all_pending
UPDATE chunks SET embedded = 0 WHERE embedded;

-- clear_removals
DELETE FROM removals;

-- clear_vectors
DELETE FROM vectors;

-- clear_slots
DELETE FROM slots;

-- clear_free_slots
DELETE FROM free_slots;

-- clear_moved_slots
DELETE FROM moved_slots;

-- clear_documents
DELETE FROM documents;

-- clear_attributes
DELETE FROM attributes;

-- clear_chunks
DELETE FROM chunks;

-- clear_words
INSERT INTO words (words) VALUES ('delete-all');
