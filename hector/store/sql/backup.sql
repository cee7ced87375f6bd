-- tables @sqlite
-- Every table with its columns: name, place in the primary key (from 1; 0 for none), type.
SELECT m.name, c.name, c.pk, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c
WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY m.name, c.cid;

-- tables @postgres
-- The same. A generated column is made anew from the others.
SELECT c.relname::text, a.attname::text, COALESCE(array_position(i.indkey::int2[], a.attnum) + 1, 0),
       upper(format_type(a.atttypid, NULL))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attgenerated = ''
     LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
ORDER BY c.relname::text COLLATE "C", a.attnum;

-- schema
SELECT COALESCE(max(number), 0) FROM migrations;

-- events
-- How many there are, without reading them all.
SELECT COALESCE(sum(next_seq), 0) FROM sessions;

-- exclusive @postgres
-- Let no server start meanwhile, and take as long as it takes, but do not wait for ever for those who hold a table.
SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('lock_timeout', '15s', true),
       pg_advisory_xact_lock(hashtextextended('hector migrations ' || current_schema(), 0));

-- alive @postgres
-- Processes that gave a sign of life within so many milliseconds.
SELECT host, pid FROM instances
WHERE seen > CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - CAST(? AS BIGINT) ORDER BY started;

-- owners @postgres
-- Tables that belong to somebody else than whoever restores.
SELECT c.relname::text, pg_get_userbyid(c.relowner)::text FROM pg_class c
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
  AND pg_get_userbyid(c.relowner) <> current_user ORDER BY 1;

-- grants @postgres
-- What others than its owner may do with a table, or with the sequence of its keys; NULL stands for everybody.
SELECT c.relname::text, c.relkind = 'S', CASE WHEN a.grantee <> 0 THEN pg_get_userbyid(a.grantee)::text END, a.privilege_type::text,
       a.is_grantable
FROM pg_class c CROSS JOIN aclexplode(c.relacl) a
WHERE c.relkind IN ('r', 'S') AND c.relnamespace = current_schema()::regnamespace AND a.grantee <> c.relowner
ORDER BY 1, 3, 4;

-- in_use
-- Rows that somebody would miss.
SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM jobs);

-- release
-- Nobody works on what was running when the backup was made.
UPDATE jobs SET state = 'ready', owner = NULL, fence = fence + 1, attempts = CASE WHEN attempts > 0 THEN attempts - 1
                                                                                 ELSE 0 END
WHERE state = 'running';
