-- Tables, views and macros of schema version 1, without comments.

CREATE SCHEMA IF NOT EXISTS core;

CREATE TABLE IF NOT EXISTS meta (
    key   VARCHAR PRIMARY KEY,
    value VARCHAR NOT NULL
);

CREATE TABLE IF NOT EXISTS t_quantiles (
    df    INTEGER,
    level DOUBLE,
    t     DOUBLE NOT NULL,
    PRIMARY KEY (df, level)
);

CREATE TABLE IF NOT EXISTS corpora (
    corpus_id   VARCHAR PRIMARY KEY,
    name        VARCHAR NOT NULL,
    version     VARCHAR,
    source      JSON,
    documents   BIGINT,
    labels      INTEGER,
    ingested_at TIMESTAMP,
    provenance  VARCHAR
);

CREATE TABLE IF NOT EXISTS labels (
    corpus_id VARCHAR,
    label_id  USMALLINT,
    label     VARCHAR NOT NULL,
    PRIMARY KEY (corpus_id, label_id)
);

CREATE TABLE IF NOT EXISTS documents (
    corpus_id    VARCHAR NOT NULL,
    doc_id       VARCHAR NOT NULL,
    split        VARCHAR NOT NULL,
    label_id     USMALLINT NOT NULL,
    text         VARCHAR NOT NULL,
    tokens       INTEGER,
    is_duplicate BOOLEAN,
    in_test      BOOLEAN
);

CREATE TABLE IF NOT EXISTS subsets (
    subset_id  VARCHAR PRIMARY KEY,
    corpus_id  VARCHAR NOT NULL,
    size       INTEGER NOT NULL,
    created_at TIMESTAMP
);

CREATE TABLE IF NOT EXISTS subset_requests (
    request_key    VARCHAR PRIMARY KEY,
    subset_id      VARCHAR NOT NULL,
    corpus_id      VARCHAR NOT NULL,
    policy         VARCHAR,
    policy_kind    VARCHAR,
    params         JSON,
    policy_version INTEGER,
    size           INTEGER,
    seed           BIGINT,
    pool           VARCHAR,
    share          DOUBLE,
    model_id       VARCHAR,
    created_at     TIMESTAMP
);

CREATE TABLE IF NOT EXISTS subset_documents (
    subset_id VARCHAR,
    position  INTEGER,
    doc_id    VARCHAR NOT NULL,
    PRIMARY KEY (subset_id, position)
);

CREATE TABLE IF NOT EXISTS subset_profiles (
    subset_id             VARCHAR PRIMARY KEY,
    documents             INTEGER,
    tokens                BIGINT,
    length_p10            DOUBLE,
    length_p50            DOUBLE,
    length_p90            DOUBLE,
    oov_share             DOUBLE,
    vocabulary_coverage   DOUBLE,
    label_total_variation DOUBLE,
    label_mix             JSON
);

CREATE TABLE IF NOT EXISTS models (
    model_key       VARCHAR PRIMARY KEY,
    model_id        VARCHAR NOT NULL,
    kind            VARCHAR NOT NULL,
    corpus_id       VARCHAR,
    share           DOUBLE,
    seed            BIGINT,
    settings        JSON,
    vocabulary_id   VARCHAR,
    vocabulary_size INTEGER,
    labels          INTEGER,
    best_epoch      INTEGER,
    epochs          INTEGER,
    valid_accuracy  DOUBLE,
    valid_nll       DOUBLE,
    seconds         DOUBLE,
    trained_at      TIMESTAMP
);

CREATE TABLE IF NOT EXISTS test_sets (
    test_id   VARCHAR PRIMARY KEY,
    corpus_id VARCHAR,
    split     VARCHAR,
    share     DOUBLE,
    documents INTEGER,
    doc_ids   VARCHAR[],
    label_ids USMALLINT[]
);

CREATE TABLE IF NOT EXISTS noise_sets (
    test_id       VARCHAR,
    vocabulary_id VARCHAR,
    noise_kind    VARCHAR,
    noise         DOUBLE,
    noise_seed    BIGINT,
    realised_rate DOUBLE,
    oov_rate      DOUBLE,
    length_drift  DOUBLE,
    PRIMARY KEY (test_id, vocabulary_id, noise_kind, noise, noise_seed),
    CHECK ((noise_kind = 'none') = (noise = 0) AND (noise > 0 OR noise_seed = 0))
);

