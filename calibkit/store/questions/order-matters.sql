-- order-matters: Does the order of the same calibration documents change anything?
--
-- The policy `shuffle` calibrates with one subset in several orders. Its spread of accuracy on
-- clean documents, beside that of random draws of other documents: where it is 0, order decides
-- nothing. It is 0 under calibkit's own observer, and need not be under Brevitas's, whose ranges
-- depend on batches. With GPFQ float sums are made in the order of the documents.
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
--   model, model_seed, size, bits, preset, rounding, policy  which network
--   orders    how many orders were measured
--   least, most, spread  accuracy over the orders; spread = most - least
--   sd        standard deviation over the orders
--   random_sd  the same over random draws of documents; NULL with one draw
--   share     sd / random_sd
-- Plot: none
-- Title: Spread of accuracy over orders of the same documents
-- Empty: no policy of this recipe is of kind shuffle, with two orders measured
WITH cells AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.policy_kind, r.size, r.bits, named.preset,
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
random AS (
    SELECT model, model_seed, size, scheme_id, stddev_samp(accuracy ORDER BY subset_id) AS sd
    FROM cells
    WHERE policy = $against
    GROUP BY ALL
)
SELECT c.model, c.model_seed, c.size, c.bits, c.preset, c.rounding, c.policy, count(*) AS orders,
       min(c.accuracy) AS least, max(c.accuracy) AS most,
       round(max(c.accuracy) - min(c.accuracy), 12) AS spread,
       round(stddev_samp(c.accuracy ORDER BY c.subset_id), 12) AS sd,
       any_value(random.sd) AS random_sd,
       round(stddev_samp(c.accuracy ORDER BY c.subset_id), 12) / nullif(any_value(random.sd), 0)
           AS share
FROM cells AS c
LEFT JOIN random ON random.model = c.model AND random.model_seed = c.model_seed
                AND random.size = c.size AND random.scheme_id = c.scheme_id
WHERE c.policy_kind = 'shuffle'
GROUP BY c.model, c.model_seed, c.size, c.bits, c.preset, c.rounding, c.scheme_id, c.policy
HAVING count(*) > 1
ORDER BY spread DESC, c.model, c.model_seed, c.size, c.bits, c.preset, c.rounding, c.scheme_id,
         c.policy
