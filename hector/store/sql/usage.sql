-- add
INSERT INTO usage (app, agent, "user", model, day, calls, input, output, cached, reasoning, tools, money)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (app, day, agent, "user", model) DO UPDATE SET
    calls = usage.calls + excluded.calls, input = usage.input + excluded.input, output = usage.output + excluded.output,
    cached = usage.cached + excluded.cached, reasoning = usage.reasoning + excluded.reasoning,
    tools = usage.tools + excluded.tools, money = usage.money + excluded.money;

-- report
-- Sums by the columns that are asked for; the others are left empty. A page goes on behind the last line of the one before.
SELECT * FROM (
    SELECT CASE WHEN ?1 = 1 THEN app ELSE '' END AS a, CASE WHEN ?2 = 1 THEN day ELSE 0 END AS d,
           CASE WHEN ?3 = 1 THEN agent ELSE '' END AS g, CASE WHEN ?4 = 1 THEN "user" ELSE '' END AS u,
           CASE WHEN ?5 = 1 THEN model ELSE '' END AS m,
           sum(calls) AS calls, sum(input) AS input, sum(output) AS output, sum(cached) AS cached,
           sum(reasoning) AS reasoning, sum(tools) AS tools, sum(money) AS money
    FROM usage
    WHERE day >= ?6 AND day <= ?7 AND (CAST(?8 AS TEXT) IS NULL OR app = ?8)
      AND (CAST(?9 AS TEXT) IS NULL OR agent = ?9) AND (CAST(?10 AS TEXT) IS NULL OR "user" = ?10)
      AND (CAST(?11 AS TEXT) IS NULL OR model = ?11)
    GROUP BY 1, 2, 3, 4, 5) lines
WHERE (a, d, g, u, m) > (?12, ?13, ?14, ?15, ?16)
ORDER BY a, d, g, u, m LIMIT ?17;

-- ended
DELETE FROM usage WHERE day < ?;
