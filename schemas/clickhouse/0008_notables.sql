-- Worth writing down, and no outage: changes of origin, leaks, churn, flapping, shrinking origins, beacons, baselines.
-- The end of something (`over`) has the id of its beginning.
CREATE TABLE IF NOT EXISTS notables
(
    id                UInt64,
    what              LowCardinality(String),
    -- Empty: the feed as a whole.
    subject_type      LowCardinality(String),
    subject           String,
    prefix_addr       IPv6,
    prefix_len        UInt8,
    origin            Nullable(UInt32),
    at                DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    first_evidence_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    over              Bool,
    baseline          LowCardinality(String),
    old_origins       Array(UInt32) CODEC(ZSTD(1)),
    new_origins       Array(UInt32) CODEC(ZSTD(1)),
    -- The less-specific route that the prefix was carved out of; empty where there is none.
    covered_by        String,
    peers             Nullable(UInt32),
    -- Three AS numbers in path order, or none.
    triplet           Array(UInt32) CODEC(ZSTD(1)),
    prefixes          Nullable(UInt32),
    -- In the unit of the kind: updates, /24s, seconds.
    measured          Nullable(Float64),
    usual             Nullable(Float64),
    watched           Bool,
    summary           String CODEC(ZSTD(1)),
    ingested_at       DateTime('UTC') DEFAULT now() CODEC(ZSTD(1)),
    INDEX by_addr prefix_addr TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (what, subject_type, subject, at, id)
TTL ingested_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1,
    -- Few rows that must not be lost: a power failure after the answer costs none.
    fsync_after_insert = 1, fsync_part_directory = 1;
