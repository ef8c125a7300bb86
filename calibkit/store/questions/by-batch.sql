-- by-batch: How accurate is each method after every batch, on what comes just then?
--
-- Accuracy on the hold-out of the phase of each batch. The interval is Student t at 95 % over draws
-- (batches and first subset), float models averaged first. Trajectories on their way are shown as
-- far as they are.
--
-- Parameters:
--   recipe    VARCHAR = latest-stream  which stream recipe; its latest version is asked
--   model     VARCHAR = any     only this model
--   size      INTEGER = any     only this size of subset (documents)
--   bits      INTEGER = any     only this bit width
--   preset    VARCHAR = any     only this preset or scheme of the recipe
--   method    VARCHAR = any     only this method
-- Columns:
--   model, size, bits, preset, policy, method  whose trajectories
--   step, phase  batches gone through, and the name of the phase that the last of them is of
--   accuracy, ci_low, ci_high  mean over draws, in [0, 1], with its interval; NULL with one draw
--   float_accuracy  of the float model on the same documents
--   draws, models  draws, float models
-- Plot: curves x=step y=accuracy line=method low=ci_low high=ci_high panel=model,size,bits,preset,policy x_unit=number
-- Title: Accuracy after every batch
-- Empty: no trajectory of this recipe has gone through a batch
WITH per_seed AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, step, phase_name, seed,
           avg(accuracy ORDER BY model_seed) AS accuracy,
           avg(float_accuracy ORDER BY model_seed) AS float_accuracy,
           list(DISTINCT model_seed) AS model_seeds
    FROM stream_results
    WHERE recipe = $recipe AND model = coalesce($model, model)
      AND size = coalesce($size, size)
      AND bits IS NOT DISTINCT FROM coalesce($bits, bits)
      AND preset = coalesce($preset, preset)
      AND method = coalesce($method, method) AND is_current
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, step, phase_name,
           count(*) AS draws, len(list_distinct(flatten(list(model_seeds)))) AS models,
           avg(accuracy ORDER BY seed) AS accuracy,
           stddev_samp(accuracy ORDER BY seed) / sqrt(count(*)) AS error,
           avg(float_accuracy ORDER BY seed) AS float_accuracy
    FROM per_seed
    GROUP BY ALL
)
SELECT model, size, bits, preset, policy, method, step, phase_name AS phase, accuracy,
       accuracy - coalesce(q.t, 1.96) * error AS ci_low,
       accuracy + coalesce(q.t, 1.96) * error AS ci_high, float_accuracy, draws, models
FROM grouped
LEFT JOIN t_quantiles AS q ON q.df = draws - 1 AND q.level = 0.95
ORDER BY model, size, bits DESC, preset, scheme_id, policy, method, step
