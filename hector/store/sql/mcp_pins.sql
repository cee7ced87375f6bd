-- of_server
SELECT tool, digest, offered, seen_at, told = '' FROM mcp_pins WHERE app = ? AND server = ?;

-- keep
INSERT INTO mcp_pins (app, server, tool, digest, told, offered, offered_told, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (app, server, tool) DO NOTHING;

-- offer
UPDATE mcp_pins SET offered = ?, offered_told = ?, seen_at = ? WHERE app = ? AND server = ? AND tool = ?;

-- tell
UPDATE mcp_pins SET told = ? WHERE app = ? AND server = ? AND tool = ? AND digest = ?;

-- accept
UPDATE mcp_pins SET digest = offered, told = offered_told, offered = '', offered_told = '', seen_at = ?
WHERE app = ? AND server = ? AND tool = ? AND offered = ? AND offered <> '';

-- changed
SELECT app, server, tool, seen_at, offered, told, offered_told FROM mcp_pins
WHERE offered <> '' AND (CAST(?1 AS TEXT) IS NULL OR app = ?1) AND (CAST(?2 AS TEXT) IS NULL OR server = ?2)
AND (CAST(?3 AS TEXT) IS NULL OR tool = ?3) ORDER BY app, server, tool LIMIT ?4;

-- drop
DELETE FROM mcp_pins WHERE app = ? AND server = ? AND tool = ?;
