-- ks-predicts: Does a shift of distributions predict what quantization costs?
--
-- Spearman's rank correlation, over subsets, of the Kolmogorov-Smirnov distance between float and
-- quantized with the drop in accuracy on clean documents: positive where subsets that move
-- distributions more cost more. One model, size and scheme at a time, float models averaged first.
-- The interval at 95 % is by Fisher's z with the variance of Fieller, Hartley and Pearson (1957),
-- as if subsets were independent; those of one policy are alike, so that it is too narrow.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
-- Columns:
--   model, size, bits, preset, rounding  which cells
--   measure   weights, activations or token-nll: the mean KS distance over sites
--   spearman, ci_low, ci_high  in [-1, 1]; NULL where either never varies
--   subsets   distinct subsets
--   ks_least, ks_most, drop_least, drop_most  what was correlated: its range
-- Plot: intervals label=measure value=spearman low=ci_low high=ci_high panel=model,size,bits,preset,rounding unit=number better=more_shift_costs_more worse=more_shift_costs_less
-- Title: Rank correlation of the shift with the drop in accuracy
-- Empty: this recipe measures no distributions, or has fewer than four subsets of one size
WITH cells AS (
    SELECT DISTINCT r.model, r.model_seed, r.size, r.bits, named.preset, r.rounding, r.scheme_id,
           r.subset_id, r.accuracy_drop, r.ks_weights, r.ks_activations, r.ks_token_nll
    FROM results AS r
    JOIN core.presets AS named ON named.recipe = r.recipe AND named.scheme_id = r.scheme_id
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND r.noise_kind = 'none'
),
subset AS (
    SELECT model, size, bits, preset, rounding, scheme_id, subset_id,
           avg(accuracy_drop ORDER BY model_seed) AS fall,
           avg(ks_weights ORDER BY model_seed) AS weights,
           avg(ks_activations ORDER BY model_seed) AS activations,
           avg(ks_token_nll ORDER BY model_seed) AS "token-nll"
    FROM cells
    GROUP BY ALL
),
long AS (
    UNPIVOT subset ON weights, activations, "token-nll" INTO NAME measure VALUE ks
),
ranked AS (  -- equal values get the mean of their ranks
    SELECT *,
           rank() OVER (PARTITION BY model, size, scheme_id, measure ORDER BY round(ks, 12))
               + (count(*) OVER (PARTITION BY model, size, scheme_id, measure, round(ks, 12))
                  - 1) / 2 AS of_ks,
           rank() OVER (PARTITION BY model, size, scheme_id, measure ORDER BY round(fall, 12))
               + (count(*) OVER (PARTITION BY model, size, scheme_id, measure, round(fall, 12))
                  - 1) / 2 AS of_fall
    FROM long
),
found AS (
    SELECT model, size, bits, preset, rounding, scheme_id, measure,
           CASE WHEN stddev_pop(of_ks) > 0 AND stddev_pop(of_fall) > 0
                THEN round(corr(of_ks, of_fall), 12) END AS spearman,
           count(*) AS subsets, min(ks) AS ks_least, max(ks) AS ks_most,
           min(fall) AS drop_least, max(fall) AS drop_most
    FROM ranked
    GROUP BY ALL
    HAVING count(*) > 3
)
SELECT model, size, bits, preset, rounding, measure, spearman,
       CASE WHEN abs(spearman) < 1
            THEN tanh(atanh(spearman) - 1.96 * sqrt(1.06 / (subsets - 3))) END AS ci_low,
       CASE WHEN abs(spearman) < 1
            THEN tanh(atanh(spearman) + 1.96 * sqrt(1.06 / (subsets - 3))) END AS ci_high,
       subsets, ks_least, ks_most, drop_least, drop_most
FROM found
ORDER BY model, size, bits DESC, preset, rounding, scheme_id, measure
