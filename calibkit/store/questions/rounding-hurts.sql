-- rounding-hurts: Where does a learned rounding of the weights lose against rounding to nearest?
--
-- Each rounding against the one to hold it against, with the same documents, float model, bits and
-- preset, on clean documents. The interval is Student t at 95 % over draws (distinct subsets),
-- float models averaged first. What hurts most comes first.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   reference  VARCHAR = nearest  the rounding to hold it against
--   policy    VARCHAR = any       only this policy
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
-- Columns:
--   model, size, bits, preset, rounding, policy  what was rounded, and with which documents
--   gain      accuracy - that of the rounding to hold it against; negative = it hurts
--   ci_low, ci_high  its interval; NULL with one draw
--   draws, wins, pairs, models  distinct draws; pairs in which it is better, of how many; models
--   hurts     whether the whole interval is below 0
-- Plot: intervals label=policy value=gain low=ci_low high=ci_high panel=model,size,bits,preset,rounding
-- Title: Gain of learned rounding over rounding to nearest
-- Empty: this recipe has no two roundings under the same bits and preset that are measured
WITH cells AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.size, r.seed, r.bits, r.preset, r.rounding,
           r.subset_id, r.accuracy
    FROM results AS r
    WHERE r.recipe = $recipe
      AND r.policy = coalesce($policy, r.policy)
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.noise_kind = 'none'
),
paired AS (
    SELECT a.model, a.size, a.bits, a.preset, a.rounding, a.policy, a.model_seed, a.seed,
           a.subset_id || '/' || b.subset_id AS subsets, a.accuracy - b.accuracy AS gain
    FROM cells AS a
    JOIN cells AS b ON b.model = a.model AND b.model_seed = a.model_seed AND b.size = a.size
                   AND b.seed = a.seed AND b.bits IS NOT DISTINCT FROM a.bits
                   AND b.preset = a.preset AND b.policy = a.policy
    WHERE b.rounding = $reference AND a.rounding <> $reference
),
counted AS (
    SELECT model, size, bits, preset, rounding, policy, count(*) AS pairs,
           count(*) FILTER (gain > 0) AS wins, count(DISTINCT model_seed) AS models
    FROM (SELECT DISTINCT * EXCLUDE (seed) FROM paired)
    GROUP BY ALL
),
per_seed AS (
    SELECT model, size, bits, preset, rounding, policy, seed,
           list_sort(list_distinct(list(subsets))) AS subsets,
           avg(gain ORDER BY model_seed) AS gain
    FROM paired
    GROUP BY ALL
),
draw AS (  -- seeds that compare the same subsets are one draw
    SELECT model, size, bits, preset, rounding, policy, subsets, avg(gain ORDER BY seed) AS gain
    FROM per_seed
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, rounding, policy, count(*) AS draws,
           round(avg(gain ORDER BY subsets), 12) AS gain,
           stddev_samp(gain ORDER BY subsets) / sqrt(count(*)) AS error
    FROM draw
    GROUP BY ALL
)
SELECT g.model, g.size, g.bits, g.preset, g.rounding, g.policy, g.gain,
       CASE WHEN g.draws >= 2 THEN g.gain - coalesce(q.t, 1.96) * g.error END AS ci_low,
       CASE WHEN g.draws >= 2 THEN g.gain + coalesce(q.t, 1.96) * g.error END AS ci_high,
       g.draws, c.wins, c.pairs, c.models, ci_high < 0 AS hurts
FROM grouped AS g
JOIN counted AS c ON c.model = g.model AND c.size = g.size AND c.bits IS NOT DISTINCT FROM g.bits
                 AND c.preset = g.preset AND c.rounding = g.rounding AND c.policy = g.policy
LEFT JOIN t_quantiles AS q ON q.df = g.draws - 1 AND q.level = 0.95
ORDER BY g.gain, g.model, g.size, g.bits, g.preset, g.rounding, g.policy
