-- renew
-- A call that is asked for again, because others of the same pause were decided and it was not.
UPDATE approvals SET event = ? WHERE task = ? AND call_id = ? AND args_hash = ? AND state = 'pending';

-- add
INSERT INTO approvals (task, event, call_id, tool, args, args_hash, prompt, asker, state, created, expires)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?);

-- pending_of
-- The calls of a task that nobody has decided about.
SELECT call_id, args_hash, expires FROM approvals WHERE task = ? AND state = 'pending' ORDER BY key;

-- decide
UPDATE approvals SET state = ?, decided = ?, decided_by = ?, comment = ?
WHERE task = ? AND call_id = ? AND state = 'pending';

-- withdraw
UPDATE approvals SET state = ?, decided = ?, decided_by = ? WHERE task = ? AND state = 'pending';

-- forget_expiry
-- What was to end the approvals of a task.
DELETE FROM jobs
WHERE lane = ? AND state IN ('ready', 'running') AND state = 'ready' AND kind = 'expire';

-- waiting
-- What people may decide about now, the oldest first; of one task or app, or (NULL) of all.
SELECT a.key, t.id, s.id, t.agent, t.app, t."user", a.event, a.call_id, a.tool, a.args, a.args_hash, a.prompt, a.state,
       a.asker, a.created, a.expires, a.decided, a.decided_by, a.comment
FROM approvals a JOIN tasks t ON t.key = a.task JOIN sessions s ON s.key = t.key >> 24
WHERE a.state = 'pending' AND t.state = 'input-required' AND a.key > ?1
  AND (CAST(?2 AS TEXT) IS NULL OR t.id = ?2) AND (CAST(?4 AS TEXT) IS NULL OR t.app = ?4)
ORDER BY a.key LIMIT ?3;

-- decided
-- What nobody need decide about any more, the newest first; of one task or app, or (NULL) of all.
SELECT a.key, t.id, s.id, t.agent, t.app, t."user", a.event, a.call_id, a.tool, a.args, a.args_hash, a.prompt, a.state,
       a.asker, a.created, a.expires, a.decided, a.decided_by, a.comment
FROM approvals a JOIN tasks t ON t.key = a.task JOIN sessions s ON s.key = t.key >> 24
WHERE a.state <> 'pending' AND a.key < ?1 AND (CAST(?2 AS TEXT) IS NULL OR t.id = ?2)
  AND (CAST(?4 AS TEXT) IS NULL OR t.app = ?4)
ORDER BY a.key DESC LIMIT ?3;

-- find
SELECT a.key, t.id, s.id, t.agent, t.app, t."user", a.event, a.call_id, a.tool, a.args, a.args_hash, a.prompt, a.state,
       a.asker, a.created, a.expires, a.decided, a.decided_by, a.comment
FROM approvals a JOIN tasks t ON t.key = a.task JOIN sessions s ON s.key = t.key >> 24
WHERE a.key = ?;
