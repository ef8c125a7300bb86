-- Tables, views and macros that schema version 6 brought or changed, without comments.

CREATE OR REPLACE VIEW core.presets AS
SELECT recipe, scheme_id, string_agg(DISTINCT preset, ', ' ORDER BY preset) AS preset
FROM core.planned
GROUP BY ALL;

CREATE OR REPLACE VIEW summary AS
WITH of_seed AS (  -- one draw: what one seed gave, averaged over float models
    SELECT corpus, recipe, model, policy, size, bits, rounding, scheme_id, noise_kind, noise,
           seed, string_agg(DISTINCT subset_id, ' ' ORDER BY subset_id) AS subsets,
           list(DISTINCT model_seed) AS model_seeds,
           avg(accuracy ORDER BY model_seed, cell_id) AS accuracy,
           avg(accuracy_drop ORDER BY model_seed, cell_id) AS accuracy_drop,
           avg(noise_drop ORDER BY model_seed, cell_id) AS noise_drop,
           avg(macro_f1 ORDER BY model_seed, cell_id) AS macro_f1,
           avg(nll ORDER BY model_seed, cell_id) AS nll,
           avg(ks_weights ORDER BY model_seed, cell_id) AS ks_weights,
           avg(ks_activations ORDER BY model_seed, cell_id) AS ks_activations,
           avg(ks_token_nll ORDER BY model_seed, cell_id) AS ks_token_nll,
           avg(seconds ORDER BY model_seed, cell_id) AS seconds
    FROM results
    GROUP BY ALL
),
draw AS (  -- seeds that gave the same subsets are one draw
    SELECT corpus, recipe, model, policy, size, bits, rounding, scheme_id, noise_kind, noise,
           subsets, list_distinct(flatten(list(model_seeds))) AS model_seeds,
           avg(accuracy ORDER BY seed) AS accuracy,
           avg(accuracy_drop ORDER BY seed) AS accuracy_drop,
           avg(noise_drop ORDER BY seed) AS noise_drop,
           avg(macro_f1 ORDER BY seed) AS macro_f1,
           avg(nll ORDER BY seed) AS nll,
           avg(ks_weights ORDER BY seed) AS ks_weights,
           avg(ks_activations ORDER BY seed) AS ks_activations,
           avg(ks_token_nll ORDER BY seed) AS ks_token_nll, avg(seconds ORDER BY seed) AS seconds
    FROM of_seed
    GROUP BY ALL
),
grouped AS (
    SELECT corpus, recipe, model, policy, size, bits, rounding, scheme_id, noise_kind, noise,
           avg(accuracy ORDER BY subsets) AS accuracy,
           stddev_samp(accuracy ORDER BY subsets) AS sd,
           count(*) AS draws,
           len(list_distinct(flatten(list(model_seeds)))) AS models,
           avg(accuracy_drop ORDER BY subsets) AS accuracy_drop,
           avg(noise_drop ORDER BY subsets) AS noise_drop,
           avg(macro_f1 ORDER BY subsets) AS macro_f1, avg(nll ORDER BY subsets) AS nll,
           avg(ks_weights ORDER BY subsets) AS ks_weights,
           avg(ks_activations ORDER BY subsets) AS ks_activations,
           avg(ks_token_nll ORDER BY subsets) AS ks_token_nll,
           avg(seconds ORDER BY subsets) AS seconds
    FROM draw
    GROUP BY ALL
)
SELECT g.corpus, g.recipe, g.model, g.policy, g.size, g.bits, g.rounding, g.scheme_id,
       g.noise_kind, g.noise, g.accuracy, g.sd, g.draws, g.models,
       CASE WHEN g.draws >= 2 THEN g.accuracy - coalesce(q.t, 1.96) * g.sd / sqrt(g.draws) END
           AS ci_low,
       CASE WHEN g.draws >= 2 THEN g.accuracy + coalesce(q.t, 1.96) * g.sd / sqrt(g.draws) END
           AS ci_high,
       g.accuracy_drop, g.noise_drop, g.macro_f1, g.nll, g.ks_weights, g.ks_activations,
       g.ks_token_nll, g.seconds, named.preset
