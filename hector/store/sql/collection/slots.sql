-- state
SELECT value FROM meta WHERE name = 'flat';

-- keep_state
INSERT INTO meta (name, value) VALUES ('flat', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- free
SELECT slot FROM free_slots ORDER BY slot LIMIT ?;

-- count_free
SELECT count(*) FROM free_slots;

-- of_keys
SELECT key, slot FROM slots WHERE key IN (SELECT value FROM json_each(?));

-- assign
INSERT INTO slots (key, slot) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET slot = excluded.slot;

-- drop
DELETE FROM slots WHERE key = ?;

-- add_free
INSERT OR IGNORE INTO free_slots (slot) VALUES (?);

-- take_free
DELETE FROM free_slots WHERE slot = ?;

-- among
SELECT s.slot FROM chunks c JOIN slots s ON s.key = c.key WHERE c.document IN (SELECT value FROM json_each(?))
ORDER BY s.slot;

-- beyond
SELECT key, slot FROM slots WHERE slot >= ? LIMIT ?;

-- having
SELECT document FROM attributes WHERE name = ? AND value IN (SELECT value FROM json_each(?));

-- stage
INSERT INTO moved_slots (key, slot) VALUES (?, ?);

-- clear_staged
DELETE FROM moved_slots;

-- clear
DELETE FROM slots;

-- clear_free
DELETE FROM free_slots;

-- take_staged
INSERT INTO slots (key, slot) SELECT key, slot FROM moved_slots;
