-- budget: How many calibration documents are enough?
--
-- Each subset size against the largest of the study, with the same policy, seed, float model and
-- scheme, on clean documents. A size is enough where the whole interval is above -margin. Intervals
-- are Student t at 95 % over draws (distinct subsets), float models averaged first.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   policy    VARCHAR = any       only this policy
--   model     VARCHAR = any       only this model
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
--   margin    DOUBLE = 0.005      accuracy that may be lost against the largest size
-- Columns:
--   model, policy, bits, preset, rounding, size  what was quantized, with how many documents
--   accuracy, ci_low, ci_high  mean over draws with its interval, in [0, 1]
--   largest   the size that it is held against
--   gain, gain_low, gain_high  accuracy - that at the largest size; NULL at the largest itself
--   enough    whether gain_low is above -margin; NULL where there is no interval
--   draws, models  distinct subsets, float models
-- Plot: curves x=size y=accuracy line=policy low=ci_low high=ci_high panel=model,bits,preset,rounding x_unit=number
-- Title: Accuracy by number of calibration documents
-- Empty: no policy of this recipe is measured at two subset sizes
WITH cells AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.size, r.seed, r.bits, named.preset,
           r.rounding, r.scheme_id, r.subset_id, r.accuracy
    FROM results AS r
    JOIN core.presets AS named ON named.recipe = r.recipe AND named.scheme_id = r.scheme_id
    WHERE r.recipe = $recipe
      AND r.policy = coalesce($policy, r.policy)
      AND r.model = coalesce($model, r.model)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND r.noise_kind = 'none'
),
sizes AS (
    SELECT model, policy, scheme_id, max(size) AS largest
    FROM cells
    GROUP BY ALL
    HAVING count(DISTINCT size) > 1
),
seeds AS (
    SELECT a.model, a.policy, a.bits, a.preset, a.rounding, a.scheme_id, a.size, sizes.largest,
           a.seed, list_sort(list_distinct(list(a.subset_id))) AS subsets,
           list_distinct(list(a.model_seed)) AS model_seeds,
           avg(a.accuracy ORDER BY a.model_seed) AS accuracy,
           avg(a.accuracy - b.accuracy ORDER BY a.model_seed) AS gain
    FROM cells AS a
    JOIN sizes ON sizes.model = a.model AND sizes.policy = a.policy
              AND sizes.scheme_id = a.scheme_id
    LEFT JOIN cells AS b
      ON b.size = sizes.largest AND a.size <> sizes.largest AND b.model = a.model
     AND b.model_seed = a.model_seed AND b.policy = a.policy AND b.scheme_id = a.scheme_id
     AND b.seed = a.seed
    GROUP BY ALL
),
draw AS (  -- seeds that gave the same subsets are one draw
    SELECT model, policy, bits, preset, rounding, scheme_id, size, largest, subsets,
           list_distinct(flatten(list(model_seeds))) AS model_seeds,
           avg(accuracy ORDER BY seed) AS accuracy, avg(gain ORDER BY seed) AS gain
    FROM seeds
    GROUP BY ALL
),
grouped AS (
    SELECT model, policy, bits, preset, rounding, scheme_id, size, largest, count(*) AS draws,
           len(list_distinct(flatten(list(model_seeds)))) AS models,
           avg(accuracy ORDER BY subsets) AS accuracy,
           stddev_samp(accuracy ORDER BY subsets) / sqrt(count(*)) AS error,
           round(avg(gain ORDER BY subsets), 12) AS gain, count(gain) AS pairs,
           stddev_samp(gain ORDER BY subsets) / sqrt(count(gain)) AS gain_error
    FROM draw
    GROUP BY ALL
)
SELECT model, policy, bits, preset, rounding, size, accuracy,
       CASE WHEN draws >= 2 THEN accuracy - coalesce(q.t, 1.96) * error END AS ci_low,
       CASE WHEN draws >= 2 THEN accuracy + coalesce(q.t, 1.96) * error END AS ci_high,
       largest, gain,
       CASE WHEN pairs >= 2 THEN gain - coalesce(s.t, 1.96) * gain_error END AS gain_low,
       CASE WHEN pairs >= 2 THEN gain + coalesce(s.t, 1.96) * gain_error END AS gain_high,
       gain_low > -$margin AS enough, draws, models
FROM grouped
LEFT JOIN t_quantiles AS q ON q.df = draws - 1 AND q.level = 0.95
LEFT JOIN t_quantiles AS s ON s.df = pairs - 1 AND s.level = 0.95
ORDER BY model, policy, bits DESC, preset, rounding, scheme_id, size
