-- create
INSERT INTO tasks (key, last, app, "user", id, agent, state, changed, metadata, created)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- position
-- What a write needs to know of a task and of its session. (`|| ''`, here and below: the id finds the task, and not the
-- index of all of a user's tasks, which an empty database tempts PostgreSQL to walk.)
SELECT t.key, t.last, t.state, s.next_seq, t.push FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.id = ? AND t.app || '' = ? AND t."user" = ? AND s.id || '' = ?;

-- position @postgres
-- Locked, the session first: whoever writes to a task moves the end of both. (Reading units lock nothing.)
SELECT t.key, t.last, t.state, s.next_seq, t.push FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.id = ? AND t.app || '' = ? AND t."user" = ? AND s.id || '' = ?
FOR UPDATE OF s, t;

-- find
SELECT t.key, t.id, s.id, t.agent, t.state, t.changed, t.message, t.metadata, t.last, s.next_seq, t.push
FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.id = ? AND t.app || '' = ? AND t."user" = ?;

-- find @postgres
SELECT t.key, t.id, s.id, t.agent, t.state, t.changed, t.message, t.metadata, t.last, s.next_seq, t.push
FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.id = ? AND t.app || '' = ? AND t."user" = ?
FOR UPDATE OF s, t;

-- set_status
UPDATE tasks SET state = ?, changed = ?, message = ?, last = ? WHERE key = ?;

-- set_last
UPDATE tasks SET last = ? WHERE key = ?;

-- put_artifact
INSERT INTO artifacts (task, id, body) VALUES (?, ?, ?)
ON CONFLICT (task, id) DO UPDATE SET body = excluded.body;

-- artifacts
SELECT key, body FROM artifacts WHERE task = ? ORDER BY key;

-- discard_artifacts
DELETE FROM artifacts WHERE task = ?;

-- discard
DELETE FROM tasks WHERE key = ?;

-- history
-- The newest of what client and agent said to each other within a task; -1 for all.
SELECT key, id, invocation, author, branch, at, body FROM events
WHERE key >= ?1 AND key <= ?2 AND task = ?1 AND shown = 1 ORDER BY key DESC LIMIT ?3;

-- history @postgres
SELECT key, id, invocation, author, branch, at, body FROM events
WHERE key >= ?1 AND key <= ?2 AND task = ?1 AND shown = 1 ORDER BY key DESC LIMIT nullif(CAST(?3 AS BIGINT), -1);

-- page
SELECT t.key, t.id, s.id, t.agent, t.state, t.changed, t.message, t.metadata, t.last, s.next_seq
FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.app = ?1 AND t."user" = ?2
  AND (CAST(?3 AS TEXT) IS NULL OR t.agent = ?3) AND (CAST(?4 AS TEXT) IS NULL OR t.state = ?4)
  AND (CAST(?5 AS BIGINT) IS NULL OR t.changed >= ?5) AND (CAST(?6 AS BIGINT) IS NULL OR (t.changed, t.key) < (?6, ?7))
ORDER BY t.changed DESC, t.key DESC LIMIT ?8;

-- count
SELECT count(*) FROM tasks t
WHERE t.app = ?1 AND t."user" = ?2
  AND (CAST(?3 AS TEXT) IS NULL OR t.agent = ?3) AND (CAST(?4 AS TEXT) IS NULL OR t.state = ?4)
  AND (CAST(?5 AS BIGINT) IS NULL OR t.changed >= ?5);

-- page_of_session
-- The same within one session: its tasks lie side by side from key ?9 to ?10.
SELECT t.key, t.id, s.id, t.agent, t.state, t.changed, t.message, t.metadata, t.last, s.next_seq
FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.key >= ?9 AND t.key < ?10 AND t.app = ?1 AND t."user" = ?2
  AND (CAST(?3 AS TEXT) IS NULL OR t.agent = ?3) AND (CAST(?4 AS TEXT) IS NULL OR t.state = ?4)
  AND (CAST(?5 AS BIGINT) IS NULL OR t.changed >= ?5) AND (CAST(?6 AS BIGINT) IS NULL OR (t.changed, t.key) < (?6, ?7))
ORDER BY t.changed DESC, t.key DESC LIMIT ?8;

-- count_of_session
SELECT count(*) FROM tasks t
WHERE t.key >= ?6 AND t.key < ?7 AND t.app = ?1 AND t."user" = ?2
  AND (CAST(?3 AS TEXT) IS NULL OR t.agent = ?3) AND (CAST(?4 AS TEXT) IS NULL OR t.state = ?4)
  AND (CAST(?5 AS BIGINT) IS NULL OR t.changed >= ?5);

-- appended
-- Whether one of a task's events has been stored.
SELECT 1 FROM events WHERE key >= ? AND key <= ? AND id = ?;