CREATE TABLE IF NOT EXISTS runs (
    run_id      VARCHAR PRIMARY KEY,
    recipe      VARCHAR,
    recipe_id   VARCHAR,
    recipe_text VARCHAR,
    command     VARCHAR,
    workers     INTEGER,
    started_at  TIMESTAMP,
    host        VARCHAR,
    git_commit  VARCHAR,
    git_dirty   BOOLEAN,
    versions    JSON
);

CREATE TABLE IF NOT EXISTS recipe_cells (
    recipe_id   VARCHAR,
    plan_key    VARCHAR,
    recipe      VARCHAR,
    ordinal     INTEGER,
    corpus      VARCHAR,
    model       VARCHAR,
    model_kind  VARCHAR,
    model_seed  BIGINT,
    policy      VARCHAR,
    policy_kind VARCHAR,
    size        INTEGER,
    seed        BIGINT,
    bits        INTEGER,
    rounding    VARCHAR,
    preset      VARCHAR,
    scheme_id   VARCHAR,
    PRIMARY KEY (recipe_id, plan_key, model, policy, preset) -- aliases may mean the same inputs
);

CREATE TABLE IF NOT EXISTS recipe_noises (
    recipe_id  VARCHAR,
    noise_kind VARCHAR,
    noise      DOUBLE,
    noise_seed BIGINT,
    PRIMARY KEY (recipe_id, noise_kind, noise, noise_seed),
    CHECK ((noise_kind = 'none') = (noise = 0) AND (noise > 0 OR noise_seed = 0))
);

CREATE TABLE IF NOT EXISTS plan_cells (
    plan_key VARCHAR PRIMARY KEY,
    cell_id  VARCHAR NOT NULL
);

CREATE TABLE IF NOT EXISTS cells (
    cell_id        VARCHAR PRIMARY KEY,
    corpus_id      VARCHAR,
    model_id       VARCHAR,
    subset_id      VARCHAR,
    scheme_id      VARCHAR,
    scheme         JSON,
    arithmetic     VARCHAR,
    device         VARCHAR,
    test_id        VARCHAR,
    harness        INTEGER,
    seconds        DOUBLE,
    stages         JSON,
    peak_mb        DOUBLE,
    run_id         VARCHAR,
    host           VARCHAR,
    measured_at    TIMESTAMP
);

CREATE TABLE IF NOT EXISTS evaluations (
    cell_id              VARCHAR,
    noise_kind           VARCHAR,
    noise                DOUBLE,
    noise_seed           BIGINT,
    documents            INTEGER,
    accuracy             DOUBLE,
    macro_f1             DOUBLE,
    worst_label_accuracy DOUBLE,
    majority_share       DOUBLE,
    nll                  DOUBLE,
    mean_abs_h           DOUBLE,
    flags                VARCHAR,
    seconds              DOUBLE,
    run_id               VARCHAR,
    measured_at          TIMESTAMP,
    PRIMARY KEY (cell_id, noise_kind, noise, noise_seed),
    CHECK ((noise_kind = 'none') = (noise = 0) AND (noise > 0 OR noise_seed = 0))
);

CREATE TABLE IF NOT EXISTS baseline_evaluations (
    model_id             VARCHAR,
    test_id              VARCHAR,
    stage                VARCHAR CHECK (stage IN ('float', 'port')),
    noise_kind           VARCHAR,
    noise                DOUBLE,
    noise_seed           BIGINT,
    model_key            VARCHAR,
    documents            INTEGER,
    accuracy             DOUBLE,
    macro_f1             DOUBLE,
    worst_label_accuracy DOUBLE,
    majority_share       DOUBLE,
    nll                  DOUBLE,
    mean_abs_h           DOUBLE,
    agreement            DOUBLE,
    flags                VARCHAR,
    seconds              DOUBLE,
    run_id               VARCHAR,
    measured_at          TIMESTAMP,
    PRIMARY KEY (model_id, test_id, stage, noise_kind, noise, noise_seed),
    CHECK ((noise_kind = 'none') = (noise = 0) AND (noise > 0 OR noise_seed = 0))
);

