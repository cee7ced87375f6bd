-- remembered
-- The highest number of a name whose versions were deleted, under a mark (`_mark` in artifacts.py) instead of the name.
SELECT version FROM artifact_versions
WHERE app = ? AND "user" = ? AND session = ? AND name = ? ORDER BY version DESC LIMIT 1;

-- numbers
SELECT name, max(version) FROM artifact_versions
WHERE app = ? AND "user" = ? AND session = ? AND name >= ' ' GROUP BY name;

-- lock @postgres
-- Whoever adds to what a user may keep in all waits for the others who do.
SELECT pg_advisory_xact_lock(hashtextextended(?, 0));

-- newest_version
SELECT version FROM artifact_versions
WHERE app = ? AND "user" = ? AND session = ? AND name = ? ORDER BY version DESC LIMIT 1;

-- add
INSERT INTO artifact_versions (app, "user", session, name, version, media_type, size, agent, event, created, body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (app, "user", session, name, version) DO NOTHING;

-- drop_old
DELETE FROM artifact_versions WHERE app = ? AND "user" = ? AND session = ? AND name = ? AND version <= ?;

-- newest
SELECT key, version, media_type, body FROM artifact_versions
WHERE app = ? AND "user" = ? AND session = ? AND name = ? AND name >= ' ' ORDER BY version DESC LIMIT 1;

-- version
SELECT key, version, media_type, body FROM artifact_versions
WHERE app = ? AND "user" = ? AND session = ? AND name = ? AND version = ? AND name >= ' ';

-- heads
-- The newest version of each name behind a name.
SELECT a.name, a.version, a.media_type, a.size, a.agent, a.created FROM artifact_versions a
WHERE a.app = ?1 AND a."user" = ?2 AND a.session = ?3 AND a.name > ?4 AND a.name >= ' '
  AND NOT EXISTS (SELECT 1 FROM artifact_versions b
                  WHERE b.app = a.app AND b."user" = a."user" AND b.session = a.session AND b.name = a.name
                    AND b.version > a.version)
ORDER BY a.name LIMIT ?5;

-- versions
SELECT name, version, media_type, size, agent, created FROM artifact_versions
WHERE app = ? AND "user" = ? AND session = ? AND name = ? ORDER BY version DESC LIMIT ?;

-- total
SELECT COALESCE(sum(size), 0) FROM artifact_versions WHERE app = ? AND "user" = ?;

-- delete
DELETE FROM artifact_versions WHERE app = ? AND "user" = ? AND session = ? AND name = ?;

-- delete_all
DELETE FROM artifact_versions WHERE app = ? AND "user" = ? AND session = ? AND name >= ' ';
