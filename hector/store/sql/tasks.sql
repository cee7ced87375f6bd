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

-- begin @postgres
-- All of a task that begins a session, with the job that runs it, claimed at once; nothing when the session exists. What
-- the session sees of the state of its app and user comes along.
WITH s AS (
    INSERT INTO sessions (app, "user", id, agent, created, updated, next_seq) VALUES (?1, ?2, ?3, ?4, ?5, ?5, 1)
    ON CONFLICT (app, "user", id) DO NOTHING RETURNING key
), j AS (
    INSERT INTO jobs (kind, app, "user", lane, subject, payload, state, priority, run_at, attempts, max_attempts, fence,
                      step, owner, created, started)
    SELECT ?8, ?1, ?2, 's' || s.key, ?6, ?9, 'running', ?10, 0, 1, ?11, ?12, 0, ?13, ?14, ?14 FROM s RETURNING key
), t AS (
    INSERT INTO tasks (key, last, app, "user", id, agent, state, changed, metadata, created)
    SELECT s.key << 24, s.key << 24, ?1, ?2, ?6, ?4, 'working', ?5, ?7, ?5 FROM s
), e AS (
    INSERT INTO events (key, task, shown, id, invocation, author, branch, at, body)
    SELECT s.key << 24, s.key << 24, ?15, ?16, ?17, ?18, ?19, ?20, ?21 FROM s
)
SELECT (SELECT key FROM s), (SELECT key FROM j), (SELECT json_object_agg(q.name, q.value) FROM (
    SELECT 'app:' || name, value FROM app_state WHERE app = ?1
    UNION ALL
    SELECT 'user:' || name, value FROM user_state WHERE app = ?1 AND "user" = ?2) AS q (name, value));

-- finish @postgres
-- The last write of a run that brings one event, all of it under the claim's fence; nothing when the task has ended, is
-- watched by receivers, or the claim is void. Locks in the order of all others: session, task, job.
WITH p AS (
    SELECT t.key AS task, s.key AS session, s.next_seq AS seq FROM tasks t JOIN sessions s ON s.key = t.key >> 24
    WHERE t.id = ?1 AND t.app || '' = ?2 AND t."user" = ?3 AND s.id || '' = ?4
      AND t.state || '' IN ('submitted', 'working') AND t.push = 0 AND s.next_seq < (1 << 24) - 1
    FOR UPDATE OF s, t
), j AS (
    UPDATE jobs SET step = ?7 + 1, state = ?8, cause = ?9, ended = ?10 FROM p
    WHERE jobs.key = ?5 AND fence = ?6 AND state || '' = 'running' AND step = ?7
    RETURNING p.task, p.session, p.seq
), s AS (
    UPDATE sessions SET next_seq = j.seq + 1, updated = ?11 FROM j WHERE sessions.key = j.session
), e AS (
    INSERT INTO events (key, task, shown, id, invocation, author, branch, at, body)
    SELECT j.session << 24 | j.seq, j.task, ?12, ?13, ?14, ?15, ?16, ?17, ?18 FROM j
), a AS (
    INSERT INTO artifacts (task, id, body) SELECT j.task, ?19, ?20 FROM j WHERE CAST(?19 AS TEXT) IS NOT NULL
    ON CONFLICT (task, id) DO UPDATE SET body = excluded.body
), t AS (
    UPDATE tasks SET state = ?21, changed = ?22, message = ?23, last = j.session << 24 | j.seq FROM j
    WHERE tasks.key = j.task
)
SELECT (SELECT task FROM j);