CREATE TABLE IF NOT EXISTS label_evaluations (
    cell_id    VARCHAR,
    noise_kind VARCHAR,
    noise      DOUBLE,
    noise_seed BIGINT,
    label_id   USMALLINT,
    documents  INTEGER,
    predicted  INTEGER,
    correct    INTEGER,
    f1         DOUBLE,
    PRIMARY KEY (cell_id, noise_kind, noise, noise_seed, label_id),
    CHECK ((noise_kind = 'none') = (noise = 0) AND (noise > 0 OR noise_seed = 0))
);

CREATE TABLE IF NOT EXISTS predictions (
    cell_id    VARCHAR,
    noise_kind VARCHAR,
    noise      DOUBLE,
    noise_seed BIGINT,
    predicted  USMALLINT[],
    PRIMARY KEY (cell_id, noise_kind, noise, noise_seed),
    CHECK ((noise_kind = 'none') = (noise = 0) AND (noise > 0 OR noise_seed = 0))
);

CREATE TABLE IF NOT EXISTS distributions (
    cell_id          VARCHAR,
    quantity         VARCHAR,
    site             VARCHAR,
    pair             VARCHAR,
    bits             INTEGER,
    n_a              BIGINT,
    n_b              BIGINT,
    ks               DOUBLE,
    ks_p             DOUBLE,
    wasserstein      DOUBLE,
    sqnr_db          DOUBLE,
    code_change_rate DOUBLE,
    mean_code_change DOUBLE,
    clip_rate        DOUBLE,
    range_use        DOUBLE,
    tail_p999        DOUBLE,
    tail_p9999       DOUBLE,
    threshold        DOUBLE,
    PRIMARY KEY (cell_id, quantity, site, pair)
);

CREATE TABLE IF NOT EXISTS failures (
    failure_id VARCHAR PRIMARY KEY,
    run_id     VARCHAR,
    recipe_id  VARCHAR,
    plan_key   VARCHAR,
    stage      VARCHAR,
    error_type VARCHAR,
    message    VARCHAR,
    traceback  VARCHAR,
    host       VARCHAR,
    failed_at  TIMESTAMP
);

CREATE TABLE IF NOT EXISTS conflicts (
    fragment   VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    key        VARCHAR NOT NULL,
    stored     JSON,
    offered    JSON,
    seen_at    TIMESTAMP
);

CREATE OR REPLACE VIEW core.latest_recipes AS
SELECT recipe,
       arg_max(recipe_id, (started_at, run_id)) AS recipe_id
FROM runs
WHERE recipe IS NOT NULL AND recipe_id IS NOT NULL
GROUP BY recipe;

CREATE OR REPLACE VIEW core.recipe_levels AS
SELECT recipe_id, noise_kind, noise, noise_seed FROM recipe_noises
UNION
SELECT recipe_id, 'none', 0.0, 0 FROM core.latest_recipes;

CREATE OR REPLACE VIEW core.planned AS
SELECT planned.* REPLACE (latest.recipe AS recipe), plan_cells.cell_id
FROM recipe_cells AS planned
JOIN core.latest_recipes AS latest ON latest.recipe_id = planned.recipe_id
LEFT JOIN plan_cells ON plan_cells.plan_key = planned.plan_key;

CREATE OR REPLACE VIEW core.measured AS
SELECT level.recipe_id, e.cell_id, e.noise_kind, e.noise,
       min(e.documents)            AS documents,
       avg(e.accuracy)             AS accuracy,
       avg(e.macro_f1)             AS macro_f1,
       avg(e.worst_label_accuracy) AS worst_label_accuracy,
       avg(e.majority_share)       AS majority_share,
       avg(e.nll)                  AS nll,
       avg(e.mean_abs_h)           AS mean_abs_h,
       string_agg(DISTINCT nullif(e.flags, ''), ', ' ORDER BY nullif(e.flags, '')) AS flags
FROM core.recipe_levels AS level
JOIN evaluations AS e USING (noise_kind, noise, noise_seed)
GROUP BY ALL;

