-- beats-random: Which policies are better than random documents, and which are worse?
--
-- Each policy against random draws of the same size, seed, float model and scheme, on clean
-- documents. The interval is Student t at 95 % over draws, float models averaged first; p is the
-- exact sign-flip test over draws (up to 14), adjusted for all rows together by Benjamini and
-- Hochberg (1995). With fewer than six draws p cannot reach 0.05, whatever the gain, and with six
-- it cannot hold among many rows: take more draws, or narrow the question.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   against   VARCHAR = baseline  the policy to beat: the recipe's random one
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
--   policy    VARCHAR = any       only this policy
--   margin    DOUBLE = 0.005      differences inside of +- this count as the same
-- Columns:
--   model, size, bits, preset, rounding  where the policies are compared
--   policy    the recipe's alias of the policy
--   gain      its accuracy - that of random, mean over draws; positive = better
--   ci_low, ci_high  its interval; NULL with one draw
--   draws, wins, pairs, models  distinct draws; pairs that it wins, of how many; float models
--   p, p_adjusted  two-sided; after Benjamini and Hochberg over all rows
--   floor     by how much two random draws differ on average
--   alone     of this row alone: same (interval inside the margin), better or worse (interval
--             without 0, p at most 0.05), else undecided
--   verdict   the same among all rows: better and worse need p_adjusted of at most 0.05
-- Plot: intervals label=policy value=gain low=ci_low high=ci_high floor=floor verdict=alone panel=model,size,bits,preset,rounding
-- Title: Gain in accuracy over random documents, each comparison by itself
-- Empty: no policy was measured with the same seeds as the one to beat
WITH cells AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.size, r.seed, r.bits, named.preset,
           r.rounding, r.scheme_id, r.subset_id, r.accuracy
    FROM results AS r
    JOIN core.presets AS named ON named.recipe = r.recipe AND named.scheme_id = r.scheme_id
    WHERE r.recipe = $recipe AND r.noise_kind = 'none'
      AND r.model = coalesce($model, r.model) AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
),
paired AS (
    SELECT a.model, a.size, a.bits, a.preset, a.rounding, a.scheme_id, a.policy, a.model_seed,
           a.seed, a.subset_id || '/' || b.subset_id AS subsets, a.accuracy - b.accuracy AS gain
    FROM cells AS a
    JOIN cells AS b ON b.model = a.model AND b.model_seed = a.model_seed AND b.size = a.size
                   AND b.seed = a.seed AND b.scheme_id = a.scheme_id
    WHERE b.policy = $against AND a.policy <> $against AND a.policy = coalesce($policy, a.policy)
),
counted AS (
    SELECT model, size, scheme_id, policy, count(*) AS pairs,
           count(*) FILTER (gain > 0) AS wins, count(DISTINCT model_seed) AS models
    FROM (SELECT DISTINCT * EXCLUDE (seed) FROM paired)
    GROUP BY ALL
),
per_seed AS (
    SELECT model, size, bits, preset, rounding, scheme_id, policy, seed,
           list_sort(list_distinct(list(subsets))) AS subsets,
           avg(gain ORDER BY model_seed) AS gain
    FROM paired
    GROUP BY ALL
),
draw AS (  -- seeds that compare the same subsets are one draw
    SELECT model, size, bits, preset, rounding, scheme_id, policy, subsets,
           avg(gain ORDER BY seed) AS gain
    FROM per_seed
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, rounding, scheme_id, policy,
           round(avg(gain ORDER BY subsets), 12) AS gain, list(gain ORDER BY subsets) AS gains,
           stddev_samp(gain ORDER BY subsets) / sqrt(count(*)) AS error, count(*) AS draws
    FROM draw
    GROUP BY ALL
),
flipped AS (  -- every way to flip the signs of the gains: bit i of flip is the sign of gain i
    SELECT model, size, scheme_id, policy,
           avg((abs(list_sum(list_transform(gains, lambda g, i:
               CASE WHEN (flip >> (i - 1)::BIGINT) & 1 = 1 THEN -g ELSE g END)))
               >= abs(list_sum(gains)) - 1e-12)::INTEGER) AS p
    FROM (SELECT *, unnest(range(power(2, draws)::BIGINT)) AS flip FROM grouped WHERE draws <= 14)
    GROUP BY ALL
),
random AS (
    SELECT DISTINCT model, model_seed, size, scheme_id, subset_id, accuracy
    FROM cells
    WHERE policy = $against
),
apart AS (
    SELECT a.model, a.model_seed, a.size, a.scheme_id,
           avg(abs(a.accuracy - b.accuracy) ORDER BY a.subset_id, b.subset_id) AS floor
    FROM random AS a
    JOIN random AS b ON b.model = a.model AND b.model_seed = a.model_seed AND b.size = a.size
                    AND b.scheme_id = a.scheme_id AND b.subset_id > a.subset_id
    GROUP BY ALL
),
floors AS (
    SELECT model, size, scheme_id, avg(floor ORDER BY model_seed) AS floor
    FROM apart
    GROUP BY ALL
),
judged AS (
    SELECT g.*, c.wins, c.pairs, c.models, flipped.p, floors.floor,
           CASE WHEN g.draws >= 2 THEN g.gain - coalesce(q.t, 1.96) * g.error END AS ci_low,
           CASE WHEN g.draws >= 2 THEN g.gain + coalesce(q.t, 1.96) * g.error END AS ci_high,
           row_number() OVER (ORDER BY flipped.p NULLS LAST) AS place,
           count(flipped.p) OVER () AS rows
    FROM grouped AS g
    JOIN counted AS c USING (model, size, scheme_id, policy)
    LEFT JOIN flipped USING (model, size, scheme_id, policy)
    LEFT JOIN floors USING (model, size, scheme_id)
    LEFT JOIN t_quantiles AS q ON q.df = g.draws - 1 AND q.level = 0.95
)
SELECT model, size, bits, preset, rounding, policy, gain, ci_low, ci_high, draws, wins, pairs,
       models, p,
       CASE WHEN p IS NOT NULL THEN
           least(1.0, min(p * rows / place) OVER (ORDER BY place DESC)) END AS p_adjusted,
       floor,
       CASE WHEN ci_low IS NULL THEN 'undecided'
            WHEN ci_low > -$margin AND ci_high < $margin THEN 'same'
            WHEN coalesce(p, 0) > 0.05 OR (ci_low <= 0 AND ci_high >= 0) THEN 'undecided'
            WHEN gain > 0 THEN 'better'
            ELSE 'worse' END AS alone,
       CASE WHEN alone IN ('better', 'worse') AND p_adjusted > 0.05 THEN 'undecided'
            ELSE alone END AS verdict
FROM judged
ORDER BY model, size, bits DESC, preset, rounding, scheme_id, gain DESC, policy
