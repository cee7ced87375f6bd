-- counts
-- Of one app, or (NULL) of all. What only ends something at its time counts apart until then: it waits for nobody.
SELECT CASE WHEN state = 'ready' AND kind = 'expire' AND run_at > ?2 THEN 'timer' ELSE state END, count(*),
       min(CASE WHEN run_at > created THEN run_at ELSE created END) FROM jobs
WHERE CAST(?1 AS TEXT) IS NULL OR app = ?1 GROUP BY 1;

-- depths
-- What is in the queue, by app: jobs that are over, and many, are not looked at.
SELECT app, CASE WHEN state = 'running' THEN 'processing' WHEN kind = 'expire' AND run_at > ?2 THEN 'timers'
                 ELSE 'pending' END, count(*)
FROM jobs WHERE state IN ('ready', 'running') AND (CAST(?1 AS TEXT) IS NULL OR app = ?1) GROUP BY 1, 2
UNION ALL
SELECT app, 'dead', count(*) FROM jobs WHERE state = 'dead' AND (CAST(?1 AS TEXT) IS NULL OR app = ?1) GROUP BY 1;

-- means
-- How long ended jobs waited from when they were due, and then ran, in milliseconds.
SELECT avg(started - CASE WHEN run_at > created THEN run_at ELSE created END), avg(ended - started) FROM jobs
WHERE state IN ('done', 'failed') AND started IS NOT NULL AND (CAST(?1 AS TEXT) IS NULL OR app = ?1);

-- dead
SELECT key, kind, app, "user", subject, payload, state, attempts, max_attempts, cause, history, created, ended
FROM jobs
WHERE state = 'dead' AND key < ?1 AND (CAST(?2 AS TEXT) IS NULL OR app || '' = ?2) ORDER BY key DESC LIMIT ?3;

-- requeue
UPDATE jobs SET state = 'ready', run_at = 0, attempts = 0, fence = fence + 1, owner = NULL, ended = NULL
WHERE key = ? AND state = 'dead';

-- drop
UPDATE jobs SET state = 'canceled', fence = fence + 1, payload = '{}', ended = ? WHERE key = ? AND state = 'dead';

-- reopen
-- An operator gives a failed run another chance.
UPDATE tasks SET state = ?, changed = ?, message = NULL WHERE id = ? AND app || '' = ? AND "user" = ? AND state = 'failed';

-- lock
SELECT fence, state FROM jobs WHERE key = ?;

-- lock @postgres
SELECT fence, state FROM jobs WHERE key = ? FOR UPDATE;

-- lock_task @postgres
-- What is accepted or written meanwhile comes before, or waits: it must not begin beside what is given another chance.
SELECT t.key FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.id = ? AND t.app || '' = ? AND t."user" = ?
FOR UPDATE OF s, t;

-- lock_lane @postgres
-- What is being claimed of a lane has been claimed, or is not: see `take_first`.
SELECT key FROM jobs WHERE lane = (SELECT lane FROM jobs d WHERE d.key = ?) AND state IN ('ready', 'running')
ORDER BY key FOR UPDATE;