CREATE OR REPLACE VIEW core.measured_baselines AS
SELECT level.recipe_id, b.model_id, b.test_id, b.stage, b.noise_kind, b.noise,
       min(b.documents)            AS documents,
       avg(b.accuracy)             AS accuracy,
       avg(b.macro_f1)             AS macro_f1,
       avg(b.worst_label_accuracy) AS worst_label_accuracy,
       avg(b.majority_share)       AS majority_share,
       avg(b.nll)                  AS nll,
       avg(b.mean_abs_h)           AS mean_abs_h,
       avg(b.agreement)            AS agreement,
       string_agg(DISTINCT nullif(b.flags, ''), ', ' ORDER BY nullif(b.flags, '')) AS flags,
       sum(b.seconds)              AS seconds
FROM core.recipe_levels AS level
JOIN baseline_evaluations AS b USING (noise_kind, noise, noise_seed)
GROUP BY ALL;

CREATE OR REPLACE VIEW core.measured_labels AS
SELECT level.recipe_id, l.cell_id, l.noise_kind, l.noise, l.label_id,
       avg(l.documents)                  AS documents,
       avg(l.predicted)                  AS predicted,
       avg(l.correct)                    AS correct,
       avg(l.correct / nullif(l.documents, 0)) AS accuracy,
       avg(l.f1)                         AS f1
FROM core.recipe_levels AS level
JOIN label_evaluations AS l USING (noise_kind, noise, noise_seed)
GROUP BY ALL;

CREATE OR REPLACE VIEW core.shifts AS
SELECT cell_id,
       list_avg(list(ks ORDER BY site) FILTER (quantity = 'weights'))     AS ks_weights,
       list_avg(list(ks ORDER BY site) FILTER (quantity = 'activations')) AS ks_activations,
       list_avg(list(ks ORDER BY site) FILTER (quantity = 'token-nll'))   AS ks_token_nll
FROM distributions
WHERE pair = 'float-quantized'
GROUP BY cell_id;

CREATE OR REPLACE VIEW results AS
SELECT planned.corpus,
       planned.recipe,
       planned.model,
       planned.model_kind,
       planned.model_seed,
       planned.policy,
       planned.policy_kind,
       planned.size,
       planned.seed,
       planned.bits,
       planned.rounding,
       planned.preset,
       planned.scheme_id,
       m.noise_kind,
       m.noise,
       m.accuracy,
       f.accuracy                          AS float_accuracy,
       f.accuracy - m.accuracy             AS accuracy_drop,
       clean.accuracy - m.accuracy         AS noise_drop,
       m.macro_f1,
       f.macro_f1 - m.macro_f1             AS macro_f1_drop,
       m.worst_label_accuracy,
       m.majority_share,
       m.nll,
       f.nll                               AS float_nll,
       m.mean_abs_h,
       coalesce(m.flags, '') AS flags,
       shifts.ks_weights,
       shifts.ks_activations,
       shifts.ks_token_nll,
       m.documents,
       cells.seconds,
       planned.cell_id,
       cells.subset_id
FROM core.planned AS planned
JOIN cells ON cells.cell_id = planned.cell_id
JOIN core.measured AS m ON m.recipe_id = planned.recipe_id AND m.cell_id = planned.cell_id
LEFT JOIN evaluations AS clean ON clean.cell_id = planned.cell_id AND clean.noise_kind = 'none'
LEFT JOIN core.shifts AS shifts ON shifts.cell_id = planned.cell_id
LEFT JOIN core.measured_baselines AS f
       ON f.recipe_id = planned.recipe_id AND f.model_id = cells.model_id
      AND f.test_id = cells.test_id AND f.stage = 'float'
      AND f.noise_kind = m.noise_kind AND f.noise = m.noise
ORDER BY planned.recipe, planned.ordinal, m.noise_kind <> 'none', m.noise_kind, m.noise;

