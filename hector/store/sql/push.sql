-- owner
SELECT key FROM tasks WHERE id = ? AND app || '' = ? AND "user" = ? AND agent = ?;

-- others
SELECT count(*) FROM push_configs WHERE task = ? AND id <> ?;

-- put
INSERT INTO push_configs (task, id, url, token, scheme, credentials, version, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (task, id) DO UPDATE SET url = excluded.url, token = excluded.token, scheme = excluded.scheme,
                                     credentials = excluded.credentials, version = excluded.version;

-- mark
-- A task knows how many receivers it has, so that a write to one without any asks for none.
UPDATE tasks SET push = (SELECT count(*) FROM push_configs p WHERE p.task = tasks.key) WHERE key = ?;

-- get
SELECT id, url, token, scheme, credentials, version FROM push_configs WHERE task = ? AND id = ?;

-- first
SELECT id, url, token, scheme, credentials, version FROM push_configs WHERE task = ? ORDER BY created, id LIMIT 1;

-- page
SELECT id, url, token, scheme, credentials, version FROM push_configs WHERE task = ? AND id > ? ORDER BY id LIMIT ?;

-- delete
DELETE FROM push_configs WHERE task = ? AND id = ?;

-- delete_all
DELETE FROM push_configs WHERE task = ?;

-- receivers
SELECT id, version FROM push_configs WHERE task = ? ORDER BY id;

-- receiver
-- Where a delivery goes, as it stands now.
SELECT p.id, p.url, p.token, p.scheme, p.credentials, p.version FROM push_configs p JOIN tasks t ON t.key = p.task
WHERE t.id = ? AND t.app || '' = ? AND t."user" = ? AND p.id = ?;

-- place
SELECT t.key, s.id, t.state, t.changed FROM tasks t JOIN sessions s ON s.key = t.key >> 24
WHERE t.id = ? AND t.app || '' = ? AND t."user" = ? AND t.push > 0;

-- artifact
SELECT a.key, a.body FROM artifacts a JOIN tasks t ON t.key = a.task
WHERE t.id = ? AND t.app || '' = ? AND t."user" = ? AND a.id = ?;

-- hurry
-- A new address need not wait for what the old one was given time for.
UPDATE jobs SET run_at = ? WHERE lane = ? AND state IN ('ready', 'running') AND state = 'ready' AND run_at > ?;

-- give_up
-- Deliveries that nobody wants any more. One that is under way comes to its own end.
UPDATE jobs SET state = 'canceled', payload = '{}', fence = fence + 1, ended = ?
WHERE lane = ? AND state IN ('ready', 'running') AND state = 'ready';
