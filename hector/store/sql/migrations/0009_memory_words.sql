-- The words of memories, for an index: FTS5 has one already. There is nothing to do here but to keep in step.

SELECT 1;
