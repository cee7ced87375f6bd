-- Vectors of memories, for those who look for meaning: little-endian float32 of length 1, and which embedding they are of.
-- They stand in the row itself, so that whatever removes a memory removes them.

ALTER TABLE memories ADD COLUMN embedding TEXT;
ALTER TABLE memories ADD COLUMN vector BLOB;
