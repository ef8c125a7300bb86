-- Tables, views and macros that schema version 3 brought or changed, without comments.

CREATE TABLE IF NOT EXISTS subset_cards (
    subset_id  VARCHAR,
    pool       VARCHAR,
    share      DOUBLE,
    model_id   VARCHAR,
    draws      INTEGER,
    version    INTEGER,
    metric     VARCHAR,
    site       VARCHAR,
    ordinal    INTEGER,
    value      DOUBLE,
    low        DOUBLE,
    median     DOUBLE,
    high       DOUBLE,
    rank       DOUBLE,
    verdict    VARCHAR CHECK (verdict IN ('low', 'inside', 'high')),
    is_bad     BOOLEAN,
    reason     VARCHAR,
    created_at TIMESTAMP,
    PRIMARY KEY (subset_id, pool, share, model_id, draws, version, metric, site)
);

CREATE OR REPLACE VIEW core.cards AS
SELECT *
FROM subset_cards
QUALIFY dense_rank() OVER (
    PARTITION BY subset_id, pool, share, model_id ORDER BY version DESC, draws DESC
) = 1;

CREATE OR REPLACE VIEW coverage_cards AS
WITH asked AS (
    SELECT subset_id, string_agg(DISTINCT policy, ', ' ORDER BY policy) AS policies
    FROM subset_requests
    GROUP BY subset_id
),
kinds AS (SELECT model_id, any_value(kind) AS model_kind FROM models GROUP BY model_id),
shown AS (SELECT DISTINCT subset_id, pool, share, model_id FROM core.cards),
lines AS (  -- a card under a model has the lines that take none as well
    SELECT shown.subset_id, shown.pool, shown.share, shown.model_id AS of_model, card.*
        EXCLUDE (subset_id, pool, share)
    FROM shown
    JOIN core.cards AS card
      ON card.subset_id = shown.subset_id AND card.pool = shown.pool AND card.share = shown.share
     AND card.model_id IN ('', shown.model_id)
),
wide AS (
    SELECT subset_id, pool, share, of_model AS model_id,
           any_value(draws) FILTER (model_id = of_model) AS draws,
           max(value) FILTER (metric = 'label_chi_square') AS label_chi_square,
           max(value) FILTER (metric = 'label_distance')   AS label_distance,
           max(value) FILTER (metric = 'length_p10')       AS length_p10,
           max(value) FILTER (metric = 'length_p50')       AS length_p50,
           max(value) FILTER (metric = 'length_p90')       AS length_p90,
           max(value) FILTER (metric = 'tokens_kept')      AS tokens_kept,
           max(value) FILTER (metric = 'types_covered')    AS types_covered,
           max(value) FILTER (metric = 'tokens_covered')   AS tokens_covered,
           max(value) FILTER (metric = 'oov_share')        AS oov_share,
           max(value) FILTER (metric = 'mmd')              AS mmd,
           max(value) FILTER (metric = 'near_copies')      AS near_copies,
           max(value) FILTER (metric = 'in_test')          AS in_test,
           max(value) FILTER (metric = 'near_test')        AS near_test,
           max(value) FILTER (metric = 'range_covered' AND site = '')  AS range_covered,
           min(value) FILTER (metric = 'range_covered' AND site <> '') AS worst_range_covered,
           max(value) FILTER (metric = 'clip_rate' AND site = '')      AS clip_rate,
           max(value) FILTER (metric = 'clip_rate' AND site <> '')     AS worst_clip_rate,
           arg_max(site, value) FILTER (metric = 'clip_rate' AND site <> '') AS worst_site,
           max(value) FILTER (metric = 'log_det')          AS log_det,
           max(value) FILTER (metric = CASE of_model WHEN '' THEN 'outside' ELSE 'outside_all' END)
               AS outside,
           list(metric ORDER BY model_id, ordinal) FILTER (
               is_bad AND site = '' AND metric NOT IN ('outside', 'outside_all')
           ) AS bad,
           max(created_at) AS created_at
    FROM lines
    GROUP BY subset_id, pool, share, of_model
)
SELECT wide.subset_id, corpora.name AS corpus, subsets.size, asked.policies, wide.pool,
       wide.share, nullif(wide.model_id, '') AS model_id, kinds.model_kind,
       wide.* EXCLUDE (subset_id, pool, share, model_id, bad, created_at),
       coalesce(wide.bad, []) AS bad, wide.created_at
FROM wide
JOIN subsets USING (subset_id)
LEFT JOIN corpora USING (corpus_id)
LEFT JOIN asked USING (subset_id)
LEFT JOIN kinds ON kinds.model_id = wide.model_id
ORDER BY corpus, asked.policies, subsets.size, wide.subset_id, wide.pool, wide.share,
         wide.model_id;

CREATE OR REPLACE VIEW core.cell_cards AS
WITH measured AS (SELECT DISTINCT subset_id, model_id FROM cells),
trained AS (SELECT model_id, any_value(share) AS share FROM models GROUP BY model_id)
SELECT measured.model_id AS cell_model_id, card.*
FROM measured
JOIN core.cards AS card
  ON card.subset_id = measured.subset_id AND card.model_id IN ('', measured.model_id)
LEFT JOIN trained ON trained.model_id = measured.model_id
QUALIFY dense_rank() OVER (
    PARTITION BY measured.subset_id, measured.model_id, card.model_id
    ORDER BY card.share IS DISTINCT FROM trained.share, card.pool <> 'train', card.pool, card.share
) = 1;

CREATE OR REPLACE VIEW card_vs_drop AS
SELECT r.corpus, r.recipe, r.model, r.model_kind, r.model_seed, r.policy, r.policy_kind, r.size,
       r.seed, r.bits, r.rounding, r.preset, r.scheme_id,
       card.metric, card.value, card.low, card.median, card.high, card.rank, card.verdict,
       card.is_bad, r.accuracy, r.float_accuracy, r.accuracy_drop, r.macro_f1_drop,
       r.nll - r.float_nll AS nll_rise, card.pool, card.share, card.draws, r.cell_id, r.subset_id,
       cells.model_id
FROM results AS r
JOIN cells ON cells.cell_id = r.cell_id
JOIN core.cell_cards AS card
  ON card.subset_id = r.subset_id AND card.cell_model_id = cells.model_id AND card.site = ''
WHERE r.noise_kind = 'none'
ORDER BY r.recipe, r.model, r.model_seed, r.policy, r.size, r.seed, r.bits DESC, r.rounding,
         r.scheme_id, card.model_id, card.ordinal;
