-- Where connections went, for which purpose: counted by every process, added to now and then. Times are milliseconds
-- since the epoch.

CREATE TABLE egress (
    purpose TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    port BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    received BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    refusal TEXT NOT NULL,
    PRIMARY KEY (purpose, host, port)
);
