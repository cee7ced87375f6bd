-- The words of memories, for an index. Each word begins with the owner's mark, so that the index leads from a user's word,
-- or from its beginning, to his memories alone, however many others there are.

ALTER TABLE memories ADD COLUMN words tsvector GENERATED ALWAYS AS (
    array_to_tsvector(string_to_array(regexp_replace(terms, '(^| )', '\1' || substr(owner, 1, 8), 'g'), ' '))
) STORED;

CREATE INDEX memories_words ON memories USING gin (words) WITH (gin_pending_list_limit = 64);
