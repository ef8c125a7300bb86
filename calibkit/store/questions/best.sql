-- best: Which policy is most accurate, and which cannot be told from it?
--
-- One ranking for each model, size and scheme, on clean documents. Intervals are Student t at 95 %
-- over draws (distinct subsets), float models averaged first. The first of many is first by luck
-- too, so that its lead is too large rather than too small: confirm it with new draws.
--
-- Parameters:
--   recipe    VARCHAR = latest  which study; its latest version is asked
--   model     VARCHAR = any     only this model
--   size      INTEGER = any     only this subset size (documents)
--   bits      INTEGER = any     only this bit width
--   preset    VARCHAR = any     only this preset or scheme of the recipe
--   rounding  VARCHAR = any     only this rounding
--   top       INTEGER = 5       so many policies of each ranking
-- Columns:
--   model, size, bits, preset, rounding  what is ranked
--   rank      place by mean accuracy
--   policy    the recipe's alias of the policy
--   accuracy  mean over draws, in [0, 1]
--   ci_low, ci_high  its interval; NULL with one draw
--   draws, models  distinct subsets, float models
--   behind    accuracy of the first - its own, mean over the draws that both have
--   behind_low, behind_high  its interval
--   tied      whether that interval holds 0: it cannot be told from the first
-- Plot: heat_map x=bits,preset,rounding y=policy value=accuracy low=ci_low high=ci_high panel=model,size set=top:1000
-- Title: Accuracy by policy and bits
-- Empty: nothing of this recipe is measured yet
WITH ranked AS (
    SELECT model, size, bits, preset, rounding, scheme_id, policy, accuracy, ci_low, ci_high,
           draws, models,
           row_number() OVER (PARTITION BY model, size, scheme_id
                              ORDER BY accuracy DESC, policy) AS rank
    FROM summary
    WHERE recipe = $recipe AND noise_kind = 'none'
      AND model = coalesce($model, model) AND size = coalesce($size, size)
      AND bits IS NOT DISTINCT FROM coalesce($bits, bits)
      AND rounding = coalesce($rounding, rounding)
      AND list_contains(string_split(preset, ', '),
                        coalesce($preset, string_split(preset, ', ')[1]))
),
cells AS (
    SELECT DISTINCT model, model_seed, policy, size, seed, scheme_id, subset_id, accuracy
    FROM results
    WHERE recipe = $recipe AND noise_kind = 'none'
),
paired AS (
    SELECT ranked.model, ranked.size, ranked.scheme_id, ranked.policy, b.model_seed, b.seed,
           a.subset_id || '/' || b.subset_id AS subsets, a.accuracy - b.accuracy AS behind
    FROM ranked
    JOIN ranked AS first ON first.rank = 1 AND first.model = ranked.model
                        AND first.size = ranked.size AND first.scheme_id = ranked.scheme_id
    JOIN cells AS a ON a.model = first.model AND a.size = first.size
                   AND a.scheme_id = first.scheme_id AND a.policy = first.policy
    JOIN cells AS b ON b.model = a.model AND b.size = a.size AND b.scheme_id = a.scheme_id
                   AND b.policy = ranked.policy AND b.model_seed = a.model_seed AND b.seed = a.seed
    WHERE ranked.rank > 1
),
per_seed AS (
    SELECT model, size, scheme_id, policy, seed,
           list_sort(list_distinct(list(subsets))) AS subsets,
           avg(behind ORDER BY model_seed) AS behind
    FROM paired
    GROUP BY ALL
),
draw AS (  -- seeds that compare the same subsets are one draw
    SELECT model, size, scheme_id, policy, subsets, avg(behind ORDER BY seed) AS behind
    FROM per_seed
    GROUP BY ALL
),
gap AS (
    SELECT model, size, scheme_id, policy, round(avg(behind ORDER BY subsets), 12) AS behind,
           stddev_samp(behind ORDER BY subsets) / sqrt(count(*)) AS error, count(*) AS pairs
    FROM draw
    GROUP BY ALL
)
SELECT ranked.model, ranked.size, ranked.bits, ranked.preset, ranked.rounding, ranked.rank,
       ranked.policy, ranked.accuracy, ranked.ci_low, ranked.ci_high, ranked.draws, ranked.models,
       gap.behind,
       CASE WHEN gap.pairs >= 2 THEN gap.behind - coalesce(q.t, 1.96) * gap.error END
           AS behind_low,
       CASE WHEN gap.pairs >= 2 THEN gap.behind + coalesce(q.t, 1.96) * gap.error END
           AS behind_high,
       behind_low <= 0 AS tied
FROM ranked
LEFT JOIN gap ON gap.model = ranked.model AND gap.size = ranked.size
             AND gap.scheme_id = ranked.scheme_id AND gap.policy = ranked.policy
LEFT JOIN t_quantiles AS q ON q.df = gap.pairs - 1 AND q.level = 0.95
WHERE ranked.rank <= $top
ORDER BY ranked.model, ranked.size, ranked.bits DESC, ranked.preset, ranked.rounding,
         ranked.scheme_id, ranked.rank
