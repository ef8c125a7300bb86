-- card-predicts: Which line of a subset's card predicts what quantization costs?
--
-- Spearman's rank correlation, over subsets, of each metric of the coverage card with the drop in
-- accuracy on clean documents: positive where subsets with more of it cost more. One model, size
-- and scheme at a time, float models averaged first. The interval at 95 % is by Fisher's z with the
-- variance of Fieller, Hartley and Pearson (1957), as if subsets were independent; those of one
-- policy are alike, so that it is too narrow, and of 20 metrics one is outside of 0 by chance.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
--   top       INTEGER = 20        so many rows
-- Columns:
--   model, size, bits, preset, rounding  which cells
--   metric    line of the card; a column of the view coverage_cards
--   spearman, ci_low, ci_high  in [-1, 1]; what is farthest from 0 comes first
--   subsets   distinct subsets
--   drop_least, drop_most  the range of the drop; where it is narrow there is nothing to predict
-- Plot: intervals label=metric value=spearman low=ci_low high=ci_high panel=model,size,bits,preset,rounding unit=number set=top:100000 better=more_of_it_costs_more worse=more_of_it_costs_less
-- Title: Rank correlation of the card with the drop in accuracy
-- Empty: no subset of this recipe has a card (`measure: {card: ...}` in the recipe makes them)
WITH subset AS (
    SELECT r.model, r.size, r.bits, named.preset, r.rounding, r.scheme_id, r.metric, r.subset_id,
           avg(r.value ORDER BY r.model_seed) AS value,
           avg(r.accuracy_drop ORDER BY r.model_seed) AS fall
    FROM card_vs_drop AS r
    JOIN core.presets AS named ON named.recipe = r.recipe AND named.scheme_id = r.scheme_id
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND r.value IS NOT NULL
    GROUP BY ALL
),
ranked AS (  -- equal values get the mean of their ranks
    SELECT *,
           rank() OVER (PARTITION BY model, size, scheme_id, metric ORDER BY round(value, 12))
               + (count(*) OVER (PARTITION BY model, size, scheme_id, metric, round(value, 12))
                  - 1) / 2 AS of_value,
           rank() OVER (PARTITION BY model, size, scheme_id, metric ORDER BY round(fall, 12))
               + (count(*) OVER (PARTITION BY model, size, scheme_id, metric, round(fall, 12))
                  - 1) / 2 AS of_fall
    FROM subset
),
found AS (
    SELECT model, size, bits, preset, rounding, scheme_id, metric,
           CASE WHEN stddev_pop(of_value) > 0 AND stddev_pop(of_fall) > 0
                THEN round(corr(of_value, of_fall), 12) END AS spearman,
           count(*) AS subsets, min(fall) AS drop_least, max(fall) AS drop_most
    FROM ranked
    GROUP BY ALL
    HAVING count(*) > 3
)
SELECT model, size, bits, preset, rounding, metric, spearman,
       CASE WHEN abs(spearman) < 1
            THEN tanh(atanh(spearman) - 1.96 * sqrt(1.06 / (subsets - 3))) END AS ci_low,
       CASE WHEN abs(spearman) < 1
            THEN tanh(atanh(spearman) + 1.96 * sqrt(1.06 / (subsets - 3))) END AS ci_high,
       subsets, drop_least, drop_most
FROM found
WHERE spearman IS NOT NULL
ORDER BY abs(spearman) DESC, model, size, bits, preset, rounding, scheme_id, metric
LIMIT $top
