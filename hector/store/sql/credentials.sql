-- add
INSERT INTO credentials (id, kind, name, hash, role, app, "user", author, created, expires)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING;

-- replace
INSERT INTO credentials (id, kind, name, hash, role, app, "user", author, created, expires)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, author = excluded.author, created = excluded.created, used = NULL;

-- find
SELECT id, kind, name, hash, role, app, "user", author, created, expires, used, revoked FROM credentials WHERE id = ?;

-- page
-- Those of a kind behind an id: of one app, or (NULL) of all.
SELECT id, kind, name, hash, role, app, "user", author, created, expires, used, revoked FROM credentials
WHERE kind = ?1 AND id > ?2 AND (CAST(?3 AS TEXT) IS NULL OR app = ?3) ORDER BY id LIMIT ?4;

-- use
UPDATE credentials SET used = ? WHERE id = ?;

-- use_once
UPDATE credentials SET used = ? WHERE id = ? AND hash = ? AND used IS NULL AND revoked IS NULL AND expires > ?;

-- revoke
UPDATE credentials SET revoked = ? WHERE id = ? AND revoked IS NULL;

-- remove_kind
DELETE FROM credentials WHERE kind = ?;

-- remove_ended
-- One-time codes and sessions that nobody can use any more.
DELETE FROM credentials WHERE kind IN ('unlock', 'session') AND expires < ?;
