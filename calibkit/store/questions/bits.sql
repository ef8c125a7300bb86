-- bits: What does each bit width cost?
--
-- Accuracy on clean documents at every width, the drop from the float model, and the step from the
-- next wider width of the same preset and rounding, paired draw by draw. Intervals are Student t at
-- 95 % over draws (distinct subsets), float models averaged first.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   policy    VARCHAR = baseline  whose documents: the recipe's random policy, or its first
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
-- Columns:
--   model, policy, size, preset, rounding, bits  what was quantized, and how
--   accuracy, ci_low, ci_high  mean over draws with its interval, in [0, 1]
--   accuracy_drop, drop_low, drop_high  float accuracy - accuracy; positive = worse
--   from_bits  the next wider width; NULL at the widest
--   step, step_low, step_high  accuracy lost against that width; positive = worse
--   nll_rise  rise of the loss per document over the float model (nats)
--   flagged   share of cells with a sign that the network no longer works
--   draws, models  distinct subsets, float models
-- Plot: curves x=bits y=accuracy line=preset,rounding low=ci_low high=ci_high panel=model,policy,size x_unit=number
-- Title: Accuracy by bit width
-- Empty: nothing of this recipe and policy is measured yet
WITH cells AS (
    SELECT r.*, r.nll - r.float_nll AS nll_rise, (r.flags <> '')::INTEGER AS flagged
    FROM results AS r
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND r.noise_kind = 'none' AND r.policy = $policy
),
widths AS (
    SELECT *, lead(bits) OVER (PARTITION BY model, size, preset, rounding ORDER BY bits)
        AS from_bits
    FROM (SELECT DISTINCT model, size, preset, rounding, bits FROM cells)
),
seeds AS (
    SELECT c.model, c.policy, c.size, c.preset, c.rounding, c.bits, w.from_bits, c.seed,
           list_sort(list_distinct(list(c.subset_id))) AS subsets,
           list_distinct(list(c.model_seed)) AS model_seeds,
           avg(c.accuracy ORDER BY c.model_seed) AS accuracy,
           avg(c.accuracy_drop ORDER BY c.model_seed) AS accuracy_drop,
           avg(wider.accuracy - c.accuracy ORDER BY c.model_seed) AS step,
           avg(c.nll_rise ORDER BY c.model_seed) AS nll_rise, avg(c.flagged) AS flagged
    FROM cells AS c
    JOIN widths AS w USING (model, size, preset, rounding, bits)
    LEFT JOIN cells AS wider
      ON wider.model = c.model AND wider.model_seed = c.model_seed AND wider.size = c.size
     AND wider.seed = c.seed AND wider.preset = c.preset AND wider.rounding = c.rounding
     AND wider.bits = w.from_bits
    GROUP BY ALL
),
draw AS (  -- seeds that gave the same subsets are one draw
    SELECT model, policy, size, preset, rounding, bits, from_bits, subsets,
           list_distinct(flatten(list(model_seeds))) AS model_seeds,
           avg(accuracy ORDER BY seed) AS accuracy, avg(accuracy_drop ORDER BY seed) AS fall,
           avg(step ORDER BY seed) AS step, avg(nll_rise ORDER BY seed) AS nll_rise,
           avg(flagged) AS flagged
    FROM seeds
    GROUP BY ALL
),
grouped AS (
    SELECT model, policy, size, preset, rounding, bits, from_bits, count(*) AS draws,
           len(list_distinct(flatten(list(model_seeds)))) AS models,
           avg(accuracy ORDER BY subsets) AS accuracy,
           stddev_samp(accuracy ORDER BY subsets) / sqrt(count(*)) AS error,
           round(avg(fall ORDER BY subsets), 12) AS fall,
           stddev_samp(fall ORDER BY subsets) / sqrt(count(*)) AS fall_error,
           round(avg(step ORDER BY subsets), 12) AS step, count(step) AS steps,
           stddev_samp(step ORDER BY subsets) / sqrt(count(step)) AS step_error,
           avg(nll_rise ORDER BY subsets) AS nll_rise, avg(flagged ORDER BY subsets) AS flagged
    FROM draw
    GROUP BY ALL
)
SELECT model, policy, size, preset, rounding, bits, accuracy,
       CASE WHEN draws >= 2 THEN accuracy - coalesce(q.t, 1.96) * error END AS ci_low,
       CASE WHEN draws >= 2 THEN accuracy + coalesce(q.t, 1.96) * error END AS ci_high,
       fall AS accuracy_drop,
       CASE WHEN draws >= 2 THEN fall - coalesce(q.t, 1.96) * fall_error END AS drop_low,
       CASE WHEN draws >= 2 THEN fall + coalesce(q.t, 1.96) * fall_error END AS drop_high,
       from_bits, step,
       CASE WHEN steps >= 2 THEN step - coalesce(s.t, 1.96) * step_error END AS step_low,
       CASE WHEN steps >= 2 THEN step + coalesce(s.t, 1.96) * step_error END AS step_high,
       nll_rise, flagged, draws, models
FROM grouped
LEFT JOIN t_quantiles AS q ON q.df = draws - 1 AND q.level = 0.95
LEFT JOIN t_quantiles AS s ON s.df = steps - 1 AND s.level = 0.95
ORDER BY model, size, preset, rounding, bits DESC
