-- without
-- The newest that have no vector of this embedding.
SELECT id, text FROM memories
WHERE app = ?1 AND "user" = ?2 AND (expires IS NULL OR expires > ?3) AND (embedding IS NULL OR embedding <> ?4)
ORDER BY key DESC LIMIT ?5;

-- keep
UPDATE memories SET embedding = ?4, vector = ?5 WHERE app = ?1 AND "user" = ?2 AND id = ?3;

-- all
-- Of the newest; those of the session ?4 that were only said there are left out.
SELECT key, vector FROM memories
WHERE app = ?1 AND "user" = ?2 AND embedding = ?3 AND (expires IS NULL OR expires > ?5)
  AND (kind <> 'turn' OR context <> ?4)
ORDER BY key DESC LIMIT ?6;

-- these
SELECT key, id, text, kind, context, event, agent, created, expires FROM memories
WHERE app = ? AND "user" = ? AND key IN (SELECT value FROM json_each(?));

-- these @postgres
SELECT key, id, text, kind, context, event, agent, created, expires FROM memories
WHERE app = ? AND "user" = ? AND key IN (SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(CAST(? AS TEXT) AS json)));
