-- Could we see at all? States of feeds (kind feed) and holes in what they delivered (kind gap).
CREATE TABLE IF NOT EXISTS feed_status
(
    id          UInt64,
    at          DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    kind        LowCardinality(String),
    -- Empty where a gap has none.
    collector   LowCardinality(String),
    -- Empty and 0: the whole collector.
    peer_addr   LowCardinality(String),
    peer_asn    UInt32,
    -- Of a feed: up, syncing, suspect, down.
    state       LowCardinality(String),
    -- Of a gap: mrt, ris_live, bmp, dns, journal, store.
    source      LowCardinality(String),
    reason      String CODEC(ZSTD(1)),
    gap_from    Nullable(DateTime64(6, 'UTC')),
    gap_to      Nullable(DateTime64(6, 'UTC')),
    offset      Nullable(UInt64),
    lost        Nullable(UInt64),
    ingested_at DateTime('UTC') DEFAULT now() CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (collector, peer_addr, at, id)
TTL ingested_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1,
    -- Few rows that must not be lost: a power failure after the answer costs none.
    fsync_after_insert = 1, fsync_part_directory = 1;
