-- add
INSERT INTO egress (purpose, host, port, attempts, failed, refused, calls, sent, received, first_at, last_at, refusal)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (purpose, host, port) DO UPDATE SET
    attempts = egress.attempts + excluded.attempts, failed = egress.failed + excluded.failed,
    refused = egress.refused + excluded.refused, calls = egress.calls + excluded.calls,
    sent = egress.sent + excluded.sent, received = egress.received + excluded.received,
    last_at = CASE WHEN excluded.last_at > egress.last_at THEN excluded.last_at ELSE egress.last_at END,
    refusal = CASE WHEN excluded.refusal <> '' THEN excluded.refusal ELSE egress.refusal END;

-- all
SELECT purpose, host, port, attempts, failed, refused, calls, sent, received, first_at, last_at, refusal
FROM egress WHERE (CAST(?1 AS TEXT) IS NULL OR purpose = ?1) ORDER BY last_at DESC, purpose, host, port LIMIT ?2;

-- refused
SELECT purpose, host, port, attempts, failed, refused, calls, sent, received, first_at, last_at, refusal
FROM egress WHERE refused > 0 ORDER BY last_at DESC, purpose, host, port LIMIT 1000;

-- forget
DELETE FROM egress WHERE last_at < ?;

-- receivers
SELECT url FROM (SELECT url, max(created) AS at FROM push_configs GROUP BY url) found ORDER BY at DESC LIMIT ?;
