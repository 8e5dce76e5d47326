-- What the engine decided about prefixes and names, one row per change of state.
--
-- `id` is derived from subject, states and time: the same decision has the same id, live, replayed or
-- sent again after a crash, and is kept once.
CREATE TABLE IF NOT EXISTS transitions
(
    id                 UInt64,
    subject_type       LowCardinality(String),
    -- A prefix (84.205.71.0/24) or a name (www.example.org).
    subject            String,
    prefix_addr        IPv6,
    prefix_len         UInt8,
    origin             Nullable(UInt32),
    from_state         LowCardinality(String),
    to_state           LowCardinality(String),
    at                 DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    first_evidence_at  DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    visibility         Nullable(Float64),
    -- Peer ASes.
    peers_seen         Nullable(UInt32),
    peers_lost         Nullable(UInt32),
    peers_unknown      Nullable(UInt32),
    peers_eligible     Nullable(UInt32),
    servers_ok         Nullable(UInt32),
    servers_eligible   Nullable(UInt32),
    resolvers_ok       Nullable(UInt32),
    resolvers_eligible Nullable(UInt32),
    -- These three are empty where they do not apply.
    baseline           LowCardinality(String),
    cover              LowCardinality(String),
    finding            LowCardinality(String),
    watched            Bool,
    ingested_at        DateTime('UTC') DEFAULT now() CODEC(ZSTD(1)),
    INDEX by_addr prefix_addr TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (subject_type, subject, at, id)
TTL ingested_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1,
    -- Few rows that must not be lost: a power failure after the answer costs none.
    fsync_after_insert = 1, fsync_part_directory = 1;
