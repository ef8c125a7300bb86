-- schemes: What matters more, the quantizer or the documents that calibrate it?
--
-- For each scheme the best, the worst and the mean policy on clean documents, beside the spread of
-- random draws. Where `spread` is of the size of `random_sd`, the choice of documents is noise
-- under that scheme; compare its means down the rows for what the quantizer decides. The spread of
-- many policies is positive by luck alone.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   against   VARCHAR = baseline  the policy to hold it against: the recipe's random one
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
-- Columns:
--   model, size, bits, preset, rounding  which scheme
--   policies  how many were measured
--   mean, float_accuracy  accuracy, mean over policies; that of the float model
--   best, best_accuracy, best_low, best_high  the best policy with its interval
--   worst, worst_accuracy, worst_low, worst_high  the worst one
--   spread    best_accuracy - worst_accuracy
--   random_accuracy, random_sd  of the policy to hold it against: mean and sd over draws
-- Plot: bars label=bits,preset,rounding value=spread panel=model,size unit=points
-- Title: Accuracy of the best policy less that of the worst
-- Empty: nothing of this recipe is measured yet
SELECT r.model, r.size, r.bits, r.preset, r.rounding, count(*) AS policies,
       avg(r.accuracy ORDER BY r.policy) AS mean,
       avg(r.accuracy + r.accuracy_drop ORDER BY r.policy) AS float_accuracy,
       arg_max(r.policy, r.accuracy ORDER BY r.policy) AS best,
       max(r.accuracy) AS best_accuracy,
       arg_max(r.ci_low, r.accuracy ORDER BY r.policy) AS best_low,
       arg_max(r.ci_high, r.accuracy ORDER BY r.policy) AS best_high,
       arg_min(r.policy, r.accuracy ORDER BY r.policy) AS worst,
       min(r.accuracy) AS worst_accuracy,
       arg_min(r.ci_low, r.accuracy ORDER BY r.policy) AS worst_low,
       arg_min(r.ci_high, r.accuracy ORDER BY r.policy) AS worst_high,
       round(max(r.accuracy) - min(r.accuracy), 12) AS spread,
       any_value(r.accuracy) FILTER (r.policy = $against) AS random_accuracy,
       any_value(r.sd) FILTER (r.policy = $against) AS random_sd
FROM summary AS r
WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND list_contains(string_split(r.preset, ', '),
                        coalesce($preset, string_split(r.preset, ', ')[1]))
      AND r.noise_kind = 'none'
GROUP BY r.model, r.size, r.bits, r.preset, r.rounding, r.scheme_id
ORDER BY r.model, r.size, r.bits DESC, mean DESC, r.preset, r.rounding, r.scheme_id
