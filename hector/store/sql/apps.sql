-- create
INSERT INTO apps (id, name, status, version, epoch, created, updated) VALUES (?, ?, 'active', 1, ?, ?, ?)
ON CONFLICT (id) DO NOTHING;

-- find
SELECT id, name, status, version, epoch, created, updated FROM apps WHERE id = ?;

-- find_for_change
SELECT id, name, status, version, epoch, created, updated FROM apps WHERE id = ?;

-- find_for_change @postgres
-- Whoever asks is about to change it: others wait.
SELECT id, name, status, version, epoch, created, updated FROM apps WHERE id = ? FOR UPDATE;

-- page
SELECT id, name, status, version, epoch, created, updated FROM apps WHERE id > ? ORDER BY id LIMIT ?;

-- deleting
-- Apps of which something may be left.
SELECT id FROM apps WHERE status = 'deleting' AND updated < ? ORDER BY id;

-- change
-- Everything about an app that may change; what a change leaves alone is written again.
UPDATE apps SET name = ?, status = ?, version = ?, epoch = ?, updated = ? WHERE id = ?;

-- hold
UPDATE apps SET updated = ? WHERE id = ? AND status = 'deleting';

-- remove
DELETE FROM apps WHERE id = ?;

-- add_version
INSERT INTO app_configs (app, version, format, body, author, note, created) VALUES (?, ?, ?, ?, ?, ?, ?);

-- version
SELECT app, version, format, body, author, note, created FROM app_configs WHERE app = ? AND version = ?;

-- versions
-- The newest first, without what they say.
SELECT app, version, format, '', author, note, created FROM app_configs
WHERE app = ? AND version < ? ORDER BY version DESC LIMIT ?;

-- remove_versions
DELETE FROM app_configs WHERE app = ?;
