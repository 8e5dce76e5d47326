-- Every DNS question that was put to one address, and how it ended.
CREATE TABLE IF NOT EXISTS dns_probes
(
    name          LowCardinality(String),
    at            DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    vantage       LowCardinality(String),
    -- authority or resolver
    role          LowCardinality(String),
    server        LowCardinality(String),
    port          UInt16,
    qname         LowCardinality(String),
    qtype         LowCardinality(String),
    outcome       LowCardinality(String),
    rcode         Nullable(UInt16),
    authoritative Bool,
    -- Extended DNS Error (RFC 8914).
    ede_code      Nullable(UInt16),
    ede_text      String CODEC(ZSTD(1)),
    nsid          String CODEC(ZSTD(1)),
    latency_us    UInt32 CODEC(ZSTD(1)),
    ttl           Nullable(UInt32) CODEC(ZSTD(1)),
    answers       Array(String) CODEC(ZSTD(1)),
    transport     LowCardinality(String),
    packets_sent  UInt8,
    ingested_at   DateTime('UTC') DEFAULT now() CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(at)
ORDER BY (name, at, role, server, port, qname, qtype, transport, vantage)
TTL ingested_at + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;
