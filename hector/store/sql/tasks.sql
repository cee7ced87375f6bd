-- create
INSERT INTO tasks (key, app, user, id, agent, state, changed, metadata, created)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- position
-- What a write needs to know of a task and of its session.
SELECT t.key, t.state, s.next_seq FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.id = ? AND t.app = ? AND t.user = ? AND s.id = ?;

-- find
SELECT t.key, t.id, s.id, t.agent, t.state, t.changed, t.message, t.metadata, s.next_seq
FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.id = ? AND t.app = ? AND t.user = ?;

-- set_status
UPDATE tasks SET state = ?, changed = ?, message = ? WHERE key = ?;

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
WHERE task = ? AND shown = 1 ORDER BY key DESC LIMIT ?;

-- page
SELECT t.key, t.id, s.id, t.agent, t.state, t.changed, t.message, t.metadata, s.next_seq
FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.app = ?1 AND t.user = ?2 AND (?3 IS NULL OR t.agent = ?3) AND (?4 IS NULL OR t.state = ?4)
  AND (?5 IS NULL OR t.changed >= ?5) AND (?6 IS NULL OR (t.changed, t.id) < (?6, ?7))
ORDER BY t.changed DESC, t.id DESC LIMIT ?8;

-- count
SELECT count(*) FROM tasks t
WHERE t.app = ?1 AND t.user = ?2 AND (?3 IS NULL OR t.agent = ?3) AND (?4 IS NULL OR t.state = ?4)
  AND (?5 IS NULL OR t.changed >= ?5);

-- page_of_session
-- The same within one session: its tasks lie side by side from key ?9 to ?10.
SELECT t.key, t.id, s.id, t.agent, t.state, t.changed, t.message, t.metadata, s.next_seq
FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.key >= ?9 AND t.key < ?10 AND t.app = ?1 AND t.user = ?2
  AND (?3 IS NULL OR t.agent = ?3) AND (?4 IS NULL OR t.state = ?4)
  AND (?5 IS NULL OR t.changed >= ?5) AND (?6 IS NULL OR (t.changed, t.id) < (?6, ?7))
ORDER BY t.changed DESC, t.id DESC LIMIT ?8;

-- count_of_session
SELECT count(*) FROM tasks t
WHERE t.key >= ?6 AND t.key < ?7 AND t.app = ?1 AND t.user = ?2
  AND (?3 IS NULL OR t.agent = ?3) AND (?4 IS NULL OR t.state = ?4) AND (?5 IS NULL OR t.changed >= ?5);

-- unfinished
SELECT t.key, t.id, s.id, t.agent, t.state, t.changed, t.message, t.metadata, s.next_seq, t.app, t.user
FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.state IN ('submitted', 'working') ORDER BY t.key;
