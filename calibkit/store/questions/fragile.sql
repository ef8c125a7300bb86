-- fragile: With which policies does the quantized model lose most under noise?
--
-- What noise on the test documents takes from the accuracy of the same cell, and how much more that
-- is than with random documents of the same size, seed, float model and scheme. Intervals are
-- Student t at 95 % over draws (distinct subsets), float models averaged first. What the float
-- model itself loses stands beside it; whether quantization adds to it is what `interaction` asks.
-- A network that is dead on clean documents loses nothing more under noise: read accuracy as well.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   against   VARCHAR = baseline  the policy to hold it against: the recipe's random one
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
--   noise     DOUBLE = any         noise level; any: the highest of each kind
--   top       INTEGER = 20        so many rows
-- Columns:
--   model, size, bits, preset, rounding, policy  what was quantized, and how
--   noise_kind, noise  which noise, and the share of characters or words that it hits
--   accuracy  under noise, mean over draws, in [0, 1]
--   noise_drop, drop_low, drop_high  clean accuracy - accuracy under noise; positive = worse
--   float_drop  the same of the float model
--   more, more_low, more_high  noise_drop - that of the policy to hold it against, paired; positive
--             = more fragile; NULL for that policy itself
--   draws, models  distinct subsets, float models
-- Plot: intervals label=policy value=more low=more_low high=more_high panel=model,size,bits,preset,rounding,noise_kind,noise set=top:100000 better=more_fragile worse=less_fragile
-- Title: Accuracy lost to noise, more than with random documents
-- Empty: this recipe measures no noise, or nothing of it yet
WITH levels AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.size, r.seed, r.bits, named.preset,
           r.rounding, r.scheme_id, r.subset_id, r.noise_kind, r.noise, r.accuracy, r.noise_drop,
           f.noise_drop AS float_drop
    FROM results AS r
    JOIN core.presets AS named ON named.recipe = r.recipe AND named.scheme_id = r.scheme_id
    LEFT JOIN baselines AS f
      ON f.recipe = r.recipe AND f.model = r.model AND f.model_seed = r.model_seed
     AND f.stage = 'float' AND f.noise_kind = r.noise_kind AND f.noise = r.noise
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND r.noise_kind <> 'none'
    QUALIFY r.noise = coalesce($noise, max(r.noise) OVER (PARTITION BY r.noise_kind))
),
seeds AS (
    SELECT a.model, a.size, a.bits, a.preset, a.rounding, a.scheme_id, a.policy, a.noise_kind,
           a.noise, a.seed, list_sort(list_distinct(list(a.subset_id))) AS subsets,
           list_distinct(list(a.model_seed)) AS model_seeds,
           avg(a.accuracy ORDER BY a.model_seed) AS accuracy,
           avg(a.noise_drop ORDER BY a.model_seed) AS noise_drop,
           avg(a.float_drop ORDER BY a.model_seed) AS float_drop,
           avg(a.noise_drop - b.noise_drop ORDER BY a.model_seed)
               FILTER (a.policy <> $against) AS more
    FROM levels AS a
    LEFT JOIN levels AS b
      ON b.policy = $against AND b.model = a.model AND b.model_seed = a.model_seed
     AND b.size = a.size AND b.seed = a.seed AND b.scheme_id = a.scheme_id
     AND b.noise_kind = a.noise_kind AND b.noise = a.noise
    GROUP BY ALL
),
draw AS (  -- seeds that gave the same subsets are one draw
    SELECT model, size, bits, preset, rounding, scheme_id, policy, noise_kind, noise, subsets,
           list_distinct(flatten(list(model_seeds))) AS model_seeds,
           avg(accuracy ORDER BY seed) AS accuracy, avg(noise_drop ORDER BY seed) AS noise_drop,
           avg(float_drop ORDER BY seed) AS float_drop, avg(more ORDER BY seed) AS more
    FROM seeds
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, rounding, scheme_id, policy, noise_kind, noise,
           count(*) AS draws, len(list_distinct(flatten(list(model_seeds)))) AS models,
           avg(accuracy ORDER BY subsets) AS accuracy,
           round(avg(noise_drop ORDER BY subsets), 12) AS noise_drop,
           stddev_samp(noise_drop ORDER BY subsets) / sqrt(count(*)) AS error,
           round(avg(float_drop ORDER BY subsets), 12) AS float_drop,
           round(avg(more ORDER BY subsets), 12) AS more, count(more) AS pairs,
           stddev_samp(more ORDER BY subsets) / sqrt(count(more)) AS more_error
    FROM draw
    GROUP BY ALL
)
SELECT model, size, bits, preset, rounding, policy, noise_kind, noise, accuracy, noise_drop,
       CASE WHEN draws >= 2 THEN noise_drop - coalesce(q.t, 1.96) * error END AS drop_low,
       CASE WHEN draws >= 2 THEN noise_drop + coalesce(q.t, 1.96) * error END AS drop_high,
       float_drop, more,
       CASE WHEN pairs >= 2 THEN more - coalesce(s.t, 1.96) * more_error END AS more_low,
       CASE WHEN pairs >= 2 THEN more + coalesce(s.t, 1.96) * more_error END AS more_high,
       draws, models
FROM grouped
LEFT JOIN t_quantiles AS q ON q.df = draws - 1 AND q.level = 0.95
LEFT JOIN t_quantiles AS s ON s.df = pairs - 1 AND s.level = 0.95
ORDER BY noise_drop DESC, model, size, bits, preset, rounding, scheme_id, policy, noise_kind
LIMIT $top
