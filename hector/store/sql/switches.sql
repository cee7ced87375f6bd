-- all
SELECT scope, reason, author, created FROM switches ORDER BY scope;

-- off
INSERT INTO switches (scope, reason, author, created) VALUES (?, ?, ?, ?)
ON CONFLICT (scope) DO UPDATE SET reason = excluded.reason, author = excluded.author, created = excluded.created;

-- on
DELETE FROM switches WHERE scope = ?;

-- held
SELECT scope FROM switches WHERE scope = ?;

-- held @postgres
-- Whoever switches it on meanwhile waits, and then wakes what is paused here.
SELECT scope FROM switches WHERE scope = ? FOR SHARE;

-- pause
-- Hand a run back as if it had not been claimed, to be looked at again later.
UPDATE jobs SET state = 'ready', owner = NULL, attempts = attempts - 1, run_at = ?, cause = ?
WHERE key = ? AND fence = ? AND state || '' = 'running';

-- wake
-- Paused runs of an app, or of all.
UPDATE jobs SET run_at = 0, cause = NULL
WHERE state = 'ready' AND run_at > 0 AND cause LIKE 'paused%' AND (CAST(?1 AS TEXT) IS NULL OR app = ?1);
