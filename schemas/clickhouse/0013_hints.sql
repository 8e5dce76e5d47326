-- Signals beside routes and names: hints, never verdicts.

-- How many users reported trouble with a service, per interval.
CREATE TABLE IF NOT EXISTS reports
(
    service     LowCardinality(String),
    source      LowCardinality(String),
    -- The end of the interval.
    at          DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    interval_s  UInt32 CODEC(ZSTD(1)),
    count       Float64 CODEC(ZSTD(1)),
    -- Mean of that time of day over the history, per interval, as it was known then.
    usual       Nullable(Float64) CODEC(ZSTD(1)),
    arrival     Enum8('in_time' = 0, 'late' = 1, 'early' = 2) CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now() CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (service, source, at, interval_s)
TTL ingested_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

-- HTTP probes (kind http), status pages (status) and traffic (traffic). What does not apply is null or empty.
CREATE TABLE IF NOT EXISTS hints
(
    service     LowCardinality(String),
    kind        LowCardinality(String),
    -- A URL, or the name of a source or status page.
    source      LowCardinality(String),
    at          DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    arrival     Enum8('in_time' = 0, 'late' = 1, 'early' = 2) CODEC(ZSTD(1)),
    -- It went well: a whole answer below 500; indicator none. Null: traffic.
    ok          Nullable(Bool) CODEC(ZSTD(1)),
    -- Of an HTTP probe. `reached`: nothing, resolved, connected, secured, done.
    vantage     LowCardinality(String),
    reached     LowCardinality(String),
    status      Nullable(UInt16) CODEC(ZSTD(1)),
    error       String CODEC(ZSTD(1)),
    addr        String CODEC(ZSTD(1)),
    latency_us  Nullable(UInt32) CODEC(ZSTD(1)),
    -- Of traffic, per interval that ended at `at`; `of`: a country or an AS, empty: all.
    interval_s  Nullable(UInt32) CODEC(ZSTD(1)),
    of          LowCardinality(String),
    unit        LowCardinality(String),
    value       Nullable(Float64) CODEC(ZSTD(1)),
    usual       Nullable(Float64) CODEC(ZSTD(1)),
    -- Of a status page.
    indicator   LowCardinality(String),
    description String CODEC(ZSTD(1)),
    ingested_at DateTime('UTC') DEFAULT now() CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (service, kind, source, of, unit, at, vantage)
TTL ingested_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;
