-- sites-first: Which site moves first as bits fall?
--
-- The Kolmogorov-Smirnov distance between float and quantized values at every site and width: the
-- mean over draws, and its range over draws (the envelope). A site that reaches `limit` at a wider
-- width moves earlier; of equal ones, that with the larger distance there.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   policy    VARCHAR = baseline  whose documents: the recipe's random policy, or its first
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
--   quantity  activations|weights = activations  of which distributions
--   limit     DOUBLE = 0.1        a site has moved where the distance reaches this
-- Columns:
--   model, policy, size, preset, rounding, site  which site of which network
--   first     1 for the site that moves first, 2 for the next, ...
--   moves_at  widest bit width at which the distance reaches the limit; NULL if it never does
--   bits      bit width of this row
--   ks, least, most  mean over draws, and its range
--   wasserstein  Wasserstein-1 distance over the float standard deviation, mean over draws
--   draws     distinct subsets
-- Plot: shifts site=site series=bits value=ks low=least high=most panel=model,policy,size,preset,rounding envelope_name=least_to_most_over_draws
-- Title: Which site moves first as bits fall
-- Empty: this recipe measures no distributions, or nothing of it yet
WITH shift AS (
    SELECT recipe, model, model_seed, policy, size, preset, rounding, site, pair, bits, subset_id,
           ks, wasserstein
    FROM activation_shift WHERE $quantity = 'activations'
    UNION ALL
    SELECT recipe, model, model_seed, policy, size, preset, rounding, site, pair, bits, subset_id,
           ks, wasserstein
    FROM weight_shift WHERE $quantity = 'weights'
),
draw AS (
    SELECT r.model, r.policy, r.size, r.preset, r.rounding, r.site, r.bits, r.subset_id,
           avg(r.ks ORDER BY r.model_seed) AS ks,
           avg(r.wasserstein ORDER BY r.model_seed) AS wasserstein
    FROM shift AS r
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND r.policy = $policy AND r.pair = 'float-quantized'
    GROUP BY ALL
),
site AS (
    SELECT model, policy, size, preset, rounding, site, bits,
           avg(ks ORDER BY subset_id) AS ks, min(ks) AS least, max(ks) AS most,
           avg(wasserstein ORDER BY subset_id) AS wasserstein, count(*) AS draws
    FROM draw
    GROUP BY ALL
),
first AS (
    SELECT model, policy, size, preset, rounding, site,
           max(bits) FILTER (ks >= $limit) AS moves_at,
           arg_max(ks, bits) FILTER (ks >= $limit) AS ks_there, max(ks) AS largest
    FROM site
    GROUP BY ALL
),
placed AS (
    SELECT *, rank() OVER (PARTITION BY model, policy, size, preset, rounding
                           ORDER BY moves_at DESC NULLS LAST, ks_there DESC, largest DESC) AS first
    FROM first
)
SELECT model, policy, size, preset, rounding, site, placed.first, placed.moves_at, site.bits,
       site.ks, site.least, site.most, site.wasserstein, site.draws
FROM site
JOIN placed USING (model, policy, size, preset, rounding, site)
ORDER BY model, policy, size, preset, rounding, placed.first, site, bits DESC
