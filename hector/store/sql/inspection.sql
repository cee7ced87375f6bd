-- page
-- The newest first, behind a key; of one app or user, or (NULL) of all.
SELECT key, app, "user", id, agent, created, updated, next_seq FROM sessions
WHERE key < ?1 AND (CAST(?2 AS TEXT) IS NULL OR app = ?2) AND (CAST(?3 AS TEXT) IS NULL OR "user" = ?3)
ORDER BY key DESC LIMIT ?4;

-- of_user
SELECT key, app, "user", id, agent, created, updated, next_seq FROM sessions
WHERE app = ? AND "user" = ? AND id = ?;

-- of_app
-- Ids are unique for one user of an app: two rows are enough to know that a name is not.
SELECT key, app, "user", id, agent, created, updated, next_seq FROM sessions WHERE app = ? AND id = ? LIMIT 2;

-- of_all
SELECT key, app, "user", id, agent, created, updated, next_seq FROM sessions
WHERE id = ?1 AND (CAST(?2 AS TEXT) IS NULL OR "user" = ?2) LIMIT 2;

-- place
-- Where an event stands in its session.
SELECT key FROM events WHERE key >= ? AND key < ? AND id = ?;

-- events
SELECT key, id, invocation, author, branch, at, body FROM events WHERE key > ? AND key < ? ORDER BY key LIMIT ?;

-- unfinished
-- The tasks of a session that may still go on.
SELECT id FROM tasks WHERE key >= ? AND key < ? AND state NOT IN ('completed', 'failed', 'canceled', 'rejected')
ORDER BY key;