CREATE OR REPLACE VIEW baselines AS
WITH used AS (
    SELECT DISTINCT planned.corpus, planned.recipe, planned.recipe_id, planned.model,
           planned.model_kind, planned.model_seed, cells.model_id, cells.test_id
    FROM core.planned AS planned JOIN cells ON cells.cell_id = planned.cell_id
)
SELECT used.corpus, used.recipe, used.model, used.model_kind, used.model_seed,
       b.stage, b.noise_kind, b.noise, b.accuracy,
       clean.accuracy - b.accuracy AS noise_drop,
       b.macro_f1, b.worst_label_accuracy, b.majority_share, b.nll, b.mean_abs_h, b.agreement,
       coalesce(b.flags, '') AS flags,
       b.documents, b.seconds, used.model_id, used.test_id
FROM used
JOIN core.measured_baselines AS b USING (recipe_id, model_id, test_id)
LEFT JOIN baseline_evaluations AS clean
       ON clean.model_id = used.model_id AND clean.test_id = used.test_id
      AND clean.stage = b.stage AND clean.noise_kind = 'none'
ORDER BY used.recipe, used.model, used.model_seed, b.stage, b.noise_kind <> 'none', b.noise_kind,
         b.noise;

CREATE OR REPLACE VIEW summary AS
WITH of_seed AS (  -- one draw: what one seed gave, averaged over float models
    SELECT corpus, recipe, model, policy, size, bits, rounding, scheme_id, noise_kind, noise,
           seed, string_agg(DISTINCT subset_id, ' ' ORDER BY subset_id) AS subsets,
           list(DISTINCT model_seed) AS model_seeds,
           avg(accuracy) AS accuracy, avg(accuracy_drop) AS accuracy_drop,
           avg(noise_drop) AS noise_drop, avg(macro_f1) AS macro_f1, avg(nll) AS nll,
           avg(ks_weights) AS ks_weights, avg(ks_activations) AS ks_activations,
           avg(ks_token_nll) AS ks_token_nll, avg(seconds) AS seconds
    FROM results
    GROUP BY ALL
),
draw AS (  -- seeds that gave the same subsets are one draw
    SELECT corpus, recipe, model, policy, size, bits, rounding, scheme_id, noise_kind, noise,
           subsets, list_distinct(flatten(list(model_seeds))) AS model_seeds,
           avg(accuracy) AS accuracy, avg(accuracy_drop) AS accuracy_drop,
           avg(noise_drop) AS noise_drop, avg(macro_f1) AS macro_f1, avg(nll) AS nll,
           avg(ks_weights) AS ks_weights, avg(ks_activations) AS ks_activations,
           avg(ks_token_nll) AS ks_token_nll, avg(seconds) AS seconds
    FROM of_seed
    GROUP BY ALL
),
grouped AS (
    SELECT corpus, recipe, model, policy, size, bits, rounding, scheme_id, noise_kind, noise,
           avg(accuracy) AS accuracy,
           stddev_samp(accuracy) AS sd,
           count(*) AS draws,
           len(list_distinct(flatten(list(model_seeds)))) AS models,
           avg(accuracy_drop) AS accuracy_drop, avg(noise_drop) AS noise_drop,
           avg(macro_f1) AS macro_f1, avg(nll) AS nll,
           avg(ks_weights) AS ks_weights, avg(ks_activations) AS ks_activations,
           avg(ks_token_nll) AS ks_token_nll, avg(seconds) AS seconds
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
       g.ks_token_nll, g.seconds
FROM grouped AS g
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
           avg(gain) AS gain
    FROM paired
    GROUP BY ALL
),
draw AS (
    SELECT corpus, recipe, model, size, bits, rounding, scheme_id, noise_kind, noise, subsets,
           avg(gain) AS gain
    FROM per_seed
    GROUP BY ALL
),
grouped AS (
    SELECT corpus, recipe, model, size, bits, rounding, scheme_id, noise_kind, noise,
           avg(gain) AS gain, stddev_samp(gain) AS sd, count(*) AS draws
    FROM draw
    GROUP BY ALL
)
SELECT g.model, g.size, g.bits, g.rounding, g.noise_kind, g.noise, g.gain, g.sd, g.draws, c.wins,
       c.pairs,
       CASE WHEN g.draws >= 2 THEN g.gain - coalesce(q.t, 1.96) * g.sd / sqrt(g.draws) END
           AS ci_low,
       CASE WHEN g.draws >= 2 THEN g.gain + coalesce(q.t, 1.96) * g.sd / sqrt(g.draws) END
           AS ci_high,
       g.corpus, g.recipe, g.scheme_id
