-- by-phase: In which phases does each method gain over the frozen network, and in which lose?
--
-- Accuracy on the phase of each batch, mean over its batches, of each method against the one whose
-- subset and network are frozen; pairs share the float model and the draw. The interval is Student
-- t at 95 % over draws, float models averaged first; each comparison by itself.
--
-- Parameters:
--   recipe    VARCHAR = latest-stream  which stream recipe; its latest version is asked
--   model     VARCHAR = any     only this model
--   size      INTEGER = any     only this size of subset (documents)
--   bits      INTEGER = any     only this bit width
--   preset    VARCHAR = any     only this preset or scheme of the recipe
--   method    VARCHAR = any     only this method
-- Columns:
--   model, size, bits, preset, policy, method  what is compared, and where
--   place, phase  of the phase, counted from 0, and its name
--   accuracy, frozen, float_accuracy  of the method, the frozen one and the float model, in [0, 1]
--   gain, ci_low, ci_high  accuracy - frozen with its interval; positive = better
--   floor     by how much two draws of the frozen method differ on average in this phase
--   below     whether it loses more than the floor
--   draws, wins, pairs  draws; pairs that it wins, of how many
-- Plot: heat_map x=phase y=method value=gain low=ci_low high=ci_high panel=model,size,bits,preset,policy unit=points
-- Title: Gain over the frozen network, phase by phase
-- Empty: no method of this recipe has gone through all batches beside the frozen one
WITH whole AS (
    SELECT DISTINCT trajectory_id FROM stream_progress WHERE recipe = $recipe AND state = 'done'
),
seen AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, subset_update, model_update,
           model_seed, seed, phase, phase_name, avg(accuracy ORDER BY step) AS accuracy,
           avg(float_accuracy ORDER BY step) AS float_accuracy
    FROM stream_results SEMI JOIN whole USING (trajectory_id)
    WHERE recipe = $recipe AND model = coalesce($model, model)
      AND size = coalesce($size, size)
      AND bits IS NOT DISTINCT FROM coalesce($bits, bits)
      AND preset = coalesce($preset, preset)
      AND is_current
    GROUP BY ALL
),
frozen AS (
    SELECT * FROM seen WHERE subset_update = 'frozen' AND model_update = 'frozen'
),
paired AS (
    SELECT a.*, b.accuracy AS frozen, a.accuracy - b.accuracy AS gain
    FROM seen AS a
    JOIN frozen AS b ON b.model = a.model AND b.size = a.size AND b.preset = a.preset
                    AND b.scheme_id = a.scheme_id AND b.policy = a.policy
                    AND b.model_seed = a.model_seed AND b.seed = a.seed AND b.phase = a.phase
                    AND b.method <> a.method
),
per_seed AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, phase, phase_name, seed,
           avg(gain ORDER BY model_seed) AS gain, avg(accuracy ORDER BY model_seed) AS accuracy,
           avg(frozen ORDER BY model_seed) AS frozen,
           avg(float_accuracy ORDER BY model_seed) AS float_accuracy, count(*) AS pairs,
           count(*) FILTER (gain > 0) AS wins
    FROM paired
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, phase, phase_name,
           avg(accuracy ORDER BY seed) AS accuracy, avg(frozen ORDER BY seed) AS frozen,
           avg(float_accuracy ORDER BY seed) AS float_accuracy,
           round(avg(gain ORDER BY seed), 12) AS gain,
           stddev_samp(gain ORDER BY seed) / sqrt(count(*)) AS error, count(*) AS draws,
           sum(wins)::BIGINT AS wins, sum(pairs)::BIGINT AS pairs
    FROM per_seed
    GROUP BY ALL
),
apart AS (
    SELECT a.model, a.size, a.preset, a.scheme_id, a.policy, a.phase, a.model_seed,
           avg(abs(a.accuracy - b.accuracy) ORDER BY a.seed, b.seed) AS floor
    FROM frozen AS a
    JOIN frozen AS b ON b.model = a.model AND b.size = a.size AND b.preset = a.preset
                    AND b.scheme_id = a.scheme_id AND b.policy = a.policy AND b.phase = a.phase
                    AND b.model_seed = a.model_seed AND b.seed > a.seed
    GROUP BY ALL
),
floors AS (
    SELECT model, size, preset, scheme_id, policy, phase, avg(floor ORDER BY model_seed) AS floor
    FROM apart
    GROUP BY ALL
)
SELECT g.model, g.size, g.bits, g.preset, g.policy, g.method, g.phase AS place,
       g.phase_name AS phase, g.accuracy, g.frozen, g.float_accuracy, g.gain,
       g.gain - coalesce(q.t, 1.96) * g.error AS ci_low,
       g.gain + coalesce(q.t, 1.96) * g.error AS ci_high, floors.floor,
       g.gain < -floors.floor AS below, g.draws, g.wins, g.pairs
FROM grouped AS g
LEFT JOIN floors USING (model, size, preset, scheme_id, policy, phase)
LEFT JOIN t_quantiles AS q ON q.df = g.draws - 1 AND q.level = 0.95
WHERE g.method = coalesce($method, g.method)
ORDER BY g.model, g.size, g.bits DESC, g.preset, g.scheme_id, g.policy, g.method, g.phase
