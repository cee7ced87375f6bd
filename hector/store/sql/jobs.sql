-- insert
INSERT INTO jobs (kind, app, "user", lane, subject, payload, state, priority, run_at, deadline, attempts, max_attempts,
                  fence, step, owner, created, started)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?);

-- busy
-- Whether a lane has a live job.
SELECT 1 FROM jobs WHERE lane = ? AND state IN ('ready', 'running') LIMIT 1;

-- live_of
-- The newest live job for a subject within its lane.
SELECT key, fence, owner FROM jobs WHERE lane = ? AND subject = ? AND state IN ('ready', 'running')
ORDER BY key DESC LIMIT 1;

-- claimable
-- Only a dead letter that was given another chance may find a later job of its lane running. (Were that asked with
-- EXISTS, PostgreSQL would read all live jobs to know the answer for every lane. The sign before the time keeps it to the
-- index that is in the order asked for.)
SELECT key, fence, kind, app, "user", lane, subject, payload, attempts, max_attempts, created, deadline, cause
FROM jobs j
WHERE j.state = 'ready' AND +j.run_at <= ? AND j.priority >= ? AND NOT EXISTS (
    SELECT 1 FROM jobs e WHERE e.lane = j.lane AND e.key < j.key AND e.state IN ('ready', 'running'))
  AND (j.started IS NULL OR (
    SELECT 1 FROM jobs e WHERE e.lane = j.lane AND e.state IN ('ready', 'running') AND e.state || '' = 'running' LIMIT 1
  ) IS NULL)
ORDER BY j.priority DESC, j.key LIMIT ?;

-- claimable @postgres
-- What another process is just taking is passed over.
SELECT key, fence, kind, app, "user", lane, subject, payload, attempts, max_attempts, created, deadline, cause
FROM jobs j
WHERE j.state = 'ready' AND +j.run_at <= ? AND j.priority >= ? AND NOT EXISTS (
    SELECT 1 FROM jobs e WHERE e.lane = j.lane AND e.key < j.key AND e.state IN ('ready', 'running'))
  AND (j.started IS NULL OR (
    SELECT 1 FROM jobs e WHERE e.lane = j.lane AND e.state IN ('ready', 'running') AND e.state || '' = 'running' LIMIT 1
  ) IS NULL)
ORDER BY j.priority DESC, j.key LIMIT ?
FOR UPDATE OF j SKIP LOCKED;

-- take @sqlite
UPDATE jobs SET state = 'running', owner = ?, fence = fence + 1, step = 0, attempts = attempts + 1,
                started = coalesce(started, ?)
WHERE key = ?;

-- take_first @postgres
-- Looks at the lanes once more: one that was found claimable before may no longer be, once its row is locked.
UPDATE jobs j SET state = 'running', owner = ?, fence = fence + 1, step = 0, attempts = attempts + 1,
                  started = coalesce(started, ?)
WHERE key = ANY(CAST(? AS BIGINT[])) AND state || '' = 'ready' AND NOT EXISTS (
    SELECT 1 FROM jobs e WHERE e.lane = j.lane AND e.key < j.key AND e.state IN ('ready', 'running'))
RETURNING key;

-- step
-- A write of a run: only under the claim's fence, and only once. (An empty database tempts PostgreSQL to walk the index
-- of all live jobs instead of looking the key up; `|| ''` takes that index out of its hands, here and below.)
UPDATE jobs SET step = ? WHERE key = ? AND fence = ? AND state || '' = 'running' AND step = ?;

-- end
-- The last write of a run.
UPDATE jobs SET step = ?, state = ?, cause = ?, ended = ?
WHERE key = ? AND fence = ? AND state || '' = 'running' AND step = ?;

-- standing
-- What became of a job whose write was refused.
SELECT fence, step, state FROM jobs WHERE key = ?;

-- finish
-- What is over keeps its row for the statistics, not its content.
UPDATE jobs SET state = ?, cause = ?, ended = ?, payload = '{}' WHERE key = ? AND fence = ? AND state || '' = 'running';

-- bury
UPDATE jobs SET state = 'dead', cause = ?, ended = ?, history = ?,
                attempts = CASE WHEN attempts > max_attempts THEN max_attempts ELSE attempts END
WHERE key = ? AND fence = ? AND state || '' = 'running';

-- attempt
-- What an attempt that failed is noted with.
SELECT attempts, owner, history, state, lane, max_attempts FROM jobs WHERE key = ? AND fence = ?;

-- retry
UPDATE jobs SET state = 'ready', run_at = ?, cause = ?, history = ?, owner = NULL
WHERE key = ? AND fence = ? AND state || '' = 'running';

-- blame
UPDATE jobs SET history = ?, attempts = CASE WHEN attempts > max_attempts THEN max_attempts ELSE attempts END
WHERE key = ?;

-- release
UPDATE jobs SET state = 'ready', owner = NULL, attempts = attempts - 1
WHERE key = ? AND fence = ? AND state || '' = 'running';

-- hold
-- Everything that waits of the app that a job belongs to rests until a time.
UPDATE jobs SET run_at = ? WHERE state = 'ready' AND app = (SELECT app FROM jobs WHERE key = ?) AND run_at < ?;

-- cancel_of
-- Whatever is still to be done for a subject within its lane.
UPDATE jobs SET state = 'canceled', fence = fence + 1, ended = ?
WHERE lane = ? AND subject = ? AND state IN ('ready', 'running');

-- next_due
-- When the next job that nothing holds up may be claimed.
-- The sign before the priority keeps SQLite to the index that is in the order of time.
SELECT j.run_at FROM jobs j WHERE j.state = 'ready' AND +j.priority >= ? AND NOT EXISTS (
    SELECT 1 FROM jobs e WHERE e.lane = j.lane AND e.key < j.key AND e.state IN ('ready', 'running'))
  AND (j.started IS NULL OR (
    SELECT 1 FROM jobs e WHERE e.lane = j.lane AND e.state IN ('ready', 'running') AND e.state || '' = 'running' LIMIT 1
  ) IS NULL)
ORDER BY j.run_at LIMIT 1;

-- running_of
SELECT key, fence FROM jobs WHERE state = 'running' AND owner = ?;

-- take_back
UPDATE jobs SET state = 'ready', owner = NULL, fence = fence + 1, run_at = 0, cause = ?, history = ?
WHERE key = ? AND fence = ? AND state || '' = 'running';

-- get
SELECT key, kind, app, "user", subject, payload, state, attempts, max_attempts, cause, history, created, ended
FROM jobs WHERE key = ?;