FROM grouped AS g
JOIN counted AS c
  ON c.corpus = g.corpus AND c.recipe = g.recipe AND c.model = g.model AND c.size = g.size
 AND c.bits IS NOT DISTINCT FROM g.bits AND c.rounding IS NOT DISTINCT FROM g.rounding
 AND c.scheme_id = g.scheme_id AND c.noise_kind = g.noise_kind AND c.noise = g.noise
LEFT JOIN t_quantiles AS q ON q.df = g.draws - 1 AND q.level = 0.95
ORDER BY g.recipe, g.model, g.size, g.bits DESC, g.rounding, g.scheme_id,
         g.noise_kind <> 'none', g.noise_kind, g.noise;

CREATE OR REPLACE VIEW label_results AS
SELECT planned.corpus, planned.recipe, planned.model, planned.model_kind, planned.model_seed,
       planned.policy, planned.policy_kind, planned.size, planned.seed, planned.bits,
       planned.rounding, planned.preset, planned.scheme_id, l.noise_kind, l.noise,
       l.label_id, labels.label,
       l.accuracy,
       f.accuracy              AS float_accuracy,
       f.accuracy - l.accuracy AS accuracy_drop,
       l.f1,
       f.f1 - l.f1             AS f1_drop,
       l.documents, l.predicted, l.correct, planned.cell_id, cells.subset_id
FROM core.planned AS planned
JOIN cells ON cells.cell_id = planned.cell_id
JOIN core.measured_labels AS l
  ON l.recipe_id = planned.recipe_id AND l.cell_id = planned.cell_id
LEFT JOIN labels ON labels.corpus_id = cells.corpus_id AND labels.label_id = l.label_id
LEFT JOIN core.measured_labels AS f
       ON f.recipe_id = planned.recipe_id
      AND f.cell_id = cells.model_id || '/float/' || cells.test_id
      AND f.noise_kind = l.noise_kind AND f.noise = l.noise AND f.label_id = l.label_id
ORDER BY planned.recipe, planned.ordinal, l.noise_kind <> 'none', l.noise_kind, l.noise,
         l.label_id;

CREATE OR REPLACE VIEW weight_shift AS
SELECT planned.corpus, planned.recipe, planned.model, planned.model_kind, planned.model_seed,
       planned.policy, planned.policy_kind, planned.size, planned.seed, planned.bits,
       planned.rounding, planned.preset, planned.scheme_id, d.site, d.pair, d.bits AS site_bits,
       d.ks, d.wasserstein, d.sqnr_db, d.code_change_rate, d.mean_code_change,
       d.tail_p999, d.tail_p9999, d.threshold, d.n_a, d.n_b, d.ks_p,
       planned.cell_id, cells.subset_id
FROM core.planned AS planned
JOIN cells ON cells.cell_id = planned.cell_id
JOIN distributions AS d ON d.cell_id = planned.cell_id AND d.quantity = 'weights'
ORDER BY planned.recipe, planned.ordinal, d.site, d.pair;

CREATE OR REPLACE VIEW activation_shift AS
SELECT planned.corpus, planned.recipe, planned.model, planned.model_kind, planned.model_seed,
       planned.policy, planned.policy_kind, planned.size, planned.seed, planned.bits,
       planned.rounding, planned.preset, planned.scheme_id, d.site, d.pair, d.bits AS site_bits,
       d.ks, d.wasserstein, d.sqnr_db, d.clip_rate, d.range_use,
       d.tail_p999, d.tail_p9999, d.threshold, d.n_a, d.n_b, d.ks_p,
       planned.cell_id, cells.subset_id
FROM core.planned AS planned
JOIN cells ON cells.cell_id = planned.cell_id
JOIN distributions AS d ON d.cell_id = planned.cell_id AND d.quantity = 'activations'
ORDER BY planned.recipe, planned.ordinal, d.site, d.pair;

