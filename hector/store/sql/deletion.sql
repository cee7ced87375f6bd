-- delete_events
DELETE FROM events WHERE key >= ? AND key < ?;

-- delete_session
DELETE FROM sessions WHERE key = ?;

-- detach
-- Nobody's any more, so that nobody meets what is left of it while its events go in several transactions.
UPDATE sessions SET app = '', "user" = '', id = 'removed-' || key WHERE key = ?;

-- detached
SELECT key, next_seq FROM sessions WHERE app = '' LIMIT ?;

-- sessions
SELECT key, next_seq FROM sessions WHERE app = ? LIMIT ?;

-- lock
-- Whoever uses a session locks it before its tasks and jobs: who comes second waits, and nobody for each other.
SELECT key, next_seq FROM sessions WHERE key = ?;

-- lock @postgres
SELECT key, next_seq FROM sessions WHERE key = ? FOR UPDATE;

-- window
-- The last of some jobs behind a key, whosever they are: jobs are not in the order of apps.
SELECT max(key) FROM (SELECT key FROM jobs WHERE key > ? ORDER BY key LIMIT ?) w;

-- jobs
SELECT key, subject, state FROM jobs WHERE key > ? AND key <= ? AND app = ? ORDER BY key;

-- delete_job
DELETE FROM jobs WHERE key = ?;
