-- Why each transition was decided: the rule, its numbers, and who said what.
-- `rule` is empty, and the numbers are null, where there is no evidence to show (rows of earlier releases).
ALTER TABLE transitions
    -- A routing beacon: written down, never alerted on.
    ADD COLUMN IF NOT EXISTS beacon Bool AFTER watched,
    -- An archive has filled a hole in a feed: the verdict is new, the time of its evidence is not.
    ADD COLUMN IF NOT EXISTS healed Bool AFTER beacon,
    ADD COLUMN IF NOT EXISTS rule LowCardinality(String) AFTER healed,
    ADD COLUMN IF NOT EXISTS threshold Nullable(Float64) AFTER rule,
    -- Since when the condition held, and how long it had to.
    ADD COLUMN IF NOT EXISTS since Nullable(DateTime64(6, 'UTC')) AFTER threshold,
    ADD COLUMN IF NOT EXISTS hold_s Nullable(UInt64) AFTER since,
    -- Peer ASes that lost it, and when each of them did, in the same order.
    ADD COLUMN IF NOT EXISTS lost_asns Array(UInt32) CODEC(ZSTD(1)) AFTER hold_s,
    ADD COLUMN IF NOT EXISTS lost_at Array(DateTime64(6, 'UTC')) CODEC(ZSTD(1)) AFTER lost_asns,
    -- They withdrew nothing: the route was missing when the session had resynchronised.
    ADD COLUMN IF NOT EXISTS lost_inferred Array(Bool) CODEC(ZSTD(1)) AFTER lost_at,
    ADD COLUMN IF NOT EXISTS kept Array(UInt32) CODEC(ZSTD(1)) AFTER lost_inferred,
    -- Their sessions are silent, down, or resynchronising.
    ADD COLUMN IF NOT EXISTS unknown Array(UInt32) CODEC(ZSTD(1)) AFTER kept,
    -- Kept the route so long after everybody else that they have no vote.
    ADD COLUMN IF NOT EXISTS zombies Array(UInt32) CODEC(ZSTD(1)) AFTER unknown,
    ADD COLUMN IF NOT EXISTS collectors Nullable(UInt32) AFTER zombies,
    -- The largest share of the lost weight that one collector has.
    ADD COLUMN IF NOT EXISTS one_collector Nullable(Float64) AFTER collectors,
    -- Share of the baseline that is known, by weight.
    ADD COLUMN IF NOT EXISTS known Nullable(Float64) AFTER one_collector,
    -- Of an origin or a country: what it was a share of, as JSON. JSONExtractUInt(share, 'prefixes_down')
    ADD COLUMN IF NOT EXISTS share String CODEC(ZSTD(1)) AFTER known;
