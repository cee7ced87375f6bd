-- running_of_nobody
-- (That its owner has a name leads every planner to the index of what runs, past all that waits.)
SELECT j.key, j.fence, j.subject, j.attempts, j.owner, j.history FROM jobs j
WHERE j.state = 'running' AND j.owner >= ''
  AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.id = j.owner);

-- now
-- The clock that leases are measured by: on one machine our own.
SELECT CAST(? AS INTEGER);

-- now @postgres
-- The server's, the same for all machines that share it.
SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT);

-- register
-- (Once more when the answer got lost.)
INSERT INTO instances (id, host, pid, version, started, seen) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET seen = excluded.seen;

-- beat
UPDATE instances SET seen = ? WHERE id = ?;

-- leave
DELETE FROM instances WHERE id = ?;

-- others
SELECT id, host, pid, seen FROM instances WHERE id <> ? ORDER BY seen;

-- instances
SELECT id, host, pid, version, started, seen FROM instances ORDER BY started, id;
