-- Questions that need no knowledge of the engine.

-- Every time a prefix left Normal, until it was Normal again (or its loss was accepted).
-- An episode ends with a transition to normal or gone; all rows between two ends belong together, so a
-- view that was lost for a while (unknown) in the middle does not cut it in two.
CREATE OR REPLACE VIEW prefix_episodes AS
SELECT * EXCEPT numbers
FROM
(
    SELECT
        subject AS prefix,
        any(prefix_addr) AS prefix_addr,
        any(prefix_len) AS prefix_len,
        numbers.1 AS origin,
        min(first_evidence_at) AS first_evidence_at,
        minOrNullIf(at, to_state = 'degrading') AS degrading_at,
        minOrNullIf(at, to_state = 'partial') AS partial_at,
        minOrNullIf(at, to_state = 'out') AS out_at,
        if(state IN ('recovering', 'normal'), maxOrNullIf(at, to_state = 'recovering'), NULL) AS recovering_at,
        maxOrNullIf(at, to_state = 'normal') AS recovered_at,
        -- From Out to the return of the routes.
        (toUnixTimestamp64Micro(coalesce(recovering_at, recovered_at)) - toUnixTimestamp64Micro(out_at)) / 1e6 AS duration_s,
        argMax(to_state, (at, place)) AS state,
        countIf(to_state = 'out') AS outs,
        minOrNullIf(visibility, to_state IN ('degrading', 'partial', 'out')) AS visibility,
        numbers.2 AS peers_seen,
        numbers.3 AS peers_lost,
        numbers.4 AS peers_unknown,
        numbers.5 AS peers_eligible,
        numbers.6 AS baseline,
        numbers.7 AS cover,
        max(t.watched) AS watched,
        -- The numbers of the first transition to the worst state.
        argMax(
            (t.origin, t.peers_seen, t.peers_lost, t.peers_unknown, t.peers_eligible,
             nullIf(toString(t.baseline), ''), nullIf(toString(t.cover), '')),
            (indexOf(['degrading', 'partial', 'out'], toString(to_state)), -toUnixTimestamp64Micro(at))
        ) AS numbers
    FROM
    (
        SELECT
            *,
            indexOf(['unknown', 'degrading', 'partial', 'out', 'recovering', 'normal', 'gone'], toString(to_state)) AS place,
            countIf(to_state IN ('normal', 'gone')) OVER (
                PARTITION BY subject ORDER BY at, place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS episode
        FROM transitions FINAL
        WHERE subject_type = 'prefix'
    ) AS t
    GROUP BY subject, episode
    HAVING countIf(to_state IN ('degrading', 'partial', 'out', 'recovering')) > 0
);

-- One row per loss of a prefix: it went Out, that is, at most a fifth of its peer ASes still had a route.
CREATE OR REPLACE VIEW prefix_withdrawals AS
SELECT
    prefix,
    prefix_addr,
    prefix_len,
    origin,
    first_evidence_at,
    degrading_at,
    assumeNotNull(out_at) AS out_at,
    recovering_at,
    recovered_at,
    duration_s,
    state,
    outs,
    visibility,
    peers_seen,
    peers_lost,
    peers_unknown,
    peers_eligible,
    baseline,
    cover,
    watched
FROM prefix_episodes
WHERE prefix_episodes.out_at IS NOT NULL;

-- One row per failure of a name, until it was ok again.
CREATE OR REPLACE VIEW dns_failures AS
SELECT * EXCEPT numbers
FROM
(
    SELECT
        subject AS name,
        min(first_evidence_at) AS first_evidence_at,
        minIf(at, to_state IN ('degraded', 'partial', 'out', 'recovering')) AS failed_at,
        minOrNullIf(at, to_state = 'out') AS out_at,
        if(state IN ('recovering', 'ok'), maxOrNullIf(at, to_state = 'recovering'), NULL) AS recovering_at,
        maxOrNullIf(at, to_state = 'ok') AS recovered_at,
        (toUnixTimestamp64Micro(recovered_at) - toUnixTimestamp64Micro(failed_at)) / 1e6 AS duration_s,
        numbers.1 AS worst,
        argMax(to_state, (at, place)) AS state,
        numbers.2 AS finding,
        numbers.3 AS servers_ok,
        numbers.4 AS servers_eligible,
        numbers.5 AS resolvers_ok,
        numbers.6 AS resolvers_eligible,
        argMax(
            (toString(to_state), nullIf(toString(t.finding), ''), t.servers_ok, t.servers_eligible,
             t.resolvers_ok, t.resolvers_eligible),
            (indexOf(['recovering', 'degraded', 'partial', 'out'], toString(to_state)), -toUnixTimestamp64Micro(at))
        ) AS numbers
    FROM
    (
        SELECT
            *,
            indexOf(['unknown', 'degraded', 'partial', 'out', 'recovering', 'ok'], toString(to_state)) AS place,
            countIf(to_state = 'ok') OVER (
                PARTITION BY subject ORDER BY at, place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS episode
        FROM transitions FINAL
        WHERE subject_type = 'name'
    ) AS t
    GROUP BY subject, episode
    HAVING countIf(to_state IN ('degraded', 'partial', 'out', 'recovering')) > 0
);

-- Announcements and withdrawals per minute and origin. A view and no materialized one: a rollup that is
-- filled at insert would count a replayed day twice. A day of one collector takes about a second.
CREATE OR REPLACE VIEW updates_per_minute AS
SELECT
    toStartOfMinute(at) AS minute,
    collector,
    origin,
    countIf(kind = 'announce') AS announcements,
    countIf(kind = 'withdraw') AS withdrawals,
    uniqExact(prefix) AS prefixes
FROM bgp_updates FINAL
GROUP BY minute, collector, origin;
