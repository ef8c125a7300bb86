-- interaction: Does noise hurt the quantized model more than the float one?
--
-- The interaction (quantized - float) x level: the drop from the float model under noise, less the
-- same drop on clean documents. Zero where noise takes as much from both, and negative where a
-- network has little left to lose. Intervals are Student t at 95 % over draws (distinct subsets),
-- float models averaged first.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   policy    VARCHAR = baseline  whose documents: the recipe's random policy, or its first
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
-- Columns:
--   model, policy, size, bits, preset, rounding  what was quantized, and how
--   noise_kind, noise  which noise, and the share of characters or words that it hits
--   excess    accuracy that noise takes from the quantized model more than from the float one
--   ci_low, ci_high  its interval; NULL with one draw
--   noise_drop, float_drop  what noise takes from each; excess = noise_drop - float_drop
--   draws, models  distinct subsets, float models
-- Plot: intervals label=bits,preset,rounding value=excess low=ci_low high=ci_high panel=model,policy,size,noise_kind,noise better=noise_hurts_the_quantized_model_more worse=less
-- Title: Accuracy that noise takes from the quantized model more than from the float one
-- Empty: this recipe measures no noise, or nothing of it yet
WITH cells AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.size, r.seed, r.bits, named.preset,
           r.rounding, r.scheme_id, r.subset_id, r.noise_kind, r.noise, r.noise_drop,
           f.noise_drop AS float_drop
    FROM results AS r
    JOIN core.presets AS named ON named.recipe = r.recipe AND named.scheme_id = r.scheme_id
    JOIN baselines AS f
      ON f.recipe = r.recipe AND f.model = r.model AND f.model_seed = r.model_seed
     AND f.stage = 'float' AND f.noise_kind = r.noise_kind AND f.noise = r.noise
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND r.noise_kind <> 'none' AND r.policy = $policy
),
seeds AS (
    SELECT model, policy, size, bits, preset, rounding, scheme_id, noise_kind, noise, seed,
           list_sort(list_distinct(list(subset_id))) AS subsets,
           list_distinct(list(model_seed)) AS model_seeds,
           avg(noise_drop - float_drop ORDER BY model_seed) AS excess,
           avg(noise_drop ORDER BY model_seed) AS noise_drop,
           avg(float_drop ORDER BY model_seed) AS float_drop
    FROM cells
    GROUP BY ALL
),
draw AS (  -- seeds that gave the same subsets are one draw
    SELECT model, policy, size, bits, preset, rounding, scheme_id, noise_kind, noise, subsets,
           list_distinct(flatten(list(model_seeds))) AS model_seeds,
           avg(excess ORDER BY seed) AS excess, avg(noise_drop ORDER BY seed) AS noise_drop,
           avg(float_drop ORDER BY seed) AS float_drop
    FROM seeds
    GROUP BY ALL
),
grouped AS (
    SELECT model, policy, size, bits, preset, rounding, scheme_id, noise_kind, noise,
           count(*) AS draws, len(list_distinct(flatten(list(model_seeds)))) AS models,
           round(avg(excess ORDER BY subsets), 12) AS excess,
           stddev_samp(excess ORDER BY subsets) / sqrt(count(*)) AS error,
           round(avg(noise_drop ORDER BY subsets), 12) AS noise_drop,
           round(avg(float_drop ORDER BY subsets), 12) AS float_drop
    FROM draw
    GROUP BY ALL
)
SELECT model, policy, size, bits, preset, rounding, noise_kind, noise, excess,
       CASE WHEN draws >= 2 THEN excess - coalesce(q.t, 1.96) * error END AS ci_low,
       CASE WHEN draws >= 2 THEN excess + coalesce(q.t, 1.96) * error END AS ci_high,
       noise_drop, float_drop, draws, models
FROM grouped
LEFT JOIN t_quantiles AS q ON q.df = draws - 1 AND q.level = 0.95
ORDER BY model, size, noise_kind, noise, bits DESC, preset, rounding, scheme_id
