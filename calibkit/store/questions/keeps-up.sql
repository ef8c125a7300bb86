-- keeps-up: What does each method gain on the stream over the network that is left as it was?
--
-- Accuracy on the phase of each batch, mean over batches (online_accuracy), of each method against
-- the one whose subset and network are frozen, or the one that `than` names; pairs share the float
-- model and the draw (batches and first subset). Only trajectories that have gone through all
-- batches. The interval is Student t at 95 % over draws, float models averaged first; p is the
-- exact sign-flip test over draws (up to 14), not adjusted: with six draws it is never below 0.031.
-- `calibkit stream` adjusts it, clusters by float model where there are several, and has the
-- interval of the share.
--
-- Parameters:
--   recipe    VARCHAR = latest-stream  which stream recipe; its latest version is asked
--   model     VARCHAR = any     only this model
--   size      INTEGER = any     only this size of subset (documents)
--   bits      INTEGER = any     only this bit width
--   preset    VARCHAR = any     only this preset or scheme of the recipe
--   method    VARCHAR = any     only this method
--   than      VARCHAR = any     the method to beat; any: the frozen one
-- Columns:
--   model, size, bits, preset, policy, method  what is compared, and where
--   online, other  online accuracy of the method and of the one to beat, in [0, 1]
--   gain      online - other, mean over draws; positive = better
--   ci_low, ci_high  its interval; NULL with one draw
--   draws, wins, pairs, models  draws; pairs that it wins, of how many; float models
--   p         two-sided
--   floor     by how much two draws of the method to beat differ on average
--   share     gain over the frozen one / that of the recipe's `recalibrate` (of several, the one
--             on the subset `everything`), where the latter's interval is above 0; NULL against
--             other methods
--   macs_share  its multiply-adds / those of `recalibrate`
--   verdict   better or worse where the interval is without 0 and p at most 0.05, else undecided
-- Plot: intervals label=method value=gain low=ci_low high=ci_high floor=floor verdict=verdict panel=model,size,bits,preset,policy
-- Title: Gain over the frozen network, or another method, on the stream
-- Empty: no method of this recipe has gone through all batches beside the one to beat
WITH gone AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, subset_update, model_update,
           model_seed, seed, online_accuracy, macs
    FROM stream_forgetting
    WHERE recipe = $recipe AND model = coalesce($model, model)
      AND size = coalesce($size, size)
      AND bits IS NOT DISTINCT FROM coalesce($bits, bits)
      AND preset = coalesce($preset, preset)
),
beaten AS (
    SELECT * FROM gone
    WHERE CASE WHEN $than IS NULL THEN subset_update = 'frozen' AND model_update = 'frozen'
               ELSE method = $than END
),
paired AS (
    SELECT a.*, b.online_accuracy AS other, a.online_accuracy - b.online_accuracy AS gain
    FROM gone AS a
    JOIN beaten AS b ON b.model = a.model AND b.size = a.size AND b.preset = a.preset
                    AND b.scheme_id = a.scheme_id AND b.policy = a.policy
                    AND b.model_seed = a.model_seed AND b.seed = a.seed AND b.method <> a.method
),
per_seed AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, subset_update, model_update, seed,
           avg(gain ORDER BY model_seed) AS gain,
           avg(online_accuracy ORDER BY model_seed) AS online,
           avg(other ORDER BY model_seed) AS other, sum(macs) AS macs, count(*) AS pairs,
           count(*) FILTER (gain > 0) AS wins, list(DISTINCT model_seed) AS model_seeds
    FROM paired
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, subset_update, model_update,
           avg(online ORDER BY seed) AS online, avg(other ORDER BY seed) AS other,
           round(avg(gain ORDER BY seed), 12) AS gain, list(gain ORDER BY seed) AS gains,
           stddev_samp(gain ORDER BY seed) / sqrt(count(*)) AS error, count(*) AS draws,
           sum(pairs)::BIGINT AS pairs, sum(wins)::BIGINT AS wins, sum(macs) AS macs,
           len(list_distinct(flatten(list(model_seeds)))) AS models
    FROM per_seed
    GROUP BY ALL
),
flipped AS (  -- every way to flip the signs of the gains: bit i of flip is the sign of gain i
    SELECT model, size, preset, scheme_id, policy, method,
           avg((abs(list_sum(list_transform(gains, lambda g, i:
               CASE WHEN (flip >> (i - 1)::BIGINT) & 1 = 1 THEN -g ELSE g END)))
               >= abs(list_sum(gains)) - 1e-12)::INTEGER) AS p
    FROM (SELECT *, unnest(range(power(2, draws)::BIGINT)) AS flip FROM grouped WHERE draws <= 14)
    GROUP BY ALL
),
apart AS (
    SELECT a.model, a.size, a.preset, a.scheme_id, a.policy, a.model_seed,
           avg(abs(a.online_accuracy - b.online_accuracy) ORDER BY a.seed, b.seed) AS floor
    FROM beaten AS a
    JOIN beaten AS b ON b.model = a.model AND b.size = a.size AND b.preset = a.preset
                    AND b.scheme_id = a.scheme_id AND b.policy = a.policy
                    AND b.model_seed = a.model_seed AND b.seed > a.seed
    GROUP BY ALL
),
floors AS (
    SELECT model, size, preset, scheme_id, policy, avg(floor ORDER BY model_seed) AS floor
    FROM apart
    GROUP BY ALL
),
judged AS (
    SELECT g.*, flipped.p, floors.floor,
           CASE WHEN g.draws >= 2 THEN g.gain - coalesce(q.t, 1.96) * g.error END AS ci_low,
           CASE WHEN g.draws >= 2 THEN g.gain + coalesce(q.t, 1.96) * g.error END AS ci_high
    FROM grouped AS g
    LEFT JOIN flipped USING (model, size, preset, scheme_id, policy, method)
    LEFT JOIN floors USING (model, size, preset, scheme_id, policy)
    LEFT JOIN t_quantiles AS q ON q.df = g.draws - 1 AND q.level = 0.95
)
SELECT j.model, j.size, j.bits, j.preset, j.policy, j.method, j.online, j.other, j.gain,
       j.ci_low, j.ci_high, j.draws, j.wins, j.pairs, j.models, j.p, j.floor,
       CASE WHEN $than IS NULL AND whole.ci_low > 0 AND whole.draws = j.draws
            THEN j.gain / whole.gain END AS share,
       CASE WHEN whole.draws = j.draws THEN j.macs / nullif(whole.macs, 0) END AS macs_share,
       CASE WHEN j.ci_low IS NULL OR coalesce(j.p, 0) > 0.05 THEN 'undecided'
            WHEN j.ci_low > 0 THEN 'better'
            WHEN j.ci_high < 0 THEN 'worse'
            ELSE 'undecided' END AS verdict
FROM judged AS j
LEFT JOIN (SELECT * FROM judged WHERE model_update = 'recalibrate'
           QUALIFY row_number() OVER (PARTITION BY model, size, preset, scheme_id, policy
                                      ORDER BY subset_update <> 'everything', method) = 1) AS whole
       ON whole.model = j.model AND whole.size = j.size AND whole.preset = j.preset
      AND whole.scheme_id = j.scheme_id AND whole.policy = j.policy
WHERE j.method = coalesce($method, j.method)
ORDER BY j.model, j.size, j.bits DESC, j.preset, j.scheme_id, j.policy, j.gain DESC, j.method
