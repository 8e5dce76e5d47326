-- Every prefix of every UPDATE that a collector's peers sent.
--
-- "What happened to this prefix?":  SELECT * FROM bgp_updates FINAL WHERE prefix = '129.134.30.0/24' ORDER BY at, seq
--
-- The key begins with the prefix, then the session: consecutive rows then share their path, which is
-- most of the bytes (README.md has the measurements). The key is also what makes a row itself, so that
-- a day that is replayed twice in different batches is there once after merging, and at once with FINAL.
CREATE TABLE IF NOT EXISTS bgp_updates
(
    prefix      String CODEC(ZSTD(1)),
    -- The same prefix in numbers, for ranges. IPv4 is mapped: ::ffff:129.134.30.0
    prefix_addr IPv6 CODEC(ZSTD(1)),
    prefix_len  UInt8 CODEC(ZSTD(1)),
    collector   LowCardinality(String),
    peer_addr   LowCardinality(String),
    peer_asn    UInt32 CODEC(ZSTD(1)),
    -- ADD-PATH (RFC 7911); 0 where the session has none.
    path_id     UInt32 CODEC(ZSTD(1)),
    at          DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    -- Numbers the messages of one peer at one instant: old archives have whole seconds.
    seq         UInt32 CODEC(T64, ZSTD(1)),
    kind        Enum8('withdraw' = 0, 'announce' = 1) CODEC(ZSTD(1)),
    -- Last AS of the path; 0 for a withdrawal and where there is no single one.
    origin      UInt32 CODEC(ZSTD(1)),
    path        Array(UInt32) CODEC(ZSTD(1)),
    -- The source's verdict on the time stamp.
    arrival     Enum8('in_time' = 0, 'late' = 1, 'early' = 2) CODEC(ZSTD(1)),
    -- Retention counts from here: a replay of 2008 is not thrown away at once.
    ingested_at DateTime('UTC') DEFAULT now() CODEC(ZSTD(1)),
    INDEX by_addr prefix_addr TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(at)
ORDER BY (prefix, collector, peer_addr, path_id, at, seq, kind)
TTL ingested_at + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;
