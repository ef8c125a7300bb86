-- cheapest: What is the cheapest way to quantize without losing more than so much?
--
-- Everything whose drop from the float model on clean documents is at most `loss` by its mean, the
-- fewest bits first, then those that are sure, then the fewest calibration documents, then the
-- smallest drop. It is sure where the whole interval stays below the loss. Intervals are Student t
-- at 95 % over draws (distinct subsets), float models averaged first; of many candidates some stay
-- below by luck.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
--   loss      DOUBLE = 0.01       accuracy that may be lost
--   top       INTEGER = 5         so many of each model
-- Columns:
--   model, bits, size, preset, rounding, policy  how it is quantized, the cheapest first
--   seconds   mean time of a cell, evaluation included
--   accuracy  mean over draws, in [0, 1]
--   accuracy_drop, ci_low, ci_high  float accuracy - accuracy with its interval
--   sure      whether ci_high is at most the loss; NULL with one draw
--   draws, models  distinct subsets, float models
-- Plot: none
-- Title: The cheapest ways to quantize
-- Empty: nothing that is measured stays within the loss
SELECT r.model, r.bits, r.size, r.preset, r.rounding, r.policy, r.seconds, r.accuracy,
       round(r.accuracy_drop, 12) AS accuracy_drop,
       r.accuracy_drop - (r.ci_high - r.accuracy) AS ci_low,
       r.accuracy_drop + (r.ci_high - r.accuracy) AS ci_high,
       r.accuracy_drop + (r.ci_high - r.accuracy) <= $loss AS sure, r.draws, r.models
FROM summary AS r
WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.rounding = coalesce($rounding, r.rounding)
  AND list_contains(string_split(r.preset, ', '),
                    coalesce($preset, string_split(r.preset, ', ')[1]))
  AND r.noise_kind = 'none' AND r.accuracy_drop <= $loss
QUALIFY row_number() OVER (
    PARTITION BY r.model
    ORDER BY r.bits, sure DESC NULLS LAST, r.size, r.accuracy_drop, r.preset, r.rounding, r.policy
) <= $top
ORDER BY r.model, r.bits, sure DESC NULLS LAST, r.size, r.accuracy_drop, r.preset, r.rounding,
         r.policy