FROM grouped AS g
LEFT JOIN core.presets AS named
  ON named.recipe = g.recipe AND named.scheme_id = g.scheme_id
LEFT JOIN t_quantiles AS q ON q.df = g.draws - 1 AND q.level = 0.95
ORDER BY g.recipe, g.model, g.size, g.bits DESC, g.rounding, g.scheme_id, g.policy,
         g.noise_kind <> 'none', g.noise_kind, g.noise;

CREATE OR REPLACE MACRO compare(a, b) AS TABLE
WITH paired AS (
    SELECT x.corpus, x.recipe, x.model, x.model_seed, x.size, x.seed, x.bits, x.rounding,
           x.scheme_id, x.noise_kind, x.noise, x.subset_id AS subset_a, y.subset_id AS subset_b,
           x.accuracy - y.accuracy AS gain
    FROM results AS x
    JOIN results AS y
      ON x.corpus = y.corpus AND x.recipe = y.recipe AND x.model = y.model
     AND x.model_seed = y.model_seed AND x.size = y.size AND x.seed = y.seed
     AND x.bits IS NOT DISTINCT FROM y.bits AND x.rounding IS NOT DISTINCT FROM y.rounding
     AND x.scheme_id = y.scheme_id AND x.noise_kind = y.noise_kind AND x.noise = y.noise
    WHERE x.policy = a AND y.policy = b
),
counted AS (
    SELECT corpus, recipe, model, size, bits, rounding, scheme_id, noise_kind, noise,
           count(*) AS pairs,
           count(*) FILTER (WHERE gain > 0) AS wins
    FROM (SELECT DISTINCT * EXCLUDE (seed) FROM paired)
    GROUP BY ALL
),
per_seed AS (
    SELECT corpus, recipe, model, size, bits, rounding, scheme_id, noise_kind, noise, seed,
           list_sort(list_distinct(list(subset_a || '/' || subset_b))) AS subsets,
           avg(gain ORDER BY model_seed) AS gain
    FROM paired
    GROUP BY ALL
),
draw AS (
    SELECT corpus, recipe, model, size, bits, rounding, scheme_id, noise_kind, noise, subsets,
           avg(gain ORDER BY seed) AS gain
    FROM per_seed
    GROUP BY ALL
),
grouped AS (
    SELECT corpus, recipe, model, size, bits, rounding, scheme_id, noise_kind, noise,
           avg(gain ORDER BY subsets) AS gain,
           stddev_samp(gain ORDER BY subsets) AS sd,
           count(*) AS draws
    FROM draw
    GROUP BY ALL
)
SELECT g.model, g.size, g.bits, g.rounding, g.noise_kind, g.noise, g.gain, g.sd, g.draws, c.wins,
       c.pairs,
       CASE WHEN g.draws >= 2 THEN g.gain - coalesce(q.t, 1.96) * g.sd / sqrt(g.draws) END
           AS ci_low,
       CASE WHEN g.draws >= 2 THEN g.gain + coalesce(q.t, 1.96) * g.sd / sqrt(g.draws) END
           AS ci_high,
       g.corpus, g.recipe, g.scheme_id, named.preset
FROM grouped AS g
LEFT JOIN core.presets AS named
  ON named.recipe = g.recipe AND named.scheme_id = g.scheme_id
JOIN counted AS c
  ON c.corpus = g.corpus AND c.recipe = g.recipe AND c.model = g.model AND c.size = g.size
 AND c.bits IS NOT DISTINCT FROM g.bits AND c.rounding IS NOT DISTINCT FROM g.rounding
 AND c.scheme_id = g.scheme_id AND c.noise_kind = g.noise_kind AND c.noise = g.noise
LEFT JOIN t_quantiles AS q ON q.df = g.draws - 1 AND q.level = 0.95
ORDER BY g.recipe, g.model, g.size, g.bits DESC, g.rounding, g.scheme_id,
         g.noise_kind <> 'none', g.noise_kind, g.noise;
