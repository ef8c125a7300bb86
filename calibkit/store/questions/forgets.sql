-- forgets: Which methods forget earlier phases, and which carry over to later ones?
--
-- Of trajectories that have gone through all batches. Intervals are Student t at 95 % over draws
-- (batches and first subset), float models averaged first. The best of several earlier accuracies
-- is high by luck too, for every method but the frozen one, which stays as it is. A stream of one
-- phase has nothing to forget.
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
--   forgetting, forgetting_low, forgetting_high  best earlier accuracy - that after the last
--             batch, mean over phases but the last, with its interval; positive = forgotten
--   backward_transfer, backward_low, backward_high  accuracy after the last batch - that after the
--             phase's own last batch; negative = later phases cost it
--   forward_transfer, forward_low, forward_high  accuracy just before a phase began - that before
--             any batch, mean over phases but the first; positive = what came before helps
--   final_accuracy  mean over phases after the last batch, in [0, 1]
--   draws, models  draws, float models
-- Plot: intervals label=method value=forgetting low=forgetting_low high=forgetting_high panel=model,size,bits,preset,policy
-- Title: Accuracy lost on earlier phases
-- Empty: no trajectory of this recipe has gone through all batches, or the stream has one phase
WITH per_seed AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, seed,
           avg(forgetting ORDER BY model_seed) AS forgetting,
           avg(backward_transfer ORDER BY model_seed) AS backward_transfer,
           avg(forward_transfer ORDER BY model_seed) AS forward_transfer,
           avg(final_accuracy ORDER BY model_seed) AS final_accuracy,
           list(DISTINCT model_seed) AS model_seeds
    FROM stream_forgetting
    WHERE recipe = $recipe AND model = coalesce($model, model)
      AND size = coalesce($size, size)
      AND bits IS NOT DISTINCT FROM coalesce($bits, bits)
      AND preset = coalesce($preset, preset)
      AND method = coalesce($method, method) AND forgetting IS NOT NULL
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, count(*) AS draws,
           len(list_distinct(flatten(list(model_seeds)))) AS models,
           round(avg(forgetting ORDER BY seed), 12) AS forgetting,
           stddev_samp(forgetting ORDER BY seed) / sqrt(count(*)) AS forgetting_error,
           round(avg(backward_transfer ORDER BY seed), 12) AS backward_transfer,
           stddev_samp(backward_transfer ORDER BY seed) / sqrt(count(*)) AS backward_error,
           round(avg(forward_transfer ORDER BY seed), 12) AS forward_transfer,
           stddev_samp(forward_transfer ORDER BY seed) / sqrt(count(*)) AS forward_error,
           avg(final_accuracy ORDER BY seed) AS final_accuracy
    FROM per_seed
    GROUP BY ALL
)
SELECT model, size, bits, preset, policy, method,
       forgetting, forgetting - coalesce(q.t, 1.96) * forgetting_error AS forgetting_low,
       forgetting + coalesce(q.t, 1.96) * forgetting_error AS forgetting_high,
       backward_transfer, backward_transfer - coalesce(q.t, 1.96) * backward_error AS backward_low,
       backward_transfer + coalesce(q.t, 1.96) * backward_error AS backward_high,
       forward_transfer, forward_transfer - coalesce(q.t, 1.96) * forward_error AS forward_low,
       forward_transfer + coalesce(q.t, 1.96) * forward_error AS forward_high,
       final_accuracy, draws, models
FROM grouped
LEFT JOIN t_quantiles AS q ON q.df = draws - 1 AND q.level = 0.95
ORDER BY model, size, bits DESC, preset, scheme_id, policy, forgetting DESC, method
