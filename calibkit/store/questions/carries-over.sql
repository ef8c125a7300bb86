-- carries-over: Does the ranking of policies in one setting hold in another?
--
-- Spearman's rank correlation, over policies, of their mean accuracy on clean documents in two
-- settings (model, size and scheme): 1 where both rank them alike, 0 where one says nothing about
-- the other. The interval at 95 % is by Fisher's z with the variance of Fieller, Hartley and
-- Pearson (1957). Where a setting's spread is within its noise, its ranking is luck and carries
-- nowhere.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
-- Columns:
--   setting_a, setting_b  the two: model/size/bits/preset/rounding
--   spearman, ci_low, ci_high  in [-1, 1]
--   policies  how many policies both have
--   spread_a, spread_b  best mean accuracy - worst, in each
-- Plot: heat_map x=setting_b y=setting_a value=spearman unit=number sort=setting_a,setting_b
-- Title: Rank correlation of the policies between settings
-- Empty: this recipe has no two settings with four policies in common
WITH means AS (
    SELECT r.policy, r.accuracy,
           format('{}/{}/{}/{}/{}', r.model, r.size, r.bits, r.preset, r.rounding) AS setting
    FROM summary AS r
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND list_contains(string_split(r.preset, ', '),
                        coalesce($preset, string_split(r.preset, ', ')[1]))
      AND r.noise_kind = 'none'
),
paired AS (
    SELECT a.setting AS setting_a, b.setting AS setting_b, a.policy, a.accuracy AS in_a,
           b.accuracy AS in_b
    FROM means AS a
    JOIN means AS b ON b.policy = a.policy AND b.setting > a.setting
),
ranked AS (  -- equal values get the mean of their ranks
    SELECT *,
           rank() OVER (PARTITION BY setting_a, setting_b ORDER BY round(in_a, 12))
               + (count(*) OVER (PARTITION BY setting_a, setting_b, round(in_a, 12))
                  - 1) / 2 AS of_a,
           rank() OVER (PARTITION BY setting_a, setting_b ORDER BY round(in_b, 12))
               + (count(*) OVER (PARTITION BY setting_a, setting_b, round(in_b, 12))
                  - 1) / 2 AS of_b
    FROM paired
),
found AS (
    SELECT setting_a, setting_b,
           CASE WHEN stddev_pop(of_a) > 0 AND stddev_pop(of_b) > 0
                THEN round(corr(of_a, of_b), 12) END AS spearman,
           count(*) AS policies, max(in_a) - min(in_a) AS spread_a,
           max(in_b) - min(in_b) AS spread_b
    FROM ranked
    GROUP BY ALL
    HAVING count(*) > 3
)
SELECT setting_a, setting_b, spearman,
       CASE WHEN abs(spearman) < 1
            THEN tanh(atanh(spearman) - 1.96 * sqrt(1.06 / (policies - 3))) END AS ci_low,
       CASE WHEN abs(spearman) < 1
            THEN tanh(atanh(spearman) + 1.96 * sqrt(1.06 / (policies - 3))) END AS ci_high,
       policies, spread_a, spread_b
FROM found
ORDER BY spearman DESC NULLS LAST, setting_a, setting_b
