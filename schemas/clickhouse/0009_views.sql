-- The views of 0005 again, with what was added since, and the newest word on each incident.

-- The newest version of every incident. `id` and `merged_into` as they stand in events: 16 hex digits.
CREATE OR REPLACE VIEW incidents_current AS
SELECT
    leftPad(lower(hex(newest.id)), 16, '0') AS id,
    newest.* EXCEPT (id, merged_into, ingested_at),
    if(newest.merged_into IS NULL, NULL, leftPad(lower(hex(assumeNotNull(newest.merged_into))), 16, '0')) AS merged_into
FROM
(
    SELECT * FROM incidents FINAL ORDER BY id, version DESC LIMIT 1 BY id
) AS newest;

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
        max(t.beacon) AS beacon,
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
    watched,
    beacon
FROM prefix_episodes
WHERE prefix_episodes.out_at IS NOT NULL;
