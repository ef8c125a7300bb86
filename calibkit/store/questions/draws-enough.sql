-- draws-enough: Are there draws enough to see a difference from random documents?
--
-- For each policy, the difference in accuracy that its paired draws would find with a chance of 80
-- % (two-sided at 5 %), and how many draws would find `difference`. Both from the spread of the
-- paired differences at hand: (t at 97.5 % + t at 80 %) x standard error, an approximation of the
-- noncentral t that is good to a few per cent from three draws on. The exact sign-flip test needs
-- six draws at the least, and more where several rows are judged together.
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
--   difference  DOUBLE = 0.005    the difference in accuracy that should be found
-- Columns:
--   model, size, bits, preset, rounding, policy  which comparison
--   draws     distinct paired draws so far
--   gain, ci_low, ci_high  mean difference in accuracy with its interval; positive = better
--   sd        standard deviation of the paired differences over draws
--   detectable  difference that these draws find with a chance of 80 %
--   needed    draws that would find `difference`; NULL above 1,000
--   enough    whether there are as many
-- Plot: bars label=policy value=detectable panel=model,size,bits,preset,rounding unit=points
-- Title: Difference in accuracy that the draws would find
-- Empty: no policy has two draws with the same seeds as the one to hold it against
WITH cells AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.size, r.seed, r.bits, named.preset,
           r.rounding, r.scheme_id, r.subset_id, r.accuracy
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
per_seed AS (
    SELECT a.model, a.size, a.bits, a.preset, a.rounding, a.scheme_id, a.policy, a.seed,
           list_sort(list_distinct(list(a.subset_id || '/' || b.subset_id))) AS subsets,
           avg(a.accuracy - b.accuracy ORDER BY a.model_seed) AS gain
    FROM cells AS a
    JOIN cells AS b ON b.model = a.model AND b.model_seed = a.model_seed AND b.size = a.size
                   AND b.seed = a.seed AND b.scheme_id = a.scheme_id
    WHERE b.policy = $against AND a.policy <> $against AND a.policy = coalesce($policy, a.policy)
    GROUP BY ALL
),
draw AS (  -- seeds that compare the same subsets are one draw
    SELECT model, size, bits, preset, rounding, scheme_id, policy, subsets,
           avg(gain ORDER BY seed) AS gain
    FROM per_seed
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, rounding, scheme_id, policy, count(*) AS draws,
           round(avg(gain ORDER BY subsets), 12) AS gain,
           round(stddev_samp(gain ORDER BY subsets), 12) AS sd
    FROM draw
    GROUP BY ALL
    HAVING count(*) > 1
),
power AS (  -- t at 80 %, expanded around the normal quantile z (Cornish and Fisher, 1938)
    SELECT df + 1 AS draws, t,
           z + (z ** 3 + z) / (4 * df) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * df ** 2)
             + (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * df ** 3) AS t80
    FROM t_quantiles, (SELECT 0.8416212 AS z)
    WHERE level = 0.95
),
needs AS (
    SELECT g.model, g.size, g.scheme_id, g.policy, min(power.draws) AS needed
    FROM grouped AS g
    JOIN power ON (power.t + power.t80) * g.sd / sqrt(power.draws) <= $difference
    WHERE power.draws >= 6
    GROUP BY ALL
)
SELECT g.model, g.size, g.bits, g.preset, g.rounding, g.policy, g.draws, g.gain,
       g.gain - power.t * g.sd / sqrt(g.draws) AS ci_low,
       g.gain + power.t * g.sd / sqrt(g.draws) AS ci_high, g.sd,
       (power.t + power.t80) * g.sd / sqrt(g.draws) AS detectable, needs.needed,
       coalesce(g.draws >= needs.needed, false) AS enough
FROM grouped AS g
JOIN power ON power.draws = g.draws
LEFT JOIN needs ON needs.model = g.model AND needs.size = g.size
               AND needs.scheme_id = g.scheme_id AND needs.policy = g.policy
ORDER BY g.model, g.size, g.bits DESC, g.preset, g.rounding, g.scheme_id, detectable DESC, g.policy
