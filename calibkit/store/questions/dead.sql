-- dead: Which networks no longer work after quantization?
--
-- Cells with a flag, on clean documents: dead-lstm (the hidden state is 0), one-label (nearly all
-- documents get one label), constant-output, nll-explodes. A generative classifier may still score
-- with a dead LSTM, because its output layer knows the label: read nll and mean_abs_h as well.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   policy    VARCHAR = any       only this policy
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
--   least     DOUBLE = 0          only where more than this share of the cells has a flag
-- Columns:
--   model, size, bits, preset, rounding, policy  what was quantized, and how
--   cells, flagged, share  cells, those with a flag, and their share
--   flags     which flags, and in how many cells
--   accuracy, nll, mean_abs_h, majority_share  means over the cells
-- Plot: heat_map x=bits,preset,rounding y=policy value=share panel=model,size set=least:-1
-- Title: Share of the networks that no longer work
-- Empty: no cell has a flag: every network that was measured works
WITH cells AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.size, r.seed, r.bits, named.preset,
           r.rounding, r.scheme_id, r.flags, r.accuracy, r.nll, r.mean_abs_h, r.majority_share
    FROM results AS r
    JOIN core.presets AS named ON named.recipe = r.recipe AND named.scheme_id = r.scheme_id
    WHERE r.recipe = $recipe
      AND r.model = coalesce($model, r.model)
      AND r.size = coalesce($size, r.size)
      AND r.bits IS NOT DISTINCT FROM coalesce($bits, r.bits)
      AND r.preset = coalesce($preset, r.preset)
      AND r.rounding = coalesce($rounding, r.rounding)
      AND r.policy = coalesce($policy, r.policy) AND r.noise_kind = 'none'
),
signs AS (
    SELECT model, size, scheme_id, policy, trim(unnest(string_split(flags, ','))) AS flag
    FROM cells
    WHERE flags <> ''
),
counted AS (
    SELECT model, size, scheme_id, policy,
           string_agg(format('{} {}', flag, cells), ', ' ORDER BY cells DESC, flag) AS flags
    FROM (SELECT model, size, scheme_id, policy, flag, count(*) AS cells FROM signs GROUP BY ALL)
    GROUP BY ALL
)
SELECT cells.model, cells.size, cells.bits, cells.preset, cells.rounding, cells.policy,
       count(*) AS cells, count(*) FILTER (cells.flags <> '') AS flagged,
       flagged / count(*) AS share, coalesce(any_value(counted.flags), '') AS flags,
       avg(cells.accuracy ORDER BY cells.model_seed, cells.seed) AS accuracy,
       avg(cells.nll ORDER BY cells.model_seed, cells.seed) AS nll,
       avg(cells.mean_abs_h ORDER BY cells.model_seed, cells.seed) AS mean_abs_h,
       avg(cells.majority_share ORDER BY cells.model_seed, cells.seed) AS majority_share
FROM cells
LEFT JOIN counted USING (model, size, scheme_id, policy)
GROUP BY cells.model, cells.size, cells.bits, cells.preset, cells.rounding, cells.scheme_id,
         cells.policy
HAVING share > $least
ORDER BY cells.model, cells.size, cells.bits DESC, cells.preset, cells.rounding, cells.scheme_id,
         share DESC, cells.policy
