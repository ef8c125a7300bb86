-- moves: With which policies does a site move further than with random documents?
--
-- The Kolmogorov-Smirnov distance between float and quantized values, mean over a policy's draws,
-- against the envelope of random draws of the same float model, size and scheme: from the least to
-- the most that any of them gave. What is outside of it by most comes first. Among many sites some
-- are outside by luck.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   against   VARCHAR = baseline  the policy to hold it against: the recipe's random one
--   policy    VARCHAR = any       only this policy
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
--   quantity  activations|weights = activations  of which distributions
--   top       INTEGER = 20        so many rows
-- Columns:
--   model, size, bits, preset, rounding, policy, site  where and with whose documents
--   ks        mean over draws, in [0, 1]
--   least, most  envelope of the random draws
--   beyond    how far outside of it; negative = below, 0 = inside
--   draws, random_draws  distinct subsets of either
-- Plot: shifts site=site value=ks low=least high=most panel=policy,model,size,bits,preset,rounding set=top:100000
-- Title: Shift by site against random documents
-- Empty: this recipe measures no distributions, or has no draws to hold them against
WITH shift AS (
    SELECT recipe, model, model_seed, policy, size, bits, preset, rounding, scheme_id, site, pair,
           subset_id, ks
    FROM activation_shift WHERE $quantity = 'activations'
    UNION ALL
    SELECT recipe, model, model_seed, policy, size, bits, preset, rounding, scheme_id, site, pair,
           subset_id, ks
    FROM weight_shift WHERE $quantity = 'weights'
),
draw AS (
    SELECT r.model, r.policy, r.size, r.bits, named.preset, r.rounding, r.scheme_id, r.site,
           r.subset_id, avg(r.ks ORDER BY r.model_seed) AS ks
    FROM shift AS r
    JOIN core.presets AS named ON named.recipe = r.recipe AND named.scheme_id = r.scheme_id
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND r.pair = 'float-quantized' AND r.ks IS NOT NULL
    GROUP BY ALL
),
random AS (
    SELECT model, size, scheme_id, site, min(ks) AS least, max(ks) AS most,
           count(*) AS random_draws
    FROM draw
    WHERE policy = $against
    GROUP BY ALL
    HAVING count(*) > 1
),
other AS (
    SELECT model, size, bits, preset, rounding, scheme_id, policy, site,
           avg(ks ORDER BY subset_id) AS ks, count(*) AS draws
    FROM draw
    WHERE policy <> $against AND policy = coalesce($policy, policy)
    GROUP BY ALL
)
SELECT o.model, o.size, o.bits, o.preset, o.rounding, o.policy, o.site, o.ks, r.least, r.most,
       CASE WHEN o.ks BETWEEN r.least AND r.most THEN 0
            WHEN o.ks > r.most THEN o.ks - r.most
            ELSE o.ks - r.least END AS beyond,
       o.draws, r.random_draws
FROM other AS o
JOIN random AS r ON r.model = o.model AND r.size = o.size AND r.scheme_id = o.scheme_id
                AND r.site = o.site
ORDER BY abs(beyond) DESC NULLS LAST, o.model, o.size, o.bits, o.preset, o.rounding, o.scheme_id,
         o.policy, o.site
LIMIT $top