CREATE OR REPLACE VIEW subset_profile AS
WITH asked AS (
    SELECT subset_id,
           string_agg(DISTINCT policy, ', ' ORDER BY policy) AS policies,
           list_sort(list_distinct(list(seed)))              AS seeds,
           string_agg(DISTINCT pool, ', ' ORDER BY pool)     AS pool,
           count(*)                                          AS requests
    FROM subset_requests
    GROUP BY subset_id
)
SELECT s.subset_id, corpora.name AS corpus, s.size, asked.policies, asked.seeds, asked.pool,
       coalesce(asked.requests, 0) AS requests,
       p.documents, p.tokens, p.length_p10, p.length_p50, p.length_p90, p.oov_share,
       p.vocabulary_coverage, p.label_total_variation, p.label_mix, s.created_at
FROM subsets AS s
LEFT JOIN corpora USING (corpus_id)
LEFT JOIN asked USING (subset_id)
LEFT JOIN subset_profiles AS p USING (subset_id)
ORDER BY corpus, asked.policies, s.size, s.subset_id;

CREATE OR REPLACE VIEW core.state AS
WITH levels AS (
    SELECT recipe_id, count(*) AS levels FROM core.recipe_levels GROUP BY recipe_id
),
present AS (
    SELECT level.recipe_id, e.cell_id, count(*) AS present
    FROM core.recipe_levels AS level
    JOIN evaluations AS e USING (noise_kind, noise, noise_seed)
    GROUP BY ALL
),
failing AS (
    SELECT recipe_id, plan_key, count(*) AS attempts,
           arg_max(failure_id, (failed_at, failure_id)) AS failure_id
    FROM failures
    GROUP BY ALL
)
SELECT planned.*,
       coalesce(present.present, 0) >= levels.levels AND cells.cell_id IS NOT NULL AS is_done,
       failing.failure_id, failing.attempts
FROM core.planned AS planned
JOIN levels ON levels.recipe_id = planned.recipe_id
LEFT JOIN cells ON cells.cell_id = planned.cell_id
LEFT JOIN present
       ON present.recipe_id = planned.recipe_id AND present.cell_id = planned.cell_id
LEFT JOIN failing
       ON failing.recipe_id = planned.recipe_id AND failing.plan_key = planned.plan_key;

CREATE OR REPLACE VIEW progress AS
SELECT recipe,
       count(*)                                                         AS planned,
       count(*) FILTER (WHERE is_done)                                  AS done,
       count(*) FILTER (WHERE NOT is_done AND failure_id IS NOT NULL)   AS failed,
       count(*) FILTER (WHERE NOT is_done AND failure_id IS NULL)       AS missing
FROM core.state
GROUP BY recipe
ORDER BY recipe;

CREATE OR REPLACE VIEW failed AS
SELECT s.corpus, s.recipe, s.model, s.model_kind, s.model_seed, s.policy, s.policy_kind, s.size,
       s.seed, s.bits, s.rounding, s.preset, s.scheme_id, f.stage, f.error_type, f.message,
       s.attempts, f.failed_at, f.host, f.run_id, s.plan_key, f.failure_id, f.traceback
FROM core.state AS s
JOIN failures AS f ON f.failure_id = s.failure_id
WHERE NOT s.is_done
ORDER BY s.recipe, s.ordinal;

CREATE OR REPLACE VIEW provenance AS
SELECT planned.corpus, planned.recipe, planned.model, planned.model_seed, planned.policy,
       planned.size, planned.seed, planned.bits, planned.rounding, planned.scheme_id,
       cells.cell_id, planned.plan_key, planned.recipe_id, cells.corpus_id, cells.model_id,
       cells.subset_id, cells.test_id, cells.scheme, cells.arithmetic, cells.device, cells.harness,
       cells.measured_at, cells.seconds, cells.stages, cells.peak_mb, cells.host, cells.run_id,
       later.runs AS evaluation_runs, runs.command, runs.started_at, runs.workers, runs.git_commit, runs.git_dirty, runs.versions
FROM core.planned AS planned
JOIN cells ON cells.cell_id = planned.cell_id
LEFT JOIN runs ON runs.run_id = cells.run_id
LEFT JOIN (SELECT cell_id, list_sort(list(DISTINCT run_id)) AS runs
           FROM evaluations WHERE run_id IS NOT NULL GROUP BY cell_id) AS later
       ON later.cell_id = planned.cell_id
ORDER BY planned.recipe, planned.ordinal;
