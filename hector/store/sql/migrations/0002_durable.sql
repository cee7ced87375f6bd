-- Work that outlives its process: jobs, who works on them, approvals, push configurations.
--
-- A running job belongs to an instance, whose `seen` is the lease for all of its jobs: one heartbeat keeps them all.
-- `run_at` 0 means at once, whatever a clock says. `fence` rises whenever a job changes hands; `step` counts the
-- writes of one claim. Times are milliseconds since the epoch.

CREATE TABLE jobs (
    key INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    app TEXT NOT NULL,
    "user" TEXT NOT NULL,
    lane TEXT,
    subject TEXT NOT NULL,
    payload TEXT NOT NULL,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    run_at INTEGER NOT NULL,
    deadline INTEGER,
    attempts INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    step INTEGER NOT NULL,
    owner TEXT,
    cause TEXT,
    history TEXT,
    created INTEGER NOT NULL,
    started INTEGER,
    ended INTEGER
);

CREATE INDEX jobs_ready ON jobs (priority DESC, key) WHERE state = 'ready';
CREATE INDEX jobs_due ON jobs (run_at) WHERE state = 'ready';
CREATE INDEX jobs_live ON jobs (lane, key) WHERE state IN ('ready', 'running');
CREATE INDEX jobs_running ON jobs (owner) WHERE state = 'running';
CREATE INDEX jobs_dead ON jobs (key) WHERE state = 'dead';

CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    started INTEGER NOT NULL,
    seen INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE approvals (
    key INTEGER PRIMARY KEY,
    task INTEGER NOT NULL,
    event TEXT NOT NULL,
    call_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    args TEXT NOT NULL,
    args_hash TEXT NOT NULL,
    prompt TEXT NOT NULL,
    state TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER,
    decided INTEGER,
    decided_by TEXT,
    comment TEXT,
    UNIQUE (task, event, call_id)
);

CREATE INDEX approvals_pending ON approvals (created) WHERE state = 'pending';

CREATE TABLE push_configs (
    task INTEGER NOT NULL,
    id TEXT NOT NULL,
    url TEXT NOT NULL,
    token TEXT,
    scheme TEXT,
    credentials TEXT,
    version TEXT NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (task, id)
) WITHOUT ROWID;

-- How large the database was on a day (days since the epoch): what it grows by is told from that.
CREATE TABLE sizes (
    day INTEGER PRIMARY KEY,
    octets INTEGER NOT NULL
);

ALTER TABLE tasks ADD COLUMN push INTEGER NOT NULL DEFAULT 0;

-- Tasks that an earlier version was cut off in go on.
INSERT INTO jobs (kind, app, "user", lane, subject, payload, state, priority, run_at, attempts, max_attempts, fence,
                  step, created)
SELECT 'run', t.app, t."user", 's' || (t.key >> 24), t.id, '{"invocation":"' || e.invocation || '"}', 'ready', 0,
       0, 0, 4, 0, 0, t.created
FROM tasks t JOIN events e ON e.key = (SELECT max(u.key) FROM events u WHERE u.task = t.key AND u.author = 'user'
                                       AND u.key >= t.key AND u.key <= t.last)
WHERE t.state IN ('submitted', 'working') ORDER BY t.key;

DROP INDEX tasks_unfinished;
