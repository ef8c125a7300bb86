-- who-pays: Which labels pay for the quantization?
--
-- The accuracy that each label loses against the float model on clean documents, and the share of
-- all documents that is given the label. Intervals are Student t at 95 % over draws (distinct
-- subsets), float models averaged first. The label that pays most comes first.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   policy    VARCHAR = any       only this policy
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
--   top       INTEGER = 20        so many rows
-- Columns:
--   model, size, bits, preset, rounding, policy  what was quantized, and how
--   label     name of the label
--   accuracy, float_accuracy  of the documents with that label, in [0, 1]
--   accuracy_drop, ci_low, ci_high  float_accuracy - accuracy with its interval; positive = worse
--   documents  test documents with the label
--   predicted  share of all test documents that are given the label: far above its own share where
--             the network predicts little else
--   draws, models  distinct subsets, float models
-- Plot: heat_map x=label y=policy value=accuracy_drop low=ci_low high=ci_high panel=model,size,bits,preset,rounding unit=points set=top:100000
-- Title: Accuracy that each label loses
-- Empty: nothing of this recipe is measured yet
WITH cells AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.size, r.seed, r.bits, named.preset,
           r.rounding, r.scheme_id, r.subset_id, r.label, r.label_id, r.accuracy,
           r.float_accuracy, r.accuracy_drop, r.documents,
           r.predicted / sum(r.documents) OVER (PARTITION BY r.cell_id, r.policy, r.preset,
                                                r.model, r.model_seed, r.seed, r.size) AS predicted
    FROM label_results AS r
    JOIN core.presets AS named ON named.recipe = r.recipe AND named.scheme_id = r.scheme_id
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND r.policy = coalesce($policy, r.policy) AND r.noise_kind = 'none'
),
seeds AS (
    SELECT model, size, bits, preset, rounding, scheme_id, policy, label_id, label, seed,
           list_sort(list_distinct(list(subset_id))) AS subsets,
           list_distinct(list(model_seed)) AS model_seeds,
           avg(accuracy ORDER BY model_seed) AS accuracy,
           avg(float_accuracy ORDER BY model_seed) AS float_accuracy,
           avg(accuracy_drop ORDER BY model_seed) AS fall,
           avg(predicted ORDER BY model_seed) AS predicted, min(documents) AS documents
    FROM cells
    GROUP BY ALL
),
draw AS (  -- seeds that gave the same subsets are one draw
    SELECT model, size, bits, preset, rounding, scheme_id, policy, label_id, label, subsets,
           list_distinct(flatten(list(model_seeds))) AS model_seeds,
           avg(accuracy ORDER BY seed) AS accuracy,
           avg(float_accuracy ORDER BY seed) AS float_accuracy,
           avg(fall ORDER BY seed) AS fall, avg(predicted ORDER BY seed) AS predicted,
           min(documents) AS documents
    FROM seeds
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, rounding, scheme_id, policy, label_id, label,
           count(*) AS draws, len(list_distinct(flatten(list(model_seeds)))) AS models,
           avg(accuracy ORDER BY subsets) AS accuracy,
           avg(float_accuracy ORDER BY subsets) AS float_accuracy,
           round(avg(fall ORDER BY subsets), 12) AS accuracy_drop,
           stddev_samp(fall ORDER BY subsets) / sqrt(count(*)) AS error,
           avg(predicted ORDER BY subsets) AS predicted, min(documents)::BIGINT AS documents
    FROM draw
    GROUP BY ALL
)
SELECT model, size, bits, preset, rounding, policy, label, accuracy, float_accuracy, accuracy_drop,
       CASE WHEN draws >= 2 THEN accuracy_drop - coalesce(q.t, 1.96) * error END AS ci_low,
       CASE WHEN draws >= 2 THEN accuracy_drop + coalesce(q.t, 1.96) * error END AS ci_high,
       documents, predicted, draws, models
FROM grouped
LEFT JOIN t_quantiles AS q ON q.df = draws - 1 AND q.level = 0.95
ORDER BY accuracy_drop DESC NULLS LAST, model, size, bits, preset, rounding, scheme_id, policy,
         label_id
LIMIT $top
