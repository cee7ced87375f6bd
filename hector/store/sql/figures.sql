-- clock
-- What heartbeats are measured by: on one machine our own clock, else that of the database.
SELECT CAST(? AS INTEGER);

-- clock @postgres
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT);

-- size @sqlite
-- Bytes of the file, bytes of it that are free, version of the engine.
SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size),
       (SELECT freelist_count FROM pragma_freelist_count) * (SELECT page_size FROM pragma_page_size),
       sqlite_version();

-- size @postgres
SELECT pg_database_size(current_database()), 0, current_setting('server_version');

-- schema
-- The last migration, and the version of Hector that applied it.
SELECT number, name, hector, applied FROM migrations ORDER BY number DESC LIMIT 1;

-- totals
-- Sessions, their events, and sessions begun since a time.
SELECT count(*), COALESCE(sum(next_seq), 0), COALESCE(sum(CASE WHEN created >= ? THEN 1 ELSE 0 END), 0) FROM sessions;

-- tasks
SELECT state, count(*), COALESCE(sum(CASE WHEN created >= ? THEN 1 ELSE 0 END), 0) FROM tasks GROUP BY state;

-- jobs_ended
-- Jobs that ended since a time, by how.
SELECT state, count(*) FROM jobs WHERE ended >= ? GROUP BY state;

-- stuck
-- Running jobs whose attempt began before a time (the first one when it was started, a later one when it was due), or
-- whose process has gone silent.
SELECT j.key, j.kind, j.subject, j.attempts, j.owner, CASE WHEN j.run_at > j.started THEN j.run_at ELSE j.started END,
       i.host, i.pid, CASE WHEN i.seen IS NULL OR i.seen < ?1 THEN 1 ELSE 0 END
FROM jobs j LEFT JOIN instances i ON i.id = j.owner
WHERE j.state IN ('ready', 'running') AND j.state = 'running'
  AND ((j.started < ?2 AND j.run_at < ?2) OR i.seen IS NULL OR i.seen < ?1)
ORDER BY j.started, j.key LIMIT ?3;

-- waiting
-- Approvals that nobody has given yet, the oldest first.
SELECT a.key, a.tool, t.id, t.agent, a.created, a.expires FROM approvals a JOIN tasks t ON t.key = a.task
WHERE a.state = 'pending' ORDER BY a.created, a.key LIMIT ?;

-- count_waiting
SELECT count(*) FROM approvals WHERE state = 'pending';

-- note_size
-- What the database measured at the beginning of a day stays; the rest of the day changes nothing.
INSERT INTO sizes (day, octets) VALUES (?, ?) ON CONFLICT (day) DO NOTHING;

-- forget_sizes
DELETE FROM sizes WHERE day < ?;

-- size_on
-- The last note at or before a day.
SELECT day, octets FROM sizes WHERE day <= ? ORDER BY day DESC LIMIT 1;

-- oldest_size
SELECT day, octets FROM sizes ORDER BY day LIMIT 1;
