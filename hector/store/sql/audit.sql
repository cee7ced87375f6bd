-- note
INSERT INTO audit_inbox (at, app, actor, via, action, object, outcome, request, detail)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- alone
-- Whoever moves entries into the chain is the only one; a transaction of SQLite's that writes is that by itself.
SELECT 1;

-- alone @postgres
SELECT pg_advisory_xact_lock(hashtextextended('hector audit ' || current_schema(), 0));

-- waiting
SELECT count(*) FROM audit_inbox;

-- head
SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1;

-- take
-- The order of the keys is that of the entries, as far as there is one: on PostgreSQL transactions end in any order.
DELETE FROM audit_inbox WHERE key IN (SELECT key FROM audit_inbox ORDER BY key LIMIT ?)
RETURNING key, at, app, actor, via, action, object, outcome, request, detail;

-- append
INSERT INTO audit (seq, at, app, actor, via, action, object, outcome, request, detail, hash)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- rows
-- The chain in its order, behind a place.
SELECT seq, at, app, actor, via, action, object, outcome, request, detail, hash FROM audit
WHERE seq > ? ORDER BY seq LIMIT ?;

-- page
-- The newest first, before a place; NULL and 0 are no filter. What no index leads to is found by walking the chain
-- back: 60 ms at most for 200,000 rows on both engines, which is not worth an index that every entry pays for.
SELECT seq, at, app, actor, via, action, object, outcome, request, detail, hash FROM audit
WHERE seq < ?1
  AND (CAST(?2 AS TEXT) IS NULL OR app = ?2)
  AND (CAST(?3 AS TEXT) IS NULL OR action = ?3)
  AND (CAST(?4 AS TEXT) IS NULL OR actor = ?4)
  AND (CAST(?5 AS TEXT) IS NULL OR object = ?5)
  AND (CAST(?6 AS TEXT) IS NULL OR outcome = ?6)
  AND at >= ?7 AND at < ?8
ORDER BY seq DESC LIMIT ?9;

-- last_cuts
-- More than one: the last may have been tampered with.
SELECT seq, detail FROM audit WHERE action = 'audit.cut' ORDER BY seq DESC LIMIT 20;

-- first_since
-- The first entry that is too young to go. Entries are in the order of their arrival, about that of time.
SELECT min(seq) FROM audit WHERE at >= ?;

-- hash_of
SELECT hash FROM audit WHERE seq = ?;

-- cut
DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE seq < ? ORDER BY seq LIMIT ?);
