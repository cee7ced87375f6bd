-- extension
-- Where its types and operators are, which need not be on the search path.
SELECT e.extversion, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'vector';

-- available
SELECT default_version FROM pg_available_extensions WHERE name = 'vector';

-- create_extension
CREATE EXTENSION IF NOT EXISTS vector;

-- table
SELECT coalesce(obj_description(to_regclass($1), 'pg_class'), '') WHERE to_regclass($1) IS NOT NULL;

-- create
CREATE TABLE {table} (key bigint PRIMARY KEY, facts jsonb NOT NULL, embedding {type} NOT NULL);

-- facts_index
CREATE INDEX IF NOT EXISTS {facts} ON {table} USING gin (facts jsonb_path_ops);

-- nearest_index
CREATE INDEX IF NOT EXISTS {nearest} ON {table} USING hnsw ({column} {family});

-- comment
COMMENT ON TABLE {table} IS {note};

-- empty
SELECT NOT EXISTS (SELECT FROM {table});

-- drop
DROP TABLE IF EXISTS {table};

-- clear
TRUNCATE {table};

-- drop_index
DROP INDEX IF EXISTS {place}{nearest};

-- upsert
INSERT INTO {table} (key, facts, embedding) VALUES ($1, $2::text::jsonb, $3)
ON CONFLICT (key) DO UPDATE SET facts = excluded.facts, embedding = excluded.embedding;

-- describe
UPDATE {table} SET facts = $2::text::jsonb WHERE key = $1;

-- remove
DELETE FROM {table} WHERE key = ANY($1::bigint[]);

-- search
SELECT key, 1 - (embedding {distance} $1::{vector}) FROM {table}{where} ORDER BY embedding {distance} $1::{vector} LIMIT {limit};

-- search_coarse
-- Longer vectors are found by an index of half their precision, and put in order by all of it.
SELECT key, 1 - (embedding {distance} $1::{vector}) FROM (
    SELECT key, embedding FROM {table}{where} ORDER BY {column} {distance} $1::{vector}::{half} LIMIT {wide}
) AS near ORDER BY embedding {distance} $1::{vector} LIMIT {limit};

-- settle
SELECT set_config('plan_cache_mode', 'force_custom_plan', false), set_config('hnsw.ef_search', '200', false);

-- settle_iterating
SELECT set_config('hnsw.iterative_scan', 'strict_order', false);
