-- create
-- A new session whose first event is about to be appended; does nothing when it exists.
INSERT INTO sessions (app, "user", id, agent, created, updated, next_seq)
VALUES (?, ?, ?, ?, ?, ?, 1)
ON CONFLICT (app, "user", id) DO NOTHING;

-- position
SELECT key, next_seq FROM sessions WHERE app = ? AND "user" = ? AND id = ?;

-- position @postgres
-- Whoever asks is about to take the next place: others wait.
SELECT key, next_seq FROM sessions WHERE app = ? AND "user" = ? AND id = ? FOR UPDATE;

-- advance
UPDATE sessions SET next_seq = ?, updated = ? WHERE key = ?;

-- find
SELECT key, id, agent, created, updated, next_seq FROM sessions WHERE app = ? AND "user" = ? AND id = ?;

-- page
SELECT key, id, agent, created, updated, next_seq FROM sessions
WHERE app = ?1 AND "user" = ?2 AND (CAST(?3 AS BIGINT) IS NULL OR (updated, key) < (CAST(?3 AS BIGINT), ?4))
ORDER BY updated DESC, key DESC LIMIT ?5;

-- append
INSERT INTO events (key, task, shown, id, invocation, author, branch, at, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- events
SELECT key, id, invocation, author, branch, at, body FROM events WHERE key >= ? AND key < ? ORDER BY key;

-- artifacts
-- All artifacts of one session's tasks, the oldest first.
SELECT key, body FROM artifacts WHERE task >= ? AND task < ? ORDER BY key;

-- state
-- Everything that one session sees, with the prefixes of its scopes.
SELECT 'app:' || name, value FROM app_state WHERE app = ?1
UNION ALL
SELECT 'user:' || name, value FROM user_state WHERE app = ?1 AND "user" = ?2
UNION ALL
SELECT name, value FROM session_state WHERE session = ?3;

-- set_app
INSERT INTO app_state (app, name, value) VALUES (?, ?, ?)
ON CONFLICT (app, name) DO UPDATE SET value = excluded.value;

-- set_user
INSERT INTO user_state (app, "user", name, value) VALUES (?, ?, ?, ?)
ON CONFLICT (app, "user", name) DO UPDATE SET value = excluded.value;

-- set_session
INSERT INTO session_state (session, name, value) VALUES (?, ?, ?)
ON CONFLICT (session, name) DO UPDATE SET value = excluded.value;

-- unset_app
DELETE FROM app_state WHERE app = ? AND name = ?;

-- unset_user
DELETE FROM user_state WHERE app = ? AND "user" = ? AND name = ?;

-- unset_session
DELETE FROM session_state WHERE session = ? AND name = ?;
