-- What people say about incidents, and each version word for word.

-- Notes (kind note) and acknowledgements (kind ack). `id` is that of the incident.
CREATE TABLE IF NOT EXISTS incident_notes
(
    id          UInt64,
    at          DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    by          String,
    kind        LowCardinality(String),
    text        String CODEC(ZSTD(1)),
    -- The store's clock: the running service asks for what came since.
    ingested_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') CODEC(ZSTD(1)),
    INDEX by_arrival ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (id, at, by, kind, text)
TTL toDateTime(ingested_at) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1,
    -- Few rows that must not be lost: a power failure after the answer costs none.
    fsync_after_insert = 1, fsync_part_directory = 1;

ALTER TABLE incidents
    -- The version as it was said, as JSON: what the columns do not have is here. Empty in rows of earlier releases.
    ADD COLUMN IF NOT EXISTS said String CODEC(ZSTD(3)) AFTER summary,
    -- The rule that found the cause (r1 to r7); empty: none.
    ADD COLUMN IF NOT EXISTS rule LowCardinality(String) AFTER said,
    -- Services of the configuration that it concerns.
    ADD COLUMN IF NOT EXISTS services Array(String) AFTER rule,
    -- bgp, dns and application, each from its first evidence to its recovery.
    ADD COLUMN IF NOT EXISTS layers Nested(
        layer        String,
        since        DateTime64(6, 'UTC'),
        recovered_at Nullable(DateTime64(6, 'UTC'))
    ) AFTER services;

-- The newest version of every incident, with who has acknowledged it first. `id` and `merged_into` as they stand in
-- events: 16 hex digits.
CREATE OR REPLACE VIEW incidents_current AS
SELECT
    leftPad(lower(hex(newest.id)), 16, '0') AS id,
    newest.* EXCEPT (id, merged_into, ingested_at),
    if(newest.merged_into IS NULL, NULL, leftPad(lower(hex(assumeNotNull(newest.merged_into))), 16, '0')) AS merged_into,
    if(people.acks > 0, people.acknowledged_at, NULL) AS acknowledged_at,
    people.acknowledged_by AS acknowledged_by,
    people.notes AS notes
FROM
(
    SELECT * FROM incidents FINAL ORDER BY id, version DESC LIMIT 1 BY id
) AS newest
LEFT JOIN
(
    SELECT
        id,
        countIf(kind = 'ack') AS acks,
        countIf(kind = 'note') AS notes,
        minIf(at, kind = 'ack') AS acknowledged_at,
        argMinIf(by, at, kind = 'ack') AS acknowledged_by
    FROM incident_notes FINAL
    GROUP BY id
) AS people ON people.id = newest.id;
