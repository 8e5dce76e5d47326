-- Whom a name depends on: one row per walk from the root to it, each address joined to its route at that time.
--
-- "What did example.com depend on that day?":  SELECT * FROM delegations FINAL WHERE name = 'example.com' ORDER BY at
-- The lists beside each other (servers.…) have one entry per address of a name server.
CREATE TABLE IF NOT EXISTS delegations
(
    name        LowCardinality(String),
    -- When the walk ended.
    at          DateTime64(6, 'UTC') CODEC(Delta, ZSTD(1)),
    vantage     LowCardinality(String),
    -- Said again while the name or its routes fail: what was known before stays.
    frozen      Bool,
    -- The walk came to servers of the zone. If not, what was known before stays.
    complete    Bool,
    -- How the walk ended, in words.
    end         LowCardinality(String),
    -- Empty if the walk did not come there.
    zone        LowCardinality(String),
    parent_ns   Array(String) CODEC(ZSTD(1)),
    child_ns    Array(String) CODEC(ZSTD(1)),
    -- Key tags of the DS records in the parent.
    ds          Array(UInt16) CODEC(ZSTD(1)),
    servers     Nested(
        zone      String,
        name      String,
        addr      String,
        in_parent Bool,
        in_child  Bool,
        glue      Bool,
        -- Empty: not asked.
        outcome   String,
        -- The longest matching prefix and its origin; empty and 0: no route, or none that is known.
        prefix    String,
        origin    UInt32
    ),
    -- Targets of the aliases (CNAME) of the name, in the order in which they are followed.
    aliases     Array(String) CODEC(ZSTD(1)),
    -- Addresses of the name itself.
    addresses   Nested(
        addr   String,
        prefix String,
        origin UInt32
    ),
    findings    Nested(
        -- There now; else a risk.
        fault  Bool,
        kind   String,
        zone   String,
        text   String
    ),
    ingested_at DateTime('UTC') DEFAULT now() CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(at)
ORDER BY (name, at, vantage, frozen)
TTL ingested_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1;

-- Every address that a name depends on now, by the newest whole walk of each vantage: of its name servers (role ns) and
-- its own (role address; `server` is empty).
--
-- "Which names depend on this prefix?":  SELECT * FROM name_dependencies WHERE isIPAddressInRange(addr, '129.134.30.0/24')
CREATE OR REPLACE VIEW name_dependencies AS
SELECT
    name,
    role,
    zone,
    server,
    addr,
    outcome,
    prefix,
    origin,
    at,
    vantage
FROM
(
    SELECT
        name,
        at,
        vantage,
        arrayJoin(arrayConcat(
            arrayMap(
                (zone, server, addr, outcome, prefix, origin) -> ('ns', zone, server, addr, outcome, prefix, origin),
                servers.zone, servers.name, servers.addr, servers.outcome, servers.prefix, servers.origin
            ),
            arrayMap(
                (addr, prefix, origin) -> ('address', '', '', addr, '', prefix, origin),
                addresses.addr, addresses.prefix, addresses.origin
            )
        )) AS it,
        it.1 AS role,
        it.2 AS zone,
        it.3 AS server,
        it.4 AS addr,
        it.5 AS outcome,
        it.6 AS prefix,
        nullIf(it.7, 0) AS origin
    FROM
    (
        SELECT
            name, at, vantage,
            servers.zone, servers.name, servers.addr, servers.outcome, servers.prefix, servers.origin,
            addresses.addr, addresses.prefix, addresses.origin
        FROM delegations
        -- A name that nobody watches any more depends on nothing.
        WHERE complete AND at > (SELECT max(at) FROM delegations) - INTERVAL 7 DAY
        ORDER BY name, vantage, at DESC, frozen
        LIMIT 1 BY name, vantage
    )
);
