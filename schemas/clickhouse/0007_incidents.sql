-- What belongs together, told once: every version of every incident.
--
-- `id` is derived from the first subject and the first evidence, so it is the same live and replayed. In events
-- and on the command line it is written as 16 hex digits: leftPad(lower(hex(id)), 16, '0').
CREATE TABLE IF NOT EXISTS incidents
(
    id                UInt64,
    version           UInt32,
    -- open, update, resolved, merged
    state             LowCardinality(String),
    -- What it is about now: it may widen from a prefix to its origin to a country.
    subject_type      LowCardinality(String),
    subject           String,
    prefix_addr       IPv6,
    prefix_len        UInt8,
    origin            Nullable(UInt32),
    cause             LowCardinality(String),
    -- When this version was decided, the first loss of all, and when version 1 was decided.
    at                DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    first_evidence_at DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    raised_at         DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    cleared_at        Nullable(DateTime64(6, 'UTC')),
    confidence        Float64,
    baseline          LowCardinality(String),
    -- 1 (note) to 5 (country or watched service out).
    severity          UInt8,
    -- The worst present state of a part.
    level             LowCardinality(String),
    -- Out or Partial now, and all that are or were part of it.
    prefixes_down     UInt32,
    prefixes          UInt32,
    -- Something in it is listed by name in the configuration.
    watched           Bool,
    -- Worth showing to people: watched, or 10 prefixes or more; never a beacon.
    shown             Bool,
    beacon            Bool,
    flapping          Bool,
    reopened          UInt32,
    merged_into       Nullable(UInt64),
    summary           String CODEC(ZSTD(1)),
    -- What is or was part of it. SELECT … FROM incidents ARRAY JOIN children
    children          Nested(
        type              String,
        subject           String,
        -- 0 where there is none.
        origin            UInt32,
        state             String,
        worst             String,
        first_evidence_at DateTime64(6, 'UTC'),
        cleared_at        Nullable(DateTime64(6, 'UTC'))
    ),
    ingested_at       DateTime('UTC') DEFAULT now() CODEC(ZSTD(1)),
    INDEX by_time at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (id, version)
TTL ingested_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1,
    -- Few rows that must not be lost: a power failure after the answer costs none.
    fsync_after_insert = 1, fsync_part_directory = 1;
