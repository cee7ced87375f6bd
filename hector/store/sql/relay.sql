-- write @postgres
-- Rows in the order in which they are given.
INSERT INTO relay (task, job, fence, body)
SELECT task, job, fence, body
FROM unnest(CAST(? AS TEXT[]), CAST(? AS BIGINT[]), CAST(? AS BIGINT[]), CAST(? AS TEXT[]))
     WITH ORDINALITY AS given (task, job, fence, body, place)
ORDER BY place;

-- read @postgres
-- What has come for some tasks behind the keys that are known of each.
SELECT r.key, r.task, r.job, r.fence, r.body
FROM unnest(CAST(? AS TEXT[]), CAST(? AS BIGINT[])) AS known (task, key)
JOIN relay r ON r.task = known.task AND r.key > known.key
ORDER BY r.key LIMIT ?;

-- newest @postgres
SELECT task, max(key) FROM relay WHERE task = ANY(CAST(? AS TEXT[])) GROUP BY task;

-- standing @postgres
-- The stored state of some tasks, and whether somebody works on them.
SELECT t.id, t.state, EXISTS (
    SELECT 1 FROM jobs j WHERE j.lane = 's' || (t.key >> 24) AND j.subject = t.id
      AND j.state IN ('ready', 'running') AND j.state || '' = 'running')
FROM tasks t WHERE t.id = ANY(CAST(? AS TEXT[]));

-- sweep @postgres
DELETE FROM relay WHERE created < now() - CAST(? AS DOUBLE PRECISION) * INTERVAL '1 second';
