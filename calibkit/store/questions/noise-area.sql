-- noise-area: Over all noise levels together, which policies keep most accuracy?
--
-- The area under the curve of accuracy over noise levels, from clean to the highest, divided by
-- that range: the mean accuracy if every level were as likely. Beside it the gain over random
-- documents of the same size, seed, float model and scheme. Intervals are Student t at 95 % over
-- draws (distinct subsets), float models averaged first.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   against   VARCHAR = baseline  the policy to hold it against: the recipe's random one
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
-- Columns:
--   model, size, bits, preset, rounding, noise_kind, policy  what was measured
--   levels, most  noise levels with the clean one, and the highest
--   area, area_low, area_high  mean accuracy over the levels, in [0, 1]
--   float_area  the same of the float model
--   gain, ci_low, ci_high  area - that of the policy to hold it against, paired; positive = better
--   draws, models  distinct subsets, float models
-- Plot: intervals label=policy value=gain low=ci_low high=ci_high panel=model,size,bits,preset,rounding,noise_kind
-- Title: Gain over random documents in accuracy over all noise levels
-- Empty: this recipe measures no noise, or nothing of it yet
WITH kinds AS (
    SELECT DISTINCT noise_kind FROM results WHERE recipe = $recipe AND noise_kind <> 'none'
),
points AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.size, r.seed, r.bits, named.preset,
           r.rounding, r.scheme_id, r.subset_id, kinds.noise_kind, r.noise, r.accuracy,
           r.float_accuracy
    FROM results AS r
    JOIN core.presets AS named ON named.recipe = r.recipe AND named.scheme_id = r.scheme_id
    JOIN kinds ON r.noise_kind IN ('none', kinds.noise_kind)
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
),
strips AS (
    SELECT *, lead(noise) OVER next - noise AS width,
           (accuracy + lead(accuracy) OVER next) / 2 AS height,
           (float_accuracy + lead(float_accuracy) OVER next) / 2 AS float_height
    FROM points
    WINDOW next AS (PARTITION BY model, model_seed, policy, size, seed, scheme_id, noise_kind
                    ORDER BY noise)
),
curves AS (
    SELECT model, model_seed, policy, size, seed, bits, preset, rounding, scheme_id, subset_id,
           noise_kind, count(*) AS levels, max(noise) AS most,
           sum(width * height ORDER BY noise) / sum(width ORDER BY noise) AS area,
           sum(width * float_height ORDER BY noise) / sum(width ORDER BY noise) AS float_area
    FROM strips
    GROUP BY ALL
    HAVING count(*) > 1
),
cells AS (  -- curves of the same levels, so that areas can be compared
    SELECT * FROM curves QUALIFY levels = max(levels) OVER (PARTITION BY noise_kind)
),
seeds AS (
    SELECT a.model, a.size, a.bits, a.preset, a.rounding, a.scheme_id, a.noise_kind, a.policy,
           a.levels, a.most, a.seed, list_sort(list_distinct(list(a.subset_id))) AS subsets,
           list_distinct(list(a.model_seed)) AS model_seeds,
           avg(a.area ORDER BY a.model_seed) AS area,
           avg(a.float_area ORDER BY a.model_seed) AS float_area,
           avg(a.area - b.area ORDER BY a.model_seed) FILTER (a.policy <> $against) AS gain
    FROM cells AS a
    LEFT JOIN cells AS b
      ON b.policy = $against AND b.model = a.model AND b.model_seed = a.model_seed
     AND b.size = a.size AND b.seed = a.seed AND b.scheme_id = a.scheme_id
     AND b.noise_kind = a.noise_kind
    GROUP BY ALL
),
draw AS (  -- seeds that gave the same subsets are one draw
    SELECT model, size, bits, preset, rounding, scheme_id, noise_kind, policy, levels, most,
           subsets, list_distinct(flatten(list(model_seeds))) AS model_seeds,
           avg(area ORDER BY seed) AS area, avg(float_area ORDER BY seed) AS float_area,
           avg(gain ORDER BY seed) AS gain
    FROM seeds
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, rounding, scheme_id, noise_kind, policy, levels, most,
           count(*) AS draws, len(list_distinct(flatten(list(model_seeds)))) AS models,
           avg(area ORDER BY subsets) AS area,
           stddev_samp(area ORDER BY subsets) / sqrt(count(*)) AS error,
           avg(float_area ORDER BY subsets) AS float_area,
           round(avg(gain ORDER BY subsets), 12) AS gain, count(gain) AS pairs,
           stddev_samp(gain ORDER BY subsets) / sqrt(count(gain)) AS gain_error
    FROM draw
    GROUP BY ALL
)
SELECT model, size, bits, preset, rounding, noise_kind, policy, levels, most, area,
       CASE WHEN draws >= 2 THEN area - coalesce(q.t, 1.96) * error END AS area_low,
       CASE WHEN draws >= 2 THEN area + coalesce(q.t, 1.96) * error END AS area_high,
       float_area, gain,
       CASE WHEN pairs >= 2 THEN gain - coalesce(s.t, 1.96) * gain_error END AS ci_low,
       CASE WHEN pairs >= 2 THEN gain + coalesce(s.t, 1.96) * gain_error END AS ci_high,
       draws, models
FROM grouped
LEFT JOIN t_quantiles AS q ON q.df = draws - 1 AND q.level = 0.95
LEFT JOIN t_quantiles AS s ON s.df = pairs - 1 AND s.level = 0.95
ORDER BY model, size, noise_kind, bits DESC, preset, rounding, scheme_id, area DESC, policy
