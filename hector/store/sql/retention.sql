-- idle
-- Sessions from a key on that nobody has used since a time, none with work that runs, waits for somebody or is still to
-- be told to a client (deliveries of a task run in lanes of its own).
SELECT s.key, s.next_seq FROM sessions s
WHERE s.key > ? AND s.key <= ? AND s.updated < ? AND s.app <> ''
  AND NOT EXISTS (SELECT 1 FROM tasks t
                  WHERE t.key >= s.key << 24 AND t.key < (s.key + 1) << 24
                    AND t.state IN ('submitted', 'working', 'input-required', 'auth-required'))
  AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.lane = 's' || s.key AND j.state IN ('ready', 'running'))
  AND NOT EXISTS (SELECT 1 FROM tasks t JOIN jobs j ON j.lane > 'p' || t.key || '.' AND j.lane < 'p' || t.key || '/'
                  WHERE t.key >= s.key << 24 AND t.key < (s.key + 1) << 24 AND j.state IN ('ready', 'running'))
ORDER BY s.key LIMIT ?;

-- idle @postgres
-- The same, locked where a unit is about to delete them: whoever uses one now comes first, or waits and begins anew.
SELECT s.key, s.next_seq FROM sessions s
WHERE s.key > ? AND s.key <= ? AND s.updated < ? AND s.app <> ''
  AND NOT EXISTS (SELECT 1 FROM tasks t
                  WHERE t.key >= s.key << 24 AND t.key < (s.key + 1) << 24
                    AND t.state IN ('submitted', 'working', 'input-required', 'auth-required'))
  AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.lane = 's' || s.key AND j.state IN ('ready', 'running'))
  AND NOT EXISTS (SELECT 1 FROM tasks t JOIN jobs j ON j.lane > 'p' || t.key || '.' AND j.lane < 'p' || t.key || '/'
                  WHERE t.key >= s.key << 24 AND t.key < (s.key + 1) << 24 AND j.state IN ('ready', 'running'))
ORDER BY s.key LIMIT ? FOR UPDATE;

-- count_idle
SELECT count(*), COALESCE(sum(s.next_seq), 0) FROM sessions s
WHERE s.key > 0 AND s.updated < ? AND s.app <> ''
  AND NOT EXISTS (SELECT 1 FROM tasks t
                  WHERE t.key >= s.key << 24 AND t.key < (s.key + 1) << 24
                    AND t.state IN ('submitted', 'working', 'input-required', 'auth-required'))
  AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.lane = 's' || s.key AND j.state IN ('ready', 'running'))
  AND NOT EXISTS (SELECT 1 FROM tasks t JOIN jobs j ON j.lane > 'p' || t.key || '.' AND j.lane < 'p' || t.key || '/'
                  WHERE t.key >= s.key << 24 AND t.key < (s.key + 1) << 24 AND j.state IN ('ready', 'running'));

-- first_job_since
-- Jobs are added in order of time, and those before it that have ended are gone but for a few: this reads little.
SELECT key FROM jobs WHERE key > 0 AND created >= ? ORDER BY key LIMIT 1;

-- ended_jobs
SELECT key FROM jobs
WHERE key > ?1 AND key < ?2 AND state IN ('done', 'failed', 'canceled') AND ended < ?3 ORDER BY key LIMIT ?4;

-- count_ended_jobs
SELECT count(*) FROM jobs WHERE key > 0 AND key < ?1 AND state IN ('done', 'failed', 'canceled') AND ended < ?2;

-- delete_ended_jobs
DELETE FROM jobs WHERE key >= ?1 AND key <= ?2 AND state IN ('done', 'failed', 'canceled') AND ended < ?3;

-- dead_letters
SELECT key FROM jobs WHERE state = 'dead' AND key > ? AND ended < ? ORDER BY key LIMIT ?;

-- count_dead_letters
SELECT count(*) FROM jobs WHERE state = 'dead' AND key > 0 AND ended < ?;

-- delete_dead_letters
DELETE FROM jobs WHERE state = 'dead' AND key >= ?1 AND key <= ?2 AND ended < ?3;
