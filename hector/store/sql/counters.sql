-- standing
SELECT c.subject, c.what, c.period, c.used, c.held FROM json_each(?) w JOIN counters c
  ON c.subject = json_extract(w.value, '$[0]') AND c.what = json_extract(w.value, '$[1]')
 AND c.period = json_extract(w.value, '$[2]');

-- standing @postgres
-- Locked in one order by everybody.
SELECT c.subject, c.what, c.period, c.used, c.held FROM counters c
WHERE (c.subject, c.what, c.period) IN (
    SELECT w->>0, w->>1, CAST(w->>2 AS BIGINT) FROM json_array_elements(CAST(? AS json)) w)
ORDER BY c.subject, c.what, c.period
FOR UPDATE;

-- enter
-- So that there is a row to lock.
INSERT INTO counters (subject, what, period, used, held, ends)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), 0, 0,
       json_extract(value, '$[3]')
FROM json_each(?) WHERE true ON CONFLICT (subject, what, period) DO NOTHING;

-- enter @postgres
INSERT INTO counters (subject, what, period, used, held, ends)
SELECT w->>0, w->>1, CAST(w->>2 AS BIGINT), 0, 0, CAST(w->>3 AS BIGINT)
FROM json_array_elements(CAST(? AS json)) w ORDER BY 1, 2, 3 ON CONFLICT (subject, what, period) DO NOTHING;

-- change
INSERT INTO counters (subject, what, period, used, held, ends)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[3]')
FROM json_each(?) WHERE true ON CONFLICT (subject, what, period) DO UPDATE
SET used = counters.used + excluded.used, held = max(counters.held + excluded.held, 0);

-- change @postgres
INSERT INTO counters (subject, what, period, used, held, ends)
SELECT w->>0, w->>1, CAST(w->>2 AS BIGINT), CAST(w->>4 AS BIGINT), CAST(w->>5 AS BIGINT), CAST(w->>3 AS BIGINT)
FROM json_array_elements(CAST(? AS json)) w ORDER BY 1, 2, 3 ON CONFLICT (subject, what, period) DO UPDATE
SET used = counters.used + excluded.used, held = greatest(counters.held + excluded.held, 0);

-- read
SELECT used, held FROM counters WHERE subject = ? AND what = ? AND period = ?;

-- ended
DELETE FROM counters WHERE ends < ?;

-- known
-- Whether something is held already, after a connection broke.
SELECT 1 FROM reservations WHERE id = ?;

-- hold
INSERT INTO reservations (id, owner, task, held, created) VALUES (?, ?, ?, ?, ?);

-- settle
-- In the transaction of what it tells of. What is held no more, because its process was taken for dead, is paid for all
-- the same.
INSERT INTO reservations (id, owner, task, held, paid, created) VALUES (?, '', ?, '[]', ?, ?)
ON CONFLICT (id) DO UPDATE SET owner = '', paid = excluded.paid;

-- release
UPDATE reservations SET owner = '' WHERE id = ?;

-- abandon
-- What processes held that are gone.
UPDATE reservations SET owner = ''
WHERE owner <> '' AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.id = reservations.owner);

-- settled
SELECT id, held, paid FROM reservations WHERE owner = '' ORDER BY id LIMIT ?;

-- settled @postgres
-- What another process is just taking over is passed over.
SELECT id, held, paid FROM reservations WHERE owner = '' ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED;

-- forget
DELETE FROM reservations WHERE id IN (SELECT value FROM json_each(?));

-- forget @postgres
DELETE FROM reservations WHERE id IN (SELECT json_array_elements_text(CAST(? AS json)));
