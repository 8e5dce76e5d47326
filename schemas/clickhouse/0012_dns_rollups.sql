-- DNS probes by the minute: kept when the single probes are gone, and quick to draw.
--
-- A probe may be inserted twice: a batch whose fate is not known is sent again, and a day may be replayed over what was
-- collected live. A sum would count it twice. So each probe stands here under what makes it itself, and merging keeps one
-- of each: the counts are exact however often and in whatever batches they came.
CREATE TABLE IF NOT EXISTS dns_health_1m_data
(
    minute      DateTime('UTC') CODEC(Delta, ZSTD(1)),
    name        LowCardinality(String),
    vantage     LowCardinality(String),
    role        LowCardinality(String),
    server      LowCardinality(String),
    port        UInt16 CODEC(ZSTD(1)),
    outcome     LowCardinality(String),
    -- The server did its work: it answered, or it is an authority and said with authority that there is nothing.
    healthy     Bool,
    -- Each probe: its millisecond within the minute (upper 16 bits) and a hash of its question (lower 16) → its latency
    -- in microseconds.
    latencies   SimpleAggregateFunction(maxMap, Map(UInt32, UInt32)) CODEC(ZSTD(1)),
    ingested_at SimpleAggregateFunction(max, DateTime('UTC')) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (name, minute, role, server, port, vantage, outcome, healthy)
TTL ingested_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

-- Probes whose clock was ahead are left out: they would stand in a minute that has not come.
CREATE MATERIALIZED VIEW IF NOT EXISTS dns_health_1m_fill TO dns_health_1m_data AS
SELECT
    toStartOfMinute(at) AS minute,
    name,
    vantage,
    role,
    server,
    port,
    outcome,
    outcome = 'ok' OR (role LIKE '%authority' AND authoritative AND outcome IN ('nodata', 'nxdomain', 'wrong_answer', 'bogon')) AS healthy,
    map(
        toUInt32(bitShiftLeft(toUInt32(positiveModulo(toUnixTimestamp64Milli(at), 60000)), 16)
            + sipHash64(at, qname, qtype, transport) % 65536),
        latency_us
    ) AS latencies,
    now() AS ingested_at
FROM dns_probes
WHERE arrival != 'early';

-- What was there before.
INSERT INTO dns_health_1m_data
SELECT
    toStartOfMinute(at) AS minute,
    name,
    vantage,
    role,
    server,
    port,
    outcome,
    outcome = 'ok' OR (role LIKE '%authority' AND authoritative AND outcome IN ('nodata', 'nxdomain', 'wrong_answer', 'bogon')) AS healthy,
    map(
        toUInt32(bitShiftLeft(toUInt32(positiveModulo(toUnixTimestamp64Milli(at), 60000)), 16)
            + sipHash64(at, qname, qtype, transport) % 65536),
        latency_us
    ) AS latencies,
    ingested_at
FROM dns_probes
WHERE arrival != 'early';

-- How each server did for each name, by the minute. `failed` leaves out nodata (a name without AAAA is no failure) and void.
-- Latencies, in milliseconds, are those of answers; null where none came.
CREATE OR REPLACE VIEW dns_health_1m AS
SELECT
    minute,
    name,
    vantage,
    role,
    server,
    port,
    sum(length(latencies)) AS probes,
    sumIf(length(latencies), healthy) AS ok,
    sumIf(length(latencies), NOT healthy AND outcome NOT IN ('nodata', 'void')) AS failed,
    sumMap(map(toString(outcome), toUInt64(length(latencies)))) AS outcomes,
    quantileExactArrayOrNullIf(0.5)(mapValues(latencies), outcome NOT IN ('timeout', 'net_unreachable', 'void')) / 1000 AS latency_p50_ms,
    quantileExactArrayOrNullIf(0.95)(mapValues(latencies), outcome NOT IN ('timeout', 'net_unreachable', 'void')) / 1000 AS latency_p95_ms,
    quantileExactArrayOrNullIf(0.99)(mapValues(latencies), outcome NOT IN ('timeout', 'net_unreachable', 'void')) / 1000 AS latency_p99_ms,
    min(toDateTime64(minute, 6, 'UTC') + toIntervalMillisecond(bitShiftRight(arrayMin(mapKeys(latencies)), 16))) AS first_probe_at,
    max(toDateTime64(minute, 6, 'UTC') + toIntervalMillisecond(bitShiftRight(arrayMax(mapKeys(latencies)), 16))) AS last_probe_at
FROM dns_health_1m_data FINAL
GROUP BY minute, name, vantage, role, server, port;

-- The same by the hour.
CREATE OR REPLACE VIEW dns_health_1h AS
SELECT
    toStartOfHour(minute) AS hour,
    name,
    vantage,
    role,
    server,
    port,
    sum(length(latencies)) AS probes,
    sumIf(length(latencies), healthy) AS ok,
    sumIf(length(latencies), NOT healthy AND outcome NOT IN ('nodata', 'void')) AS failed,
    sumMap(map(toString(outcome), toUInt64(length(latencies)))) AS outcomes,
    quantileExactArrayOrNullIf(0.5)(mapValues(latencies), outcome NOT IN ('timeout', 'net_unreachable', 'void')) / 1000 AS latency_p50_ms,
    quantileExactArrayOrNullIf(0.95)(mapValues(latencies), outcome NOT IN ('timeout', 'net_unreachable', 'void')) / 1000 AS latency_p95_ms,
    quantileExactArrayOrNullIf(0.99)(mapValues(latencies), outcome NOT IN ('timeout', 'net_unreachable', 'void')) / 1000 AS latency_p99_ms,
    min(toDateTime64(minute, 6, 'UTC') + toIntervalMillisecond(bitShiftRight(arrayMin(mapKeys(latencies)), 16))) AS first_probe_at,
    max(toDateTime64(minute, 6, 'UTC') + toIntervalMillisecond(bitShiftRight(arrayMax(mapKeys(latencies)), 16))) AS last_probe_at
FROM dns_health_1m_data FINAL
GROUP BY hour, name, vantage, role, server, port;

-- Who failed in a failure of a name: each row of dns_failures with every server that failed in it, when first and last, how
-- often, and how; to the millisecond. Servers that were fine all the time are not here; dns_health_1m has them.
CREATE OR REPLACE VIEW dns_failing_servers AS
SELECT
    name,
    failed_at,
    recovered_at,
    role,
    server,
    port,
    minOrNullIf(first_at, NOT healthy AND outcome NOT IN ('nodata', 'void')) AS first_failure_at,
    maxOrNullIf(last_at, NOT healthy AND outcome NOT IN ('nodata', 'void')) AS last_failure_at,
    sum(length(latencies)) AS probes,
    sumIf(length(latencies), NOT healthy AND outcome NOT IN ('nodata', 'void')) AS failed,
    sumMap(map(toString(outcome), toUInt64(length(latencies)))) AS outcomes,
    arraySort(groupUniqArray(toString(vantage))) AS vantages
FROM
(
    SELECT name, failed_at, recovered_at, first_evidence_at FROM dns_failures
) AS f
INNER JOIN
(
    SELECT
        name, role, server, port, vantage, outcome, healthy, latencies,
        toDateTime64(minute, 6, 'UTC') + toIntervalMillisecond(bitShiftRight(arrayMin(mapKeys(latencies)), 16)) AS first_at,
        toDateTime64(minute, 6, 'UTC') + toIntervalMillisecond(bitShiftRight(arrayMax(mapKeys(latencies)), 16)) AS last_at
    FROM dns_health_1m_data FINAL
    WHERE role NOT LIKE 'control%'
) AS d USING (name)
-- They are cut to whole milliseconds.
WHERE last_at > first_evidence_at - toIntervalMillisecond(1) AND (recovered_at IS NULL OR first_at <= recovered_at)
GROUP BY name, failed_at, recovered_at, role, server, port
HAVING failed > 0;
