-- What an accepted digest of a tool stands for, and what the offered one does: people see both before they accept.

ALTER TABLE mcp_pins ADD COLUMN told TEXT NOT NULL DEFAULT '';
ALTER TABLE mcp_pins ADD COLUMN offered_told TEXT NOT NULL DEFAULT '';
