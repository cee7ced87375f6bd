-- add
INSERT INTO memories (app, "user", id, kind, session, context, event, agent, text, owner, terms, created, expires)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (app, "user", id) DO NOTHING;

-- get
SELECT id, text, kind, context, event, agent, created, expires FROM memories WHERE app = ? AND "user" = ? AND id = ?;

-- search
-- Best first; the index is asked for one owner's words only.
SELECT m.id, m.text, m.kind, m.context, m.event, m.agent, m.created, m.expires, m.terms
FROM memory_index i JOIN memories m ON m.key = i.rowid
WHERE memory_index MATCH ?1 AND m.app = ?2 AND m."user" = ?3 AND (m.expires IS NULL OR m.expires > ?4)
  AND (m.kind <> 'turn' OR m.context <> ?5)
ORDER BY bm25(memory_index, 0.0, 1.0), m.key DESC LIMIT ?6;

-- search @postgres
-- Best first; the words in the index are one owner's only.
SELECT m.id, m.text, m.kind, m.context, m.event, m.agent, m.created, m.expires, m.terms
FROM memories m, (SELECT CAST(CAST(?1 AS TEXT) AS tsquery) AS query) asked
WHERE m.words @@ asked.query AND m.app = ?2 AND m."user" = ?3 AND (m.expires IS NULL OR m.expires > ?4)
  AND (m.kind <> 'turn' OR m.context <> ?5)
ORDER BY ts_rank(m.words, asked.query) DESC, m.key DESC LIMIT ?6;

-- page
-- The newest first, behind a key.
SELECT key, id, text, kind, context, event, agent, created, expires FROM memories
WHERE app = ? AND "user" = ? AND key < ? ORDER BY key DESC LIMIT ?;

-- count
SELECT count(*) FROM memories WHERE app = ? AND "user" = ?;

-- oldest
-- What was said longest ago, then facts.
SELECT key FROM memories WHERE app = ? AND "user" = ? AND kind = ? ORDER BY created, key LIMIT ?;

-- remove
DELETE FROM memories WHERE key = ?;

-- forget
DELETE FROM memories WHERE app = ? AND "user" = ? AND id = ?;

-- forget_user
DELETE FROM memories WHERE key IN (SELECT key FROM memories WHERE app = ? AND "user" = ? LIMIT ?);

-- forget_expired
DELETE FROM memories WHERE key IN (SELECT key FROM memories WHERE expires IS NOT NULL AND expires <= ? LIMIT ?);
