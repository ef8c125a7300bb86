-- noise-curve: How does accuracy fall as noise grows, float against quantized?
--
-- Accuracy at every noise level, of the float model and of each bit width. The interval is Student
-- t at 95 % over draws (distinct subsets); the float model depends on no draw and has none.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   policy    VARCHAR = baseline  whose documents: the recipe's random policy, or its first
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
-- Columns:
--   model, size, policy, preset, rounding  what was quantized, and how
--   noise_kind, noise  under which noise; the clean documents stand with each kind
--   bits, line  bit width; NULL and `float` in the rows of the float model
--   accuracy, ci_low, ci_high  mean over draws with its interval, in [0, 1]
--   noise_drop  clean accuracy - accuracy under this noise; positive = worse
--   draws, models  distinct subsets, float models
-- Plot: curves x=noise y=accuracy line=line low=ci_low high=ci_high panel=model,size,policy,preset,rounding,noise_kind
-- Title: Accuracy under noise, float and quantized
-- Empty: nothing of this recipe and policy is measured yet
WITH kinds AS (
    SELECT DISTINCT noise_kind FROM results WHERE recipe = $recipe AND noise_kind <> 'none'
),
chosen AS (
    SELECT r.*
    FROM summary AS r
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND list_contains(string_split(r.preset, ', '),
                        coalesce($preset, string_split(r.preset, ', ')[1]))
      AND r.policy = $policy
),
every AS (
    SELECT model, size, policy, preset, rounding, noise_kind, noise, bits,
           format('{} bits', bits) AS line, accuracy, ci_low, ci_high, noise_drop, draws, models
    FROM chosen
    UNION ALL
    SELECT f.model, c.size, c.policy, c.preset, c.rounding, f.noise_kind, f.noise, NULL, 'float',
           avg(f.accuracy ORDER BY f.model_seed), NULL, NULL,
           avg(f.noise_drop ORDER BY f.model_seed), NULL, count(*)
    FROM baselines AS f
    JOIN (SELECT DISTINCT model, size, policy, preset, rounding FROM chosen) AS c
      ON c.model = f.model
    WHERE f.recipe = $recipe AND f.stage = 'float'
    GROUP BY f.model, c.size, c.policy, c.preset, c.rounding, f.noise_kind, f.noise
)
SELECT every.* REPLACE (coalesce(kinds.noise_kind, every.noise_kind) AS noise_kind)
FROM every
LEFT JOIN kinds ON every.noise_kind IN ('none', kinds.noise_kind)
ORDER BY model, size, policy, preset, rounding, kinds.noise_kind, bits DESC NULLS FIRST, noise
