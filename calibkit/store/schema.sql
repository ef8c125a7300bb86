-- The calibkit store: tables, views, macros and comments. The only DDL for a fresh store.
--
-- Tables are append-only and have primary keys only: no secondary index, no UPDATE, no upsert.
-- Views are the contract with people who query; their grain, units and signs stand in the
-- COMMENTs at the end. Everything here may run again on an existing store (a migration changes
-- tables in its own numbered step, then runs this file to refresh views, macros and comments).
--
-- Units: fractions are in [0, 1]; drops are positive when worse; times are seconds; timestamps are
-- UTC without zone. A clean measurement is noise_kind 'none', noise 0, noise_seed 0, exactly once.

CREATE SCHEMA IF NOT EXISTS core;

-- ------------------------------------------------------------------------------- bookkeeping

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

-- ------------------------------------------------------------------------------------ corpora

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

CREATE TABLE IF NOT EXISTS document_vectors (
    corpus_id VARCHAR NOT NULL,
    doc_id    VARCHAR NOT NULL,
    vector    FLOAT[] NOT NULL
);

-- ------------------------------------------------------------------------------------ subsets

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

-- Who made a document; its text stands in documents, in the split 'synthetic'.
CREATE TABLE IF NOT EXISTS synthetic_documents (
    request_key VARCHAR,
    doc_id      VARCHAR,
    corpus_id   VARCHAR NOT NULL,
    generator   VARCHAR NOT NULL,
    params      JSON,
    seed        BIGINT,
    model_id    VARCHAR,
    made_from   VARCHAR,
    label       VARCHAR NOT NULL,
    created_at  TIMESTAMP,
    PRIMARY KEY (request_key, doc_id)
);

CREATE TABLE IF NOT EXISTS subset_cards (
    subset_id  VARCHAR,
    pool       VARCHAR,
    share      DOUBLE,
    model_id   VARCHAR,
    draws      INTEGER,
    version    INTEGER,
    metric     VARCHAR,
    site       VARCHAR,
    ordinal    INTEGER,
    value      DOUBLE,
    low        DOUBLE,
    median     DOUBLE,
    high       DOUBLE,
    rank       DOUBLE,
    verdict    VARCHAR CHECK (verdict IN ('low', 'inside', 'high')),
    is_bad     BOOLEAN,
    reason     VARCHAR,
    created_at TIMESTAMP,
    PRIMARY KEY (subset_id, pool, share, model_id, draws, version, metric, site)
);

-- ------------------------------------------------------------------------ models and test sets

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

-- ------------------------------------------------------------------------------ runs and plans

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

-- ------------------------------------------------------------------------------- measurements

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

-- In the next two, a baseline's rows carry '<model_id>/<stage>/<test_id>' as cell_id.

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

-- ------------------------------------------------------------------------------------ streams

-- A trajectory is one float model, quantized, with its first subset, gone through all batches of a
-- stream by one method. Step 0 is before any batch; step n is after the n-th.

CREATE TABLE IF NOT EXISTS stream_phases (
    stream_id  VARCHAR,
    phase      INTEGER,
    name       VARCHAR NOT NULL,
    batches    INTEGER NOT NULL,
    corpus     VARCHAR,
    noise_kind VARCHAR,
    noise      DOUBLE,
    labels     JSON,
    between_   JSON,
    documents  INTEGER,
    PRIMARY KEY (stream_id, phase),
    CHECK ((noise_kind = 'none') = (noise = 0))
);

CREATE TABLE IF NOT EXISTS stream_trajectories (
    recipe_id     VARCHAR,
    trajectory_id VARCHAR,
    stream_id     VARCHAR NOT NULL,
    recipe        VARCHAR,
    ordinal       INTEGER,
    corpus        VARCHAR,
    model         VARCHAR,
    model_kind    VARCHAR,
    model_seed    BIGINT,
    method        VARCHAR,
    subset_update VARCHAR,
    model_update  VARCHAR,
    params        JSON,
    policy        VARCHAR,
    policy_kind   VARCHAR,
    size          INTEGER,
    seed          BIGINT,
    bits          INTEGER,
    preset        VARCHAR,
    scheme_id     VARCHAR,
    PRIMARY KEY (recipe_id, trajectory_id, model, method, policy, preset) -- as in recipe_cells
);

CREATE TABLE IF NOT EXISTS stream_steps (
    trajectory_id    VARCHAR,
    step             INTEGER,
    phase            INTEGER,
    documents        INTEGER,
    subset_id        VARCHAR,
    parent_subset_id VARCHAR,
    subset_documents INTEGER,
    came             INTEGER,
    gone             INTEGER,
    flips            BIGINT,
    flip_share       DOUBLE,
    refused          VARCHAR,
    objective_before DOUBLE,
    objective_after  DOUBLE,
    macs_subset      BIGINT,
    macs_model       BIGINT,
    seconds_subset   DOUBLE,
    seconds_model    DOUBLE,
    seconds          DOUBLE,
    peak_mb          DOUBLE,
    model_bytes      BIGINT,
    model_id         VARCHAR,
    run_id           VARCHAR,
    host             VARCHAR,
    measured_at      TIMESTAMP,
    PRIMARY KEY (trajectory_id, step),
    CHECK ((step = 0) = (phase IS NULL))
);

CREATE TABLE IF NOT EXISTS stream_evaluations (
    trajectory_id        VARCHAR,
    step                 INTEGER,
    phase                INTEGER,
    documents            INTEGER,
    accuracy             DOUBLE,
    macro_f1             DOUBLE,
    worst_label_accuracy DOUBLE,
    nll                  DOUBLE,
    mean_abs_h           DOUBLE,
    flags                VARCHAR,
    float_accuracy       DOUBLE,
    float_nll            DOUBLE,
    PRIMARY KEY (trajectory_id, step, phase)
);

CREATE TABLE IF NOT EXISTS stream_documents (
    trajectory_id VARCHAR,
    step          INTEGER,
    doc_id        VARCHAR,
    event         VARCHAR CHECK (event IN ('came', 'left')),
    corpus_id     VARCHAR,
    phase         INTEGER,
    label         VARCHAR,
    misses        INTEGER,
    PRIMARY KEY (trajectory_id, step, doc_id, event)
);

-- -------------------------------------------------------------------------------- deployments

-- What `bench deploy` measures: one run of it (bench_id) times every artefact of a cell's network,
-- and those of its float model, in turn on one thread.

CREATE TABLE IF NOT EXISTS deployment_measurements (
    bench_id             VARCHAR,
    cell_id              VARCHAR,
    artefact             VARCHAR CHECK (artefact IN
        ('c', 'onnx', 'onnx-float', 'onnx-dynamic',
         'torch-dynamic')),
    of_cell              BOOLEAN NOT NULL,
    model_id             VARCHAR,
    test_id              VARCHAR,
    documents            INTEGER,
    accuracy             DOUBLE,
    nll                  DOUBLE,
    agreement            DOUBLE,
    size_bytes           BIGINT,
    peak_mb              DOUBLE,
    timed_documents      INTEGER,
    repetitions          INTEGER,
    seconds_1            DOUBLE,
    seconds_64           DOUBLE,
    latency_ratio_1      DOUBLE,
    latency_ratio_1_low  DOUBLE,
    latency_ratio_1_high DOUBLE,
    latency_ratio_64      DOUBLE,
    latency_ratio_64_low  DOUBLE,
    latency_ratio_64_high DOUBLE,
    made_with            VARCHAR,
    versions             JSON,
    host                 VARCHAR,
    command              VARCHAR,
    measured_at          TIMESTAMP,
    PRIMARY KEY (bench_id, cell_id, artefact)
);

-- ------------------------------------------------------------- what the views are made from

-- A recipe name stands for its latest version: the recipe_id of its latest run.
CREATE OR REPLACE VIEW core.latest_recipes AS
SELECT recipe,
       arg_max(recipe_id, (started_at, run_id)) AS recipe_id
FROM runs
WHERE recipe IS NOT NULL AND recipe_id IS NOT NULL
GROUP BY recipe;

-- The noise levels that a recipe shows; the clean one always belongs to them.
CREATE OR REPLACE VIEW core.recipe_levels AS
SELECT recipe_id, noise_kind, noise, noise_seed FROM recipe_noises
UNION
SELECT recipe_id, 'none', 0.0, 0 FROM core.latest_recipes;

CREATE OR REPLACE VIEW core.planned AS
SELECT planned.* REPLACE (latest.recipe AS recipe), plan_cells.cell_id
FROM recipe_cells AS planned
JOIN core.latest_recipes AS latest ON latest.recipe_id = planned.recipe_id
LEFT JOIN plan_cells ON plan_cells.plan_key = planned.plan_key;

-- Cell evaluations of the latest recipes, averaged over noise seeds where there are several.
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

-- What a cell's distribution shifts come to: the mean over sites, quantity by quantity, summed in
-- the order of the sites' names so that the same rows always give the same bits.
CREATE OR REPLACE VIEW core.shifts AS
SELECT cell_id,
       list_avg(list(ks ORDER BY site) FILTER (quantity = 'weights'))     AS ks_weights,
       list_avg(list(ks ORDER BY site) FILTER (quantity = 'activations')) AS ks_activations,
       list_avg(list(ks ORDER BY site) FILTER (quantity = 'token-nll'))   AS ks_token_nll
FROM distributions
WHERE pair = 'float-quantized'
GROUP BY cell_id;

-- ------------------------------------------------------------------------------------- views

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

-- Seeds that gave the same subset share a cell: first one row per cell, then the mean over float
-- models per subset, then the mean and the interval over subsets, the draws.
-- Sums are made in a stated order, so that the same rows always give the same bits.
-- What a recipe calls a scheme: its preset or alias, all of them where several mean the same.
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

-- A pair is one (model_seed, seed) that both policies measured; pairs of the same two subsets are
-- one. A draw is one set of subsets: seeds whose pairs compare the same subsets are one draw.
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

CREATE OR REPLACE VIEW synthetic AS
SELECT corpora.name AS corpus, made.generator, made.params, made.seed, made.model_id,
       asked.subset_id, chosen.position, made.label, documents.tokens, documents.text,
       made.made_from, made.doc_id, made.created_at
FROM synthetic_documents AS made
JOIN subset_requests AS asked ON asked.request_key = made.request_key
JOIN subset_documents AS chosen
  ON chosen.subset_id = asked.subset_id AND chosen.doc_id = made.doc_id
LEFT JOIN corpora ON corpora.corpus_id = made.corpus_id
LEFT JOIN documents
       ON documents.corpus_id = made.corpus_id AND documents.doc_id = made.doc_id
      AND documents.split = 'synthetic'
ORDER BY corpus, made.generator, made.seed, asked.size, made.request_key, chosen.position;

-- The lines of the cards that count: those of the newest metrics, and of the most random draws.
CREATE OR REPLACE VIEW core.cards AS
SELECT *
FROM subset_cards
QUALIFY dense_rank() OVER (
    PARTITION BY subset_id, pool, share, model_id ORDER BY version DESC, draws DESC
) = 1;

CREATE OR REPLACE VIEW coverage_cards AS
WITH asked AS (
    SELECT subset_id, string_agg(DISTINCT policy, ', ' ORDER BY policy) AS policies
    FROM subset_requests
    GROUP BY subset_id
),
kinds AS (SELECT model_id, any_value(kind) AS model_kind FROM models GROUP BY model_id),
shown AS (SELECT DISTINCT subset_id, pool, share, model_id FROM core.cards),
lines AS (  -- a card under a model has the lines that take none as well
    SELECT shown.subset_id, shown.pool, shown.share, shown.model_id AS of_model, card.*
        EXCLUDE (subset_id, pool, share)
    FROM shown
    JOIN core.cards AS card
      ON card.subset_id = shown.subset_id AND card.pool = shown.pool AND card.share = shown.share
     AND card.model_id IN ('', shown.model_id)
),
wide AS (
    SELECT subset_id, pool, share, of_model AS model_id,
           any_value(draws) FILTER (model_id = of_model) AS draws,
           max(value) FILTER (metric = 'label_chi_square') AS label_chi_square,
           max(value) FILTER (metric = 'label_distance')   AS label_distance,
           max(value) FILTER (metric = 'length_p10')       AS length_p10,
           max(value) FILTER (metric = 'length_p50')       AS length_p50,
           max(value) FILTER (metric = 'length_p90')       AS length_p90,
           max(value) FILTER (metric = 'tokens_kept')      AS tokens_kept,
           max(value) FILTER (metric = 'types_covered')    AS types_covered,
           max(value) FILTER (metric = 'tokens_covered')   AS tokens_covered,
           max(value) FILTER (metric = 'oov_share')        AS oov_share,
           max(value) FILTER (metric = 'mmd')              AS mmd,
           max(value) FILTER (metric = 'near_copies')      AS near_copies,
           max(value) FILTER (metric = 'in_test')          AS in_test,
           max(value) FILTER (metric = 'near_test')        AS near_test,
           max(value) FILTER (metric = 'range_covered' AND site = '')  AS range_covered,
           min(value) FILTER (metric = 'range_covered' AND site <> '') AS worst_range_covered,
           max(value) FILTER (metric = 'clip_rate' AND site = '')      AS clip_rate,
           max(value) FILTER (metric = 'clip_rate' AND site <> '')     AS worst_clip_rate,
           arg_max(site, value) FILTER (metric = 'clip_rate' AND site <> '') AS worst_site,
           max(value) FILTER (metric = 'log_det')          AS log_det,
           max(value) FILTER (metric = CASE of_model WHEN '' THEN 'outside' ELSE 'outside_all' END)
               AS outside,
           list(metric ORDER BY model_id, ordinal) FILTER (
               is_bad AND site = '' AND metric NOT IN ('outside', 'outside_all')
           ) AS bad,
           max(created_at) AS created_at
    FROM lines
    GROUP BY subset_id, pool, share, of_model
)
SELECT wide.subset_id, corpora.name AS corpus, subsets.size, asked.policies, wide.pool,
       wide.share, nullif(wide.model_id, '') AS model_id, kinds.model_kind,
       wide.* EXCLUDE (subset_id, pool, share, model_id, bad, created_at),
       coalesce(wide.bad, []) AS bad, wide.created_at
FROM wide
JOIN subsets USING (subset_id)
LEFT JOIN corpora USING (corpus_id)
LEFT JOIN asked USING (subset_id)
LEFT JOIN kinds ON kinds.model_id = wide.model_id
ORDER BY corpus, asked.policies, subsets.size, wide.subset_id, wide.pool, wide.share,
         wide.model_id;

-- A cell's card is that under its own float model. Where a subset was held against several pools,
-- the one of the float model's share counts, then the training split.
CREATE OR REPLACE VIEW core.cell_cards AS
WITH measured AS (SELECT DISTINCT subset_id, model_id FROM cells),
trained AS (SELECT model_id, any_value(share) AS share FROM models GROUP BY model_id)
SELECT measured.model_id AS cell_model_id, card.*
FROM measured
JOIN core.cards AS card
  ON card.subset_id = measured.subset_id AND card.model_id IN ('', measured.model_id)
LEFT JOIN trained ON trained.model_id = measured.model_id
QUALIFY dense_rank() OVER (
    PARTITION BY measured.subset_id, measured.model_id, card.model_id
    ORDER BY card.share IS DISTINCT FROM trained.share, card.pool <> 'train', card.pool, card.share
) = 1;

CREATE OR REPLACE VIEW card_vs_drop AS
SELECT r.corpus, r.recipe, r.model, r.model_kind, r.model_seed, r.policy, r.policy_kind, r.size,
       r.seed, r.bits, r.rounding, r.preset, r.scheme_id,
       card.metric, card.value, card.low, card.median, card.high, card.rank, card.verdict,
       card.is_bad, r.accuracy, r.float_accuracy, r.accuracy_drop, r.macro_f1_drop,
       r.nll - r.float_nll AS nll_rise, card.pool, card.share, card.draws, r.cell_id, r.subset_id,
       cells.model_id
FROM results AS r
JOIN cells ON cells.cell_id = r.cell_id
JOIN core.cell_cards AS card
  ON card.subset_id = r.subset_id AND card.cell_model_id = cells.model_id AND card.site = ''
WHERE r.noise_kind = 'none'
ORDER BY r.recipe, r.model, r.model_seed, r.policy, r.size, r.seed, r.bits DESC, r.rounding,
         r.scheme_id, card.model_id, card.ordinal;

-- A cell is done when every noise level of its recipe is there.
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

-- Planned trajectories of the latest recipes, and how far they have come.
CREATE OR REPLACE VIEW core.stream_ends AS
SELECT *, last_step - batches + 1 AS first_step
FROM (
    SELECT *,
           (sum(batches) OVER (PARTITION BY stream_id ORDER BY phase))::INTEGER AS last_step,
           (sum(batches) OVER (PARTITION BY stream_id))::INTEGER AS steps,
           max(phase) OVER (PARTITION BY stream_id) AS last_phase
    FROM stream_phases
);

CREATE OR REPLACE VIEW core.stream_state AS
WITH planned AS (
    SELECT stream_id, any_value(steps) AS steps FROM core.stream_ends GROUP BY stream_id
),
gone_through AS (
    SELECT trajectory_id, count(*)::INTEGER AS present, max(step) AS last_measured
    FROM stream_steps
    GROUP BY trajectory_id
),
failing AS (
    SELECT recipe_id, plan_key AS trajectory_id, count(*) AS attempts,
           arg_max(failure_id, (failed_at, failure_id)) AS failure_id
    FROM failures
    GROUP BY ALL
)
SELECT t.* REPLACE (latest.recipe AS recipe), planned.steps,
       coalesce(through.last_measured, 0) AS steps_done, through.present IS NOT NULL AS is_begun,
       coalesce(through.present, 0) > planned.steps AS is_done,
       failing.failure_id, failing.attempts
FROM stream_trajectories AS t
JOIN core.latest_recipes AS latest ON latest.recipe_id = t.recipe_id
JOIN planned ON planned.stream_id = t.stream_id
LEFT JOIN gone_through AS through ON through.trajectory_id = t.trajectory_id
LEFT JOIN failing
       ON failing.recipe_id = t.recipe_id AND failing.trajectory_id = t.trajectory_id;

CREATE OR REPLACE VIEW stream_results AS
SELECT t.corpus, t.recipe, t.model, t.model_kind, t.model_seed, t.method, t.subset_update,
       t.model_update, t.policy, t.policy_kind, t.size, t.seed, t.bits, t.preset, t.scheme_id,
       e.step, e.phase, ends.name AS phase_name,
       e.step BETWEEN ends.first_step AND ends.last_step AS is_current,
       e.accuracy,
       e.float_accuracy,
       e.float_accuracy - e.accuracy AS accuracy_drop,
       e.macro_f1, e.worst_label_accuracy, e.nll, e.float_nll, e.mean_abs_h,
       coalesce(e.flags, '') AS flags,
       ends.noise_kind, ends.noise, e.documents, steps.subset_id, t.trajectory_id
FROM core.stream_state AS t
JOIN stream_evaluations AS e ON e.trajectory_id = t.trajectory_id
JOIN core.stream_ends AS ends ON ends.stream_id = t.stream_id AND ends.phase = e.phase
LEFT JOIN stream_steps AS steps
       ON steps.trajectory_id = e.trajectory_id AND steps.step = e.step
ORDER BY t.recipe, t.ordinal, e.step, e.phase;

CREATE OR REPLACE VIEW stream_updates AS
SELECT t.corpus, t.recipe, t.model, t.model_kind, t.model_seed, t.method, t.subset_update,
       t.model_update, t.policy, t.policy_kind, t.size, t.seed, t.bits, t.preset, t.scheme_id,
       s.step, s.phase, ends.name AS phase_name, s.documents, s.subset_documents, s.came, s.gone,
       s.flips, s.flip_share, coalesce(s.refused, '') AS refused, s.objective_before,
       s.objective_after, s.macs_subset, s.macs_model, s.seconds_subset, s.seconds_model,
       s.seconds, s.peak_mb, s.model_bytes, s.subset_id, s.parent_subset_id, s.model_id, s.host, s.run_id,
       s.measured_at, t.trajectory_id
FROM core.stream_state AS t
JOIN stream_steps AS s ON s.trajectory_id = t.trajectory_id
LEFT JOIN core.stream_ends AS ends ON ends.stream_id = t.stream_id AND ends.phase = s.phase
ORDER BY t.recipe, t.ordinal, s.step;

-- Lopez-Paz and Ranzato (2017), Chaudhry et al. (2018), with step 0 as the state before any task.
-- A trajectory that has not gone through all batches has no row: its last step is not the last.
CREATE OR REPLACE VIEW stream_forgetting AS
WITH whole AS (
    SELECT DISTINCT trajectory_id, stream_id, steps FROM core.stream_state WHERE is_done
),
of_phase AS (  -- one row per trajectory and phase: its accuracy at the steps that count
    SELECT whole.trajectory_id, ends.phase, ends.last_phase,
           max(e.accuracy) FILTER (e.step = whole.steps)         AS final,
           max(e.float_accuracy) FILTER (e.step = whole.steps)   AS final_float,
           max(e.nll) FILTER (e.step = whole.steps)              AS final_nll,
           max(e.accuracy) FILTER (e.step = ends.last_step)      AS at_its_end,
           max(e.accuracy) FILTER (e.step = ends.first_step - 1) AS before_it,
           max(e.accuracy) FILTER (e.step = 0)                   AS at_start,
           max(e.accuracy) FILTER (e.step < whole.steps)         AS best
    FROM whole
    JOIN core.stream_ends AS ends ON ends.stream_id = whole.stream_id
    JOIN stream_evaluations AS e
      ON e.trajectory_id = whole.trajectory_id AND e.phase = ends.phase
    GROUP BY ALL
),
accuracies AS (
    SELECT trajectory_id,
           avg(final ORDER BY phase)       AS final_accuracy,
           avg(final_float ORDER BY phase) AS final_float_accuracy,
           avg(final_nll ORDER BY phase)   AS final_nll,
           avg(final - at_its_end ORDER BY phase) FILTER (phase < last_phase) AS backward_transfer,
           avg(best - final ORDER BY phase) FILTER (phase < last_phase)       AS forgetting,
           avg(before_it - at_start ORDER BY phase) FILTER (phase > 0)        AS forward_transfer
    FROM of_phase
    GROUP BY trajectory_id
),
online AS (
    SELECT whole.trajectory_id,
           avg(e.accuracy ORDER BY e.step)       AS online_accuracy,
           avg(e.float_accuracy ORDER BY e.step) AS online_float_accuracy,
           avg(e.nll ORDER BY e.step)            AS online_nll
    FROM whole
    JOIN stream_steps AS s ON s.trajectory_id = whole.trajectory_id
    JOIN stream_evaluations AS e
      ON e.trajectory_id = s.trajectory_id AND e.step = s.step AND e.phase = s.phase
    GROUP BY ALL
),
costs AS (  -- of the updates alone: step 0 is the same for every method
    SELECT trajectory_id,
           sum(flips)::BIGINT       AS flips,
           sum(macs_subset)::BIGINT AS macs_subset,
           sum(macs_model)::BIGINT  AS macs_model,
           sum(coalesce(seconds_subset, 0) + coalesce(seconds_model, 0) ORDER BY step) AS seconds,
           max(peak_mb)             AS peak_mb,
           max(model_bytes)         AS model_bytes
    FROM stream_steps
    WHERE step > 0
    GROUP BY trajectory_id
)
SELECT t.corpus, t.recipe, t.model, t.model_kind, t.model_seed, t.method, t.subset_update,
       t.model_update, t.policy, t.policy_kind, t.size, t.seed, t.bits, t.preset, t.scheme_id,
       t.steps, a.final_accuracy, o.online_accuracy, a.final_float_accuracy,
       o.online_float_accuracy, a.final_nll, o.online_nll, a.backward_transfer, a.forgetting,
       a.forward_transfer, c.flips, c.macs_subset + c.macs_model AS macs, c.macs_subset,
       c.macs_model, c.seconds, c.peak_mb, c.model_bytes, t.trajectory_id
FROM core.stream_state AS t
JOIN accuracies AS a ON a.trajectory_id = t.trajectory_id
JOIN online AS o ON o.trajectory_id = t.trajectory_id
LEFT JOIN costs AS c ON c.trajectory_id = t.trajectory_id
WHERE t.is_done
ORDER BY t.recipe, t.ordinal;

-- A stay of a document begins with 'came' and ends with the 'left' that follows.
CREATE OR REPLACE VIEW subset_lineage AS
WITH stays AS (
    SELECT trajectory_id, doc_id, corpus_id, event, step AS came_at, phase AS came_phase, label,
           misses AS misses_when_it_came,
           lead(step) OVER events AS left_at, lead(misses) OVER events AS misses_when_it_left
    FROM stream_documents
    WINDOW events AS (PARTITION BY trajectory_id, doc_id ORDER BY step, event DESC)
)
SELECT t.corpus, t.recipe, t.model, t.model_kind, t.model_seed, t.method, t.subset_update,
       t.model_update, t.policy, t.policy_kind, t.size, t.seed, t.bits, t.preset, t.scheme_id,
       stays.doc_id, stays.label, stays.came_at, stays.came_phase, ends.name AS came_phase_name,
       stays.left_at,
       coalesce(stays.left_at, t.steps_done + 1) - stays.came_at AS steps_stayed,
       stays.misses_when_it_came, stays.misses_when_it_left, came.subset_id,
       came.subset_documents, stays.corpus_id, t.trajectory_id
FROM core.stream_state AS t
JOIN stays ON stays.trajectory_id = t.trajectory_id AND stays.event = 'came'
LEFT JOIN stream_steps AS came
       ON came.trajectory_id = stays.trajectory_id AND came.step = stays.came_at
LEFT JOIN core.stream_ends AS ends
       ON ends.stream_id = t.stream_id AND ends.phase = stays.came_phase
ORDER BY t.recipe, t.ordinal, stays.came_at, stays.doc_id;

CREATE OR REPLACE VIEW stream_progress AS
SELECT t.corpus, t.recipe, t.model, t.model_kind, t.model_seed, t.method, t.subset_update,
       t.model_update, t.policy, t.policy_kind, t.size, t.seed, t.bits, t.preset, t.scheme_id,
       CASE WHEN t.is_done THEN 'done'
            WHEN t.failure_id IS NOT NULL THEN 'failed'
            WHEN t.is_begun THEN 'begun'
            ELSE 'missing' END AS state,
       t.steps_done, t.steps, f.stage, f.error_type, f.message,
       CASE WHEN f.failure_id IS NOT NULL THEN t.attempts END AS attempts, f.failed_at, f.host,
       f.run_id, t.trajectory_id
FROM core.stream_state AS t
LEFT JOIN failures AS f ON f.failure_id = t.failure_id AND NOT t.is_done
ORDER BY t.recipe, t.ordinal;

CREATE OR REPLACE VIEW deployments AS
SELECT corpora.name AS corpus,
       models.kind AS model_kind,
       models.seed AS model_seed,
       d.artefact,
       CASE WHEN d.of_cell THEN CAST(cells.scheme ->> 'bits' AS INTEGER) END AS bits,
       CASE WHEN d.of_cell THEN cells.scheme_id END AS scheme_id,
       CASE WHEN d.of_cell THEN cells.subset_id END AS subset_id,
       d.accuracy,
       d.nll,
       d.agreement,
       d.documents,
       d.size_bytes,
       d.size_bytes / floats.size_bytes AS size_ratio,
       d.peak_mb,
       d.peak_mb / floats.peak_mb AS peak_ratio,
       d.seconds_1,
       d.latency_ratio_1,
       d.latency_ratio_1_low,
       d.latency_ratio_1_high,
       d.seconds_64,
       d.latency_ratio_64,
       d.latency_ratio_64_low,
       d.latency_ratio_64_high,
       d.timed_documents,
       d.repetitions,
       d.made_with,
       d.host,
       d.measured_at,
       d.bench_id,
       d.cell_id,
       d.model_id
FROM deployment_measurements AS d
LEFT JOIN cells ON cells.cell_id = d.cell_id
LEFT JOIN (SELECT model_id, min(kind) AS kind, min(seed) AS seed
           FROM models GROUP BY model_id) AS models ON models.model_id = d.model_id
LEFT JOIN (SELECT DISTINCT corpus_id, name FROM corpora) AS corpora
       ON corpora.corpus_id = cells.corpus_id
LEFT JOIN deployment_measurements AS floats
       ON floats.bench_id = d.bench_id AND floats.cell_id = d.cell_id
      AND floats.artefact = 'onnx-float'
ORDER BY corpus, model_kind, model_seed, d.cell_id, d.measured_at, d.bench_id,
         d.artefact <> 'onnx-float', d.artefact;

CREATE OR REPLACE VIEW progress AS
WITH units AS (
    SELECT recipe, is_done, failure_id FROM core.state
    UNION ALL
    SELECT recipe, is_done, failure_id FROM core.stream_state
)
SELECT recipe,
       count(*)                                                         AS planned,
       count(*) FILTER (WHERE is_done)                                  AS done,
       count(*) FILTER (WHERE NOT is_done AND failure_id IS NOT NULL)   AS failed,
       count(*) FILTER (WHERE NOT is_done AND failure_id IS NULL)       AS missing
FROM units
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

-- ---------------------------------------------------------------------------------- comments

COMMENT ON TABLE meta IS 'Facts about the store itself: schema_version, created_at, created_by.';
COMMENT ON TABLE t_quantiles IS
    'Two-sided Student t quantiles: t such that a share `level` lies within +-t, for df 1 to 1000; beyond that 1.96 is used.';
COMMENT ON TABLE corpora IS
    'One row per corpus version: counts, sources with their sha256, when it was ingested.';
COMMENT ON TABLE labels IS
    'One row per label of a corpus; label_id counts from 0 in sorted order of the label names.';
COMMENT ON TABLE documents IS
    'One row per document of a corpus: split, label, text, tokens (count), flags for duplicates and texts that also stand in test.';
COMMENT ON TABLE document_vectors IS
    'One row per document that came with a vector (`ingest --vectors`); all of a corpus have as many numbers.';
COMMENT ON TABLE subsets IS 'One row per distinct ordered list of calibration documents.';
COMMENT ON TABLE subset_requests IS
    'One row per way a subset was asked for: policy, parameters, size, seed, pool. Several may give the same subset.';
COMMENT ON TABLE subset_documents IS
    'The documents of each subset; position counts from 0 in calibration order.';
COMMENT ON TABLE subset_profiles IS
    'One row per subset: its lengths, coverage and label mix. Shown by the view subset_profile.';
COMMENT ON TABLE synthetic_documents IS
    'One row per made document and request for a subset that made it: by which generator, from what. The texts are documents of the split synthetic. Shown by the view synthetic.';
COMMENT ON TABLE subset_cards IS
    'One row per line of a coverage card: subset, what it was held against (pool, share, draws, version of the metrics), float model (empty for lines that take none), metric and activation site (empty for the mean over sites and for metrics without). Columns as in the view card_vs_drop. Shown by the view coverage_cards.';
COMMENT ON TABLE models IS
    'One row per trained float model; model_key is the hash of its inputs, model_id that of its weights.';
COMMENT ON TABLE test_sets IS
    'One row per set of test documents, in the order in which predictions are stored.';
COMMENT ON TABLE noise_sets IS
    'One row per corrupted test set and vocabulary: what the nominal noise level became.';
COMMENT ON TABLE runs IS
    'One row per invocation of evaluate or stream: recipe text, command, host, git commit, versions.';
COMMENT ON TABLE recipe_cells IS
    'The planned cells of each recipe version, with the recipe''s own names.';
COMMENT ON TABLE recipe_noises IS 'The noise levels of each recipe version.';
COMMENT ON TABLE plan_cells IS
    'Which measured cell (hash of outputs) a planned cell (hash of inputs) became.';
COMMENT ON TABLE cells IS
    'One row per measured cell: model, subset, scheme, test set; what the views join.';
COMMENT ON TABLE evaluations IS
    'One row per cell and noise level, all fractions in [0, 1]. Shown by the view results.';
COMMENT ON TABLE baseline_evaluations IS
    'One row per float model, test set, stage (float, port) and noise level. Shown by the view baselines.';
COMMENT ON TABLE label_evaluations IS
    'One row per cell (or baseline), noise level and label: counts of documents, predictions and hits.';
COMMENT ON TABLE predictions IS
    'One row per cell (or baseline) and noise level: the predicted label_id of each document of the test set, in its order.';
COMMENT ON TABLE distributions IS
    'One row per cell, quantity (weights, activations, token-nll), site and pair of samples: how far the second is from the first.';
COMMENT ON TABLE failures IS
    'One row per failed attempt at a planned cell or trajectory (plan_key is its trajectory_id). The ones that still matter are in the views failed and stream_progress.';
COMMENT ON TABLE stream_phases IS
    'One row per phase of a stream, counted from 0: its batches, and what its documents are: corpus, noise, label weights (JSON; NULL = as they come), quantiles of a column between which they lie (between_, JSON); documents = of a batch.';
COMMENT ON TABLE stream_trajectories IS
    'The planned trajectories of each version of a stream recipe, with the recipe''s own names. trajectory_id is the hash of all inputs.';
COMMENT ON TABLE stream_steps IS
    'One row per trajectory and step (0 = before any batch): the subset and what became of it, the update of the model and its cost. Shown by the view stream_updates.';
COMMENT ON TABLE stream_evaluations IS
    'One row per trajectory, step and phase: measured on that phase''s hold-out after that step, all fractions in [0, 1]. Shown by the view stream_results.';
COMMENT ON TABLE stream_documents IS
    'One row per document that came into the subset of a trajectory at a step, or left it; phase = that of the batch it came with (NULL: it was in the first subset). Shown by the view subset_lineage.';
COMMENT ON TABLE deployment_measurements IS
    'One row per artefact and run of `bench deploy`. Shown by the view deployments.';
COMMENT ON TABLE conflicts IS
    'One row per measurement that came back different for the same key: evidence of non-determinism. The first one was kept.';
COMMENT ON VIEW core.latest_recipes IS 'Internal: the latest version of each recipe name.';
COMMENT ON VIEW core.recipe_levels IS
    'Internal: the noise levels of each recipe version, the clean one included.';
COMMENT ON VIEW core.presets IS
    'Internal: what each recipe calls its schemes.';
COMMENT ON VIEW core.planned IS
    'Internal: planned cells of the latest recipe versions and the cells that they became.';
COMMENT ON VIEW core.measured IS 'Internal: evaluations at the levels of a recipe.';
COMMENT ON VIEW core.measured_baselines IS
    'Internal: baseline evaluations at the levels of a recipe.';
COMMENT ON VIEW core.measured_labels IS 'Internal: label evaluations at the levels of a recipe.';
COMMENT ON VIEW core.shifts IS
    'Internal: mean KS D over sites between float and quantized values, per cell.';
COMMENT ON VIEW core.cards IS
    'Internal: the cards that count, of the newest metrics and the most random draws.';
COMMENT ON VIEW core.cell_cards IS
    'Internal: the cards of the subsets of cells, under the cells'' own float models.';
COMMENT ON VIEW core.state IS 'Internal: planned cells with whether they are done or failed.';
COMMENT ON VIEW core.stream_ends IS
    'Internal: phases of streams with their first and last step, and how many steps there are.';
COMMENT ON VIEW core.stream_state IS
    'Internal: planned trajectories of the latest recipe versions and how far they have come.';
COMMENT ON MACRO TABLE compare IS
    'compare(a, b): one row per (corpus, recipe, model, size, bits, rounding, scheme_id, noise_kind, noise): how much better policy a is than policy b (aliases of a recipe). Pairs share model_seed and seed; gain = mean of accuracy(a) - accuracy(b) over draws, positive = a is better; sd over draws; draws = distinct sets of compared subsets (seeds that gave the same subsets count once; a draw is first averaged over its float models); wins = pairs with a better; pairs = distinct pairs; ci_low, ci_high = 95 % Student t over draws, NULL when draws < 2.';

COMMENT ON VIEW results IS
    'One row per (recipe, model, model_seed, policy, size, seed, cell, noise_kind, noise) of the latest version of each recipe: every measured cell with its grid columns. Fractions in [0, 1]; drops are positive when worse. The clean row is noise_kind ''none'', noise 0.';
COMMENT ON COLUMN results.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN results.recipe IS 'Name of the recipe; its latest version is shown.';
COMMENT ON COLUMN results.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN results.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN results.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN results.policy IS
    'The recipe''s alias of the policy that chose the calibration subset.';
COMMENT ON COLUMN results.policy_kind IS 'Registry name of the policy.';
COMMENT ON COLUMN results.size IS 'Calibration documents in the subset (count).';
COMMENT ON COLUMN results.seed IS 'Seed of the calibration draw.';
COMMENT ON COLUMN results.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN results.rounding IS 'How weights are rounded: nearest, gpfq, ...';
COMMENT ON COLUMN results.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN results.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN results.noise_kind IS 'Kind of test noise; none = clean.';
COMMENT ON COLUMN results.noise IS
    'Nominal noise level, fraction of eligible characters in [0, 1]; 0 = clean.';
COMMENT ON COLUMN results.accuracy IS
    'Fraction of test documents classified correctly, in [0, 1]; higher is better.';
COMMENT ON COLUMN results.float_accuracy IS
    'Accuracy of the float model under the same noise, in [0, 1].';
COMMENT ON COLUMN results.accuracy_drop IS
    'float_accuracy - accuracy under the same noise; positive = quantization made it worse.';
COMMENT ON COLUMN results.noise_drop IS
    'Clean accuracy - accuracy under this noise, same cell; positive = noise made it worse.';
COMMENT ON COLUMN results.macro_f1 IS
    'Unweighted mean of the labels'' F1, in [0, 1]; higher is better.';
COMMENT ON COLUMN results.macro_f1_drop IS
    'Float macro-F1 - macro_f1 under the same noise; positive = worse.';
COMMENT ON COLUMN results.worst_label_accuracy IS 'Lowest accuracy among the labels, in [0, 1].';
COMMENT ON COLUMN results.majority_share IS
    'Share of the most predicted label among predictions, in [0, 1]; near 1 = collapsed.';
COMMENT ON COLUMN results.nll IS
    'Mean negative log-likelihood per document: of the true label (discriminative), of the text with its true label (generative), in nats; lower is better.';
COMMENT ON COLUMN results.float_nll IS 'nll of the float model under the same noise, in nats.';
COMMENT ON COLUMN results.mean_abs_h IS
    'Mean |h| of the LSTM''s hidden state over real tokens; 0 = the LSTM is dead.';
COMMENT ON COLUMN results.flags IS
    'What to be wary of in this row (comma-separated names); empty = nothing.';
COMMENT ON COLUMN results.ks_weights IS
    'Kolmogorov-Smirnov D between float and quantized weights, one number per cell, in [0, 1]; 0 = same distribution.';
COMMENT ON COLUMN results.ks_activations IS
    'Kolmogorov-Smirnov D between float and quantized activations, one number per cell, in [0, 1]; 0 = same distribution. NULL for another tool''s quantizer, which has none of the sites.';
COMMENT ON COLUMN results.ks_token_nll IS
    'Kolmogorov-Smirnov D between the float and the quantized model''s cross-entropies on clean text, per token (generative) or per document (discriminative), in [0, 1]; NULL where it was not measured.';
COMMENT ON COLUMN results.documents IS 'Test documents measured (count).';
COMMENT ON COLUMN results.seconds IS
    'Wall time of the whole cell (seconds); the same in each of its noise rows.';
COMMENT ON COLUMN results.cell_id IS 'Hash of what decides the numbers; equal cells share it.';
COMMENT ON COLUMN results.subset_id IS
    'Hash of the ordered calibration documents; `calibkit show` takes it.';

COMMENT ON VIEW baselines IS
    'One row per (recipe, model, model_seed, stage, noise_kind, noise): the float model (stage ''float'') and the Brevitas graph with quantizers off (stage ''port'') under the same noise as the cells. Shows a model once one of its cells is measured. Fractions in [0, 1]; drops are positive when worse.';
COMMENT ON COLUMN baselines.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN baselines.recipe IS 'Name of the recipe; its latest version is shown.';
COMMENT ON COLUMN baselines.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN baselines.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN baselines.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN baselines.stage IS
    'float = the trained model; port = the Brevitas graph with its quantizers off.';
COMMENT ON COLUMN baselines.noise_kind IS 'Kind of test noise; none = clean.';
COMMENT ON COLUMN baselines.noise IS
    'Nominal noise level, fraction of eligible characters in [0, 1]; 0 = clean.';
COMMENT ON COLUMN baselines.accuracy IS
    'Fraction of test documents classified correctly without quantization, in [0, 1]; higher is better.';
COMMENT ON COLUMN baselines.noise_drop IS
    'Clean accuracy - accuracy under this noise, same stage; positive = noise made it worse.';
COMMENT ON COLUMN baselines.macro_f1 IS
    'Unweighted mean of the labels'' F1, in [0, 1]; higher is better.';
COMMENT ON COLUMN baselines.worst_label_accuracy IS 'Lowest accuracy among the labels, in [0, 1].';
COMMENT ON COLUMN baselines.majority_share IS
    'Share of the most predicted label among predictions, in [0, 1]; near 1 = collapsed.';
COMMENT ON COLUMN baselines.nll IS
    'Mean negative log-likelihood per document: of the true label (discriminative), of the text with its true label (generative), in nats; lower is better.';
COMMENT ON COLUMN baselines.mean_abs_h IS
    'Mean |h| of the LSTM''s hidden state over real tokens; 0 = the LSTM is dead.';
COMMENT ON COLUMN baselines.agreement IS
    'Share of predictions equal to those of stage float, in [0, 1].';
COMMENT ON COLUMN baselines.flags IS
    'What to be wary of in this row (comma-separated names); empty = nothing.';
COMMENT ON COLUMN baselines.documents IS 'Test documents measured (count).';
COMMENT ON COLUMN baselines.seconds IS 'Wall time of this evaluation (seconds).';
COMMENT ON COLUMN baselines.model_id IS 'Hash of the float model''s weights.';
COMMENT ON COLUMN baselines.test_id IS 'Hash of the set of test documents.';

COMMENT ON VIEW summary IS
    'One row per (corpus, recipe, model, policy, size, bits, rounding, scheme_id, noise_kind, noise): the mean over draws. A draw is what one seed chose: a subset, or one subset per float model for a policy that looks through the model; it is first averaged over float models, and seeds that gave the same documents count once. The interval is Student t at 95 % over draws, NULL when draws < 2. While a run is incomplete, draws may rest on different float models.';
COMMENT ON COLUMN summary.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN summary.recipe IS 'Name of the recipe; its latest version is shown.';
COMMENT ON COLUMN summary.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN summary.policy IS
    'The recipe''s alias of the policy that chose the calibration subset.';
COMMENT ON COLUMN summary.size IS 'Calibration documents in the subset (count).';
COMMENT ON COLUMN summary.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN summary.rounding IS 'How weights are rounded: nearest, gpfq, ...';
COMMENT ON COLUMN summary.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN summary.preset IS
    'Quantization preset or alias of the scheme in the recipe; several, where they mean the same.';
COMMENT ON COLUMN summary.noise_kind IS 'Kind of test noise; none = clean.';
COMMENT ON COLUMN summary.noise IS
    'Nominal noise level, fraction of eligible characters in [0, 1]; 0 = clean.';
COMMENT ON COLUMN summary.accuracy IS 'Mean accuracy over draws, in [0, 1]; higher is better.';
COMMENT ON COLUMN summary.sd IS
    'Standard deviation of the per-subset mean accuracies (fraction); NULL when draws < 2.';
COMMENT ON COLUMN summary.draws IS
    'Distinct calibration subsets (count), or distinct sets of subsets where the policy looks through the float model; seeds that gave the same count once.';
COMMENT ON COLUMN summary.models IS 'Float models (training seeds) behind the mean (count).';
COMMENT ON COLUMN summary.ci_low IS
    'Lower end of the 95 % Student t interval of accuracy over draws; NULL when draws < 2.';
COMMENT ON COLUMN summary.ci_high IS
    'Upper end of the 95 % Student t interval of accuracy over draws; NULL when draws < 2.';
COMMENT ON COLUMN summary.accuracy_drop IS
    'Mean accuracy_drop over draws; positive = quantization made it worse.';
COMMENT ON COLUMN summary.noise_drop IS
    'Mean noise_drop over draws (see results); positive = noise made it worse.';
COMMENT ON COLUMN summary.macro_f1 IS 'Mean macro-F1 over draws, in [0, 1]; higher is better.';
COMMENT ON COLUMN summary.nll IS 'Mean nll over draws (see results), in nats; lower is better.';
COMMENT ON COLUMN summary.ks_weights IS 'Mean ks_weights over draws (see results), in [0, 1].';
COMMENT ON COLUMN summary.ks_activations IS
    'Mean ks_activations over draws (see results), in [0, 1].';
COMMENT ON COLUMN summary.ks_token_nll IS 'Mean ks_token_nll over draws (see results), in [0, 1].';
COMMENT ON COLUMN summary.seconds IS 'Mean wall time per cell (seconds).';

COMMENT ON VIEW label_results IS
    'One row per row of results and label: how each label fares. Fractions in [0, 1]; drops are positive when worse.';
COMMENT ON COLUMN label_results.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN label_results.recipe IS 'Name of the recipe; its latest version is shown.';
COMMENT ON COLUMN label_results.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN label_results.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN label_results.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN label_results.policy IS
    'The recipe''s alias of the policy that chose the calibration subset.';
COMMENT ON COLUMN label_results.policy_kind IS 'Registry name of the policy.';
COMMENT ON COLUMN label_results.size IS 'Calibration documents in the subset (count).';
COMMENT ON COLUMN label_results.seed IS 'Seed of the calibration draw.';
COMMENT ON COLUMN label_results.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN label_results.rounding IS 'How weights are rounded: nearest, gpfq, ...';
COMMENT ON COLUMN label_results.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN label_results.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN label_results.noise_kind IS 'Kind of test noise; none = clean.';
COMMENT ON COLUMN label_results.noise IS
    'Nominal noise level, fraction of eligible characters in [0, 1]; 0 = clean.';
COMMENT ON COLUMN label_results.label_id IS 'Number of the label within its corpus.';
COMMENT ON COLUMN label_results.label IS 'Name of the label.';
COMMENT ON COLUMN label_results.accuracy IS
    'Fraction of this label''s test documents classified correctly (its recall), in [0, 1].';
COMMENT ON COLUMN label_results.float_accuracy IS
    'The same of the float model under the same noise, in [0, 1].';
COMMENT ON COLUMN label_results.accuracy_drop IS
    'float_accuracy - accuracy under the same noise; positive = quantization made it worse.';
COMMENT ON COLUMN label_results.f1 IS 'F1 of this label, in [0, 1]; higher is better.';
COMMENT ON COLUMN label_results.f1_drop IS 'Float F1 - f1 under the same noise; positive = worse.';
COMMENT ON COLUMN label_results.documents IS 'Test documents of this label (count).';
COMMENT ON COLUMN label_results.predicted IS 'Test documents predicted to be this label (count).';
COMMENT ON COLUMN label_results.correct IS
    'Test documents of this label that were predicted to be it (count).';
COMMENT ON COLUMN label_results.cell_id IS
    'Hash of what decides the numbers; equal cells share it.';
COMMENT ON COLUMN label_results.subset_id IS
    'Hash of the ordered calibration documents; `calibkit show` takes it.';

COMMENT ON VIEW weight_shift IS
    'One row per (recipe, model, model_seed, policy, size, seed, cell, weight tensor, pair): how far the quantized weights are from the float ones, or rounded from unrounded. ks is nearly blind for weights: read code_change_rate and sqnr_db beside it.';
COMMENT ON COLUMN weight_shift.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN weight_shift.recipe IS 'Name of the recipe; its latest version is shown.';
COMMENT ON COLUMN weight_shift.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN weight_shift.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN weight_shift.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN weight_shift.policy IS
    'The recipe''s alias of the policy that chose the calibration subset.';
COMMENT ON COLUMN weight_shift.policy_kind IS 'Registry name of the policy.';
COMMENT ON COLUMN weight_shift.size IS 'Calibration documents in the subset (count).';
COMMENT ON COLUMN weight_shift.seed IS 'Seed of the calibration draw.';
COMMENT ON COLUMN weight_shift.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN weight_shift.rounding IS 'How weights are rounded: nearest, gpfq, ...';
COMMENT ON COLUMN weight_shift.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN weight_shift.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN weight_shift.site IS 'Where in the network: the tensor or quantizer.';
COMMENT ON COLUMN weight_shift.pair IS 'Which two samples are compared.';
COMMENT ON COLUMN weight_shift.site_bits IS 'Bit width at this site (bits).';
COMMENT ON COLUMN weight_shift.ks IS
    'Two-sample Kolmogorov-Smirnov D, in [0, 1]; 0 = same distribution.';
COMMENT ON COLUMN weight_shift.wasserstein IS
    'Wasserstein-1 distance divided by the first sample''s standard deviation (no unit); 0 = same.';
COMMENT ON COLUMN weight_shift.sqnr_db IS
    'Signal to quantization noise ratio (dB); higher is better.';
COMMENT ON COLUMN weight_shift.code_change_rate IS
    'Share of integer codes that differ from nearest rounding, in [0, 1].';
COMMENT ON COLUMN weight_shift.mean_code_change IS
    'Mean |difference| of integer codes from nearest rounding (codes).';
COMMENT ON COLUMN weight_shift.tail_p999 IS
    '99.9th percentile of |value|, second sample over first (ratio); below 1 = tail lost.';
COMMENT ON COLUMN weight_shift.tail_p9999 IS
    '99.99th percentile of |value|, second sample over first (ratio); below 1 = tail lost.';
COMMENT ON COLUMN weight_shift.threshold IS
    'Clipping threshold of the quantizer (the values'' own unit).';
COMMENT ON COLUMN weight_shift.n_a IS 'Size of the first sample (count).';
COMMENT ON COLUMN weight_shift.n_b IS 'Size of the second sample (count).';
COMMENT ON COLUMN weight_shift.ks_p IS
    'p-value of ks; means nothing at these sample sizes, never lead with it.';
COMMENT ON COLUMN weight_shift.cell_id IS 'Hash of what decides the numbers; equal cells share it.';
COMMENT ON COLUMN weight_shift.subset_id IS
    'Hash of the ordered calibration documents; `calibkit show` takes it.';

COMMENT ON VIEW activation_shift IS
    'One row per (recipe, model, model_seed, policy, size, seed, cell, activation quantizer, pair): how far the quantized activations are from the float ones, and how the calibrated range fits them.';
COMMENT ON COLUMN activation_shift.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN activation_shift.recipe IS 'Name of the recipe; its latest version is shown.';
COMMENT ON COLUMN activation_shift.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN activation_shift.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN activation_shift.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN activation_shift.policy IS
    'The recipe''s alias of the policy that chose the calibration subset.';
COMMENT ON COLUMN activation_shift.policy_kind IS 'Registry name of the policy.';
COMMENT ON COLUMN activation_shift.size IS 'Calibration documents in the subset (count).';
COMMENT ON COLUMN activation_shift.seed IS 'Seed of the calibration draw.';
COMMENT ON COLUMN activation_shift.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN activation_shift.rounding IS 'How weights are rounded: nearest, gpfq, ...';
COMMENT ON COLUMN activation_shift.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN activation_shift.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN activation_shift.site IS 'Where in the network: the tensor or quantizer.';
COMMENT ON COLUMN activation_shift.pair IS 'Which two samples are compared.';
COMMENT ON COLUMN activation_shift.site_bits IS 'Bit width at this site (bits).';
COMMENT ON COLUMN activation_shift.ks IS
    'Two-sample Kolmogorov-Smirnov D, in [0, 1]; 0 = same distribution.';
COMMENT ON COLUMN activation_shift.wasserstein IS
    'Wasserstein-1 distance divided by the first sample''s standard deviation (no unit); 0 = same.';
COMMENT ON COLUMN activation_shift.sqnr_db IS
    'Signal to quantization noise ratio (dB); higher is better.';
COMMENT ON COLUMN activation_shift.clip_rate IS
    'Share of values outside the quantizer''s range, in [0, 1].';
COMMENT ON COLUMN activation_shift.range_use IS
    'Share of the quantizer''s range that the values use, in [0, 1].';
COMMENT ON COLUMN activation_shift.tail_p999 IS
    '99.9th percentile of |value|, second sample over first (ratio); below 1 = tail lost.';
COMMENT ON COLUMN activation_shift.tail_p9999 IS
    '99.99th percentile of |value|, second sample over first (ratio); below 1 = tail lost.';
COMMENT ON COLUMN activation_shift.threshold IS
    'Clipping threshold of the quantizer (the values'' own unit).';
COMMENT ON COLUMN activation_shift.n_a IS 'Size of the first sample (count).';
COMMENT ON COLUMN activation_shift.n_b IS 'Size of the second sample (count).';
COMMENT ON COLUMN activation_shift.ks_p IS
    'p-value of ks; means nothing at these sample sizes, never lead with it.';
COMMENT ON COLUMN activation_shift.cell_id IS
    'Hash of what decides the numbers; equal cells share it.';
COMMENT ON COLUMN activation_shift.subset_id IS
    'Hash of the ordered calibration documents; `calibkit show` takes it.';

COMMENT ON VIEW subset_profile IS
    'One row per subset: what its documents look like, and who asked for it.';
COMMENT ON COLUMN subset_profile.subset_id IS
    'Hash of the ordered calibration documents; `calibkit show` takes it.';
COMMENT ON COLUMN subset_profile.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN subset_profile.size IS 'Calibration documents in the subset (count).';
COMMENT ON COLUMN subset_profile.policies IS
    'Registry names of the policies that chose this subset, comma-separated.';
COMMENT ON COLUMN subset_profile.seeds IS 'Seeds that gave this subset.';
COMMENT ON COLUMN subset_profile.pool IS 'Split that it was drawn from.';
COMMENT ON COLUMN subset_profile.requests IS 'Ways in which it was asked for (count).';
COMMENT ON COLUMN subset_profile.documents IS 'Documents in the subset (count).';
COMMENT ON COLUMN subset_profile.tokens IS
    'Tokens in the subset, without the begin and end marks (count).';
COMMENT ON COLUMN subset_profile.length_p10 IS '10th percentile of document length (tokens).';
COMMENT ON COLUMN subset_profile.length_p50 IS 'Median document length (tokens).';
COMMENT ON COLUMN subset_profile.length_p90 IS '90th percentile of document length (tokens).';
COMMENT ON COLUMN subset_profile.oov_share IS 'Share of tokens outside the vocabulary, in [0, 1].';
COMMENT ON COLUMN subset_profile.vocabulary_coverage IS
    'Share of the vocabulary that occurs in the subset, in [0, 1].';
COMMENT ON COLUMN subset_profile.label_total_variation IS
    'Total variation distance between the subset''s and the pool''s label mix, in [0, 1]; 0 = same mix.';
COMMENT ON COLUMN subset_profile.label_mix IS
    'Label name -> share of the subset''s documents (JSON).';
COMMENT ON COLUMN subset_profile.created_at IS 'When it was first built (UTC).';

COMMENT ON VIEW synthetic IS
    'One row per made calibration document and request for a subset that made it: what it says and how it came to be. Documents of a pool that stand in such a subset as they are do not appear.';
COMMENT ON COLUMN synthetic.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN synthetic.generator IS 'Registry name of the generator that made it.';
COMMENT ON COLUMN synthetic.params IS 'Parameters of the generator (JSON).';
COMMENT ON COLUMN synthetic.seed IS 'Seed of the calibration draw.';
COMMENT ON COLUMN synthetic.model_id IS
    'Hash of the weights of the float model that wrote it, or that was looked through; NULL where none was.';
COMMENT ON COLUMN synthetic.subset_id IS
    'Hash of the ordered calibration documents; `calibkit show` takes it.';
COMMENT ON COLUMN synthetic.position IS 'Place in the subset, counted from 0.';
COMMENT ON COLUMN synthetic.label IS 'Name of the label that it stands for.';
COMMENT ON COLUMN synthetic.tokens IS 'Length (tokens), without the begin and end marks.';
COMMENT ON COLUMN synthetic.text IS 'The text.';
COMMENT ON COLUMN synthetic.made_from IS
    'Id of the document of the corpus that it is made from; NULL where it is from none.';
COMMENT ON COLUMN synthetic.doc_id IS
    'Hash of label, text and occurrence; equal texts of a label are one document.';
COMMENT ON COLUMN synthetic.created_at IS 'When it was first asked for (UTC).';

COMMENT ON VIEW coverage_cards IS
    'One row per subset, pool and float model: its coverage card, the values only; `calibkit profile` shows them beside random draws of the same size, and the table subset_cards has those and every activation site. model_id is NULL on the row of the card that takes no model; on the others, the metrics of text are repeated. NULL: not defined, reason in subset_cards.';
COMMENT ON COLUMN coverage_cards.subset_id IS
    'Hash of the ordered calibration documents; `calibkit show` takes it.';
COMMENT ON COLUMN coverage_cards.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN coverage_cards.size IS 'Calibration documents in the subset (count).';
COMMENT ON COLUMN coverage_cards.policies IS
    'Registry names of the policies that chose this subset, comma-separated.';
COMMENT ON COLUMN coverage_cards.pool IS 'Split whose documents it is held against.';
COMMENT ON COLUMN coverage_cards.share IS
    'Share of the corpus that the pool is taken from, in (0, 1].';
COMMENT ON COLUMN coverage_cards.model_id IS
    'Hash of the float model that the documents were looked at through; NULL = none.';
COMMENT ON COLUMN coverage_cards.model_kind IS 'discriminative or generative; NULL = no model.';
COMMENT ON COLUMN coverage_cards.draws IS 'Random draws that it was compared with (count).';
COMMENT ON COLUMN coverage_cards.label_chi_square IS
    'Pearson''s chi-square of its label counts against the pool''s mix; high is bad.';
COMMENT ON COLUMN coverage_cards.label_distance IS
    'Total variation distance between its and the pool''s label mix, in [0, 1]; high is bad.';
COMMENT ON COLUMN coverage_cards.length_p10 IS '10th percentile of document length (tokens).';
COMMENT ON COLUMN coverage_cards.length_p50 IS 'Median document length (tokens).';
COMMENT ON COLUMN coverage_cards.length_p90 IS '90th percentile of document length (tokens).';
COMMENT ON COLUMN coverage_cards.tokens_kept IS
    'Share of its tokens that are left after documents are cut, in [0, 1]; low is bad.';
COMMENT ON COLUMN coverage_cards.types_covered IS
    'Share of the vocabulary''s types that occur in it, in [0, 1]; low is bad.';
COMMENT ON COLUMN coverage_cards.tokens_covered IS
    'Share of the pool''s known tokens whose type occurs in it, in [0, 1]; low is bad.';
COMMENT ON COLUMN coverage_cards.oov_share IS
    'Share of its tokens outside the vocabulary, in [0, 1]; high is bad.';
COMMENT ON COLUMN coverage_cards.mmd IS
    'Maximum mean discrepancy between its and the pool''s TF-IDF vectors (RBF kernel), in [0, 1.42]; high is bad.';
COMMENT ON COLUMN coverage_cards.near_copies IS
    'Share of its documents that have a near copy among the others, in [0, 1]; high is bad.';
COMMENT ON COLUMN coverage_cards.in_test IS
    'Share of its documents whose text stands in the test split, in [0, 1]; anything above 0 is bad.';
COMMENT ON COLUMN coverage_cards.near_test IS
    'Share of its documents that have a near copy in the test split, in [0, 1]; high is bad.';
COMMENT ON COLUMN coverage_cards.range_covered IS
    'Share of the pool''s range from p0.1 to p99.9 that its values cover, mean over activation sites, in [0, 1]; low is bad.';
COMMENT ON COLUMN coverage_cards.worst_range_covered IS
    'The same at the activation site where it is lowest.';
COMMENT ON COLUMN coverage_cards.clip_rate IS
    'Share of the pool''s values outside of its own, mean over activation sites, in [0, 1]: what a quantizer of its range would clip at least; high is bad.';
COMMENT ON COLUMN coverage_cards.worst_clip_rate IS
    'The same at the activation site where it is highest.';
COMMENT ON COLUMN coverage_cards.worst_site IS 'Activation site of worst_clip_rate.';
COMMENT ON COLUMN coverage_cards.log_det IS
    'Log determinant of the mean Gram matrix of what the linear layer reads, in directions that make the pool''s 0; low is bad.';
COMMENT ON COLUMN coverage_cards.outside IS
    'How many of its metrics are outside the 5-95 % range of random draws (count).';
COMMENT ON COLUMN coverage_cards.bad IS
    'Names of the metrics that are outside on the side that is bad (list).';
COMMENT ON COLUMN coverage_cards.created_at IS 'When it was measured (UTC).';

COMMENT ON VIEW card_vs_drop IS
    'One row per (recipe, model, model_seed, policy, size, seed, cell) and metric of the coverage card of its subset, under its own float model: does the card predict the drop? Clean documents only. Rank correlation (Spearman) of each metric with the drop, cells of one scheme and size together: WITH ranked AS (SELECT *, rank() OVER (PARTITION BY recipe, model, size, scheme_id, metric ORDER BY value) + (count(*) OVER (PARTITION BY recipe, model, size, scheme_id, metric, value) - 1) / 2 AS of_value, rank() OVER (PARTITION BY recipe, model, size, scheme_id, metric ORDER BY accuracy_drop) + (count(*) OVER (PARTITION BY recipe, model, size, scheme_id, metric, accuracy_drop) - 1) / 2 AS of_drop FROM card_vs_drop WHERE value IS NOT NULL) SELECT recipe, model, size, bits, metric, corr(of_value, of_drop) AS spearman, count(*) AS cells, count(DISTINCT subset_id) AS subsets FROM ranked GROUP BY ALL ORDER BY abs(spearman) DESC NULLS LAST. Cells of several float models share subsets: count subsets, not cells.';
COMMENT ON COLUMN card_vs_drop.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN card_vs_drop.recipe IS 'Name of the recipe; its latest version is shown.';
COMMENT ON COLUMN card_vs_drop.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN card_vs_drop.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN card_vs_drop.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN card_vs_drop.policy IS
    'The recipe''s alias of the policy that chose the calibration subset.';
COMMENT ON COLUMN card_vs_drop.policy_kind IS 'Registry name of the policy.';
COMMENT ON COLUMN card_vs_drop.size IS 'Calibration documents in the subset (count).';
COMMENT ON COLUMN card_vs_drop.seed IS 'Seed of the calibration draw.';
COMMENT ON COLUMN card_vs_drop.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN card_vs_drop.rounding IS 'How weights are rounded: nearest, gpfq, ...';
COMMENT ON COLUMN card_vs_drop.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN card_vs_drop.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN card_vs_drop.metric IS
    'Line of the card, a column of coverage_cards; means over activation sites. outside, outside_all: how many metrics of text, or all, are outside of their range.';
COMMENT ON COLUMN card_vs_drop.value IS 'Its value for the subset; unit as in coverage_cards.';
COMMENT ON COLUMN card_vs_drop.low IS
    '5th percentile over random draws of the same size from the same pool.';
COMMENT ON COLUMN card_vs_drop.median IS 'Median over the random draws.';
COMMENT ON COLUMN card_vs_drop.high IS '95th percentile over the random draws.';
COMMENT ON COLUMN card_vs_drop.rank IS
    'Share of the random draws that are below value, equal ones counted half, in [0, 1].';
COMMENT ON COLUMN card_vs_drop.verdict IS 'low, inside or high: where value is beside low and high.';
COMMENT ON COLUMN card_vs_drop.is_bad IS
    'Whether it is on the side of the random draws on which a subset stands for its pool less well.';
COMMENT ON COLUMN card_vs_drop.accuracy IS 'Accuracy of the cell on clean documents, in [0, 1].';
COMMENT ON COLUMN card_vs_drop.float_accuracy IS 'Accuracy of the float model, in [0, 1].';
COMMENT ON COLUMN card_vs_drop.accuracy_drop IS
    'float_accuracy - accuracy; positive = quantization made it worse.';
COMMENT ON COLUMN card_vs_drop.macro_f1_drop IS 'Float macro-F1 - macro_f1; positive = worse.';
COMMENT ON COLUMN card_vs_drop.nll_rise IS
    'nll - float_nll, in nats (see results); positive = worse.';
COMMENT ON COLUMN card_vs_drop.pool IS 'Split whose documents the subset is held against.';
COMMENT ON COLUMN card_vs_drop.share IS
    'Share of the corpus that the pool is taken from, in (0, 1].';
COMMENT ON COLUMN card_vs_drop.draws IS 'Random draws that it was compared with (count).';
COMMENT ON COLUMN card_vs_drop.cell_id IS 'Hash of what decides the numbers; equal cells share it.';
COMMENT ON COLUMN card_vs_drop.subset_id IS
    'Hash of the ordered calibration documents; `calibkit show` takes it.';
COMMENT ON COLUMN card_vs_drop.model_id IS 'Hash of the float model''s weights.';

COMMENT ON VIEW stream_results IS
    'One row per (recipe, model, model_seed, method, policy, size, seed, bits, preset, step, phase) of the latest version of each stream recipe: after every batch, accuracy on the hold-out of every phase. Step 0 is before any batch. Hold-outs are the same for all draws and methods. Fractions in [0, 1]; drops are positive when worse.';
COMMENT ON COLUMN stream_results.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN stream_results.recipe IS
    'Name of the stream recipe; its latest version is shown.';
COMMENT ON COLUMN stream_results.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN stream_results.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN stream_results.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN stream_results.method IS 'The recipe''s alias of the method.';
COMMENT ON COLUMN stream_results.subset_update IS
    'How the subset follows the stream: frozen, fifo, reservoir, herding, range-cover, miss-pmf or everything.';
COMMENT ON COLUMN stream_results.model_update IS
    'How the quantized model is updated: frozen, ranges, gpfq, greedy-flips, learned-flips, random-flips, recalibrate or fine-tune.';
COMMENT ON COLUMN stream_results.policy IS
    'The recipe''s alias of the policy that chose the first subset.';
COMMENT ON COLUMN stream_results.policy_kind IS 'Registry name of that policy.';
COMMENT ON COLUMN stream_results.size IS
    'Documents that the subset may have (count); `everything` has no such limit.';
COMMENT ON COLUMN stream_results.seed IS
    'Seed of the draw: of the first subset and of the batches.';
COMMENT ON COLUMN stream_results.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN stream_results.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN stream_results.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN stream_results.step IS 'Batches gone through; 0 = before any.';
COMMENT ON COLUMN stream_results.phase IS 'Phase whose hold-out was measured, counted from 0.';
COMMENT ON COLUMN stream_results.phase_name IS 'Its name in the recipe.';
COMMENT ON COLUMN stream_results.is_current IS
    'Whether the step''s batch was of this phase; never at step 0.';
COMMENT ON COLUMN stream_results.accuracy IS
    'Fraction of the hold-out classified correctly, in [0, 1]; higher is better.';
COMMENT ON COLUMN stream_results.float_accuracy IS
    'Accuracy of the float model on the same documents, in [0, 1].';
COMMENT ON COLUMN stream_results.accuracy_drop IS
    'float_accuracy - accuracy; positive = the quantized model is worse.';
COMMENT ON COLUMN stream_results.macro_f1 IS
    'Unweighted mean of the labels'' F1, in [0, 1]; higher is better.';
COMMENT ON COLUMN stream_results.worst_label_accuracy IS
    'Lowest accuracy among the labels of the hold-out, in [0, 1].';
COMMENT ON COLUMN stream_results.nll IS
    'Mean negative log-likelihood per document: of the true label (discriminative), of the text with its true label (generative), in nats; lower is better.';
COMMENT ON COLUMN stream_results.float_nll IS
    'nll of the float model on the same documents, in nats.';
COMMENT ON COLUMN stream_results.mean_abs_h IS
    'Mean |h| of the LSTM''s hidden state over real tokens; 0 = the LSTM is dead.';
COMMENT ON COLUMN stream_results.flags IS
    'What to be wary of in this row (comma-separated names); empty = nothing.';
COMMENT ON COLUMN stream_results.noise_kind IS 'Kind of noise of the phase; none = clean.';
COMMENT ON COLUMN stream_results.noise IS
    'Its nominal level, fraction of eligible characters in [0, 1]; 0 = clean.';
COMMENT ON COLUMN stream_results.documents IS 'Documents of the hold-out (count).';
COMMENT ON COLUMN stream_results.subset_id IS
    'Hash of the ordered calibration documents after this step.';
COMMENT ON COLUMN stream_results.trajectory_id IS
    'Hash of all inputs of the trajectory; equal ones share it.';

COMMENT ON VIEW stream_updates IS
    'One row per trajectory of the latest stream recipes and step: what became of the subset and of the model, and what that cost. Step 0 is the calibration before any batch, the same for every method. Multiply-adds are counted from shapes and tokens, not timed; measuring on hold-outs is in `seconds` alone.';
COMMENT ON COLUMN stream_updates.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN stream_updates.recipe IS
    'Name of the stream recipe; its latest version is shown.';
COMMENT ON COLUMN stream_updates.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN stream_updates.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN stream_updates.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN stream_updates.method IS 'The recipe''s alias of the method.';
COMMENT ON COLUMN stream_updates.subset_update IS
    'How the subset follows the stream: frozen, fifo, reservoir, herding, range-cover, miss-pmf or everything.';
COMMENT ON COLUMN stream_updates.model_update IS
    'How the quantized model is updated: frozen, ranges, gpfq, greedy-flips, learned-flips, random-flips, recalibrate or fine-tune.';
COMMENT ON COLUMN stream_updates.policy IS
    'The recipe''s alias of the policy that chose the first subset.';
COMMENT ON COLUMN stream_updates.policy_kind IS 'Registry name of that policy.';
COMMENT ON COLUMN stream_updates.size IS
    'Documents that the subset may have (count); `everything` has no such limit.';
COMMENT ON COLUMN stream_updates.seed IS
    'Seed of the draw: of the first subset and of the batches.';
COMMENT ON COLUMN stream_updates.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN stream_updates.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN stream_updates.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN stream_updates.step IS 'Batches gone through; 0 = before any.';
COMMENT ON COLUMN stream_updates.phase IS 'Phase of the batch, counted from 0; NULL at step 0.';
COMMENT ON COLUMN stream_updates.phase_name IS 'Its name in the recipe.';
COMMENT ON COLUMN stream_updates.documents IS 'Documents of the batch (count).';
COMMENT ON COLUMN stream_updates.subset_documents IS
    'Documents of the subset after the step (count).';
COMMENT ON COLUMN stream_updates.came IS 'Documents that came into the subset (count).';
COMMENT ON COLUMN stream_updates.gone IS 'Documents that left it (count).';
COMMENT ON COLUMN stream_updates.flips IS
    'Integer codes of weights that the update changed (count).';
COMMENT ON COLUMN stream_updates.flip_share IS
    'The same as a share of all codes of gates and linear layer, whichever the update may change, in [0, 1].';
COMMENT ON COLUMN stream_updates.refused IS
    'Sites whose codes were kept since the objective would have got worse (comma-separated); empty = none.';
COMMENT ON COLUMN stream_updates.objective_before IS
    'Mean square error of the layers'' outputs on the subset before the codes changed, as a share of the float outputs'' mean square, mean over sites; NULL where the update looks at none.';
COMMENT ON COLUMN stream_updates.objective_after IS 'The same afterwards; lower is better.';
COMMENT ON COLUMN stream_updates.macs_subset IS 'Multiply-adds of the subset''s update (count).';
COMMENT ON COLUMN stream_updates.macs_model IS 'Multiply-adds of the model''s update (count).';
COMMENT ON COLUMN stream_updates.seconds_subset IS 'Wall time of the subset''s update (seconds).';
COMMENT ON COLUMN stream_updates.seconds_model IS 'Wall time of the model''s update (seconds).';
COMMENT ON COLUMN stream_updates.seconds IS
    'Wall time of the whole step, measuring included (seconds).';
COMMENT ON COLUMN stream_updates.peak_mb IS
    'Memory that the updates of subset and model took at their peak, beyond what the process held before (MB); NULL at step 0 and where the system does not tell.';
COMMENT ON COLUMN stream_updates.model_bytes IS
    'What a device stores of the model: packed codes, scales, biases (bytes).';
COMMENT ON COLUMN stream_updates.subset_id IS
    'Hash of the ordered calibration documents after this step.';
COMMENT ON COLUMN stream_updates.parent_subset_id IS 'The same before the step; NULL at step 0.';
COMMENT ON COLUMN stream_updates.model_id IS
    'Hash of the float model''s weights; NULL where it was not recorded.';
COMMENT ON COLUMN stream_updates.host IS 'Machine that did it.';
COMMENT ON COLUMN stream_updates.run_id IS 'Run that did it.';
COMMENT ON COLUMN stream_updates.measured_at IS 'When it was done (UTC).';
COMMENT ON COLUMN stream_updates.trajectory_id IS
    'Hash of all inputs of the trajectory; equal ones share it.';

COMMENT ON VIEW stream_forgetting IS
    'One row per trajectory of the latest stream recipes that has gone through all batches: what A[t, p], the accuracy on the hold-out of phase p after step t, comes to. Lopez-Paz and Ranzato (2017) and Chaudhry et al. (2018), with step 0 as the state before anything was learnt. Costs are those of all updates together, without step 0.';
COMMENT ON COLUMN stream_forgetting.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN stream_forgetting.recipe IS
    'Name of the stream recipe; its latest version is shown.';
COMMENT ON COLUMN stream_forgetting.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN stream_forgetting.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN stream_forgetting.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN stream_forgetting.method IS 'The recipe''s alias of the method.';
COMMENT ON COLUMN stream_forgetting.subset_update IS
    'How the subset follows the stream: frozen, fifo, reservoir, herding, range-cover, miss-pmf or everything.';
COMMENT ON COLUMN stream_forgetting.model_update IS
    'How the quantized model is updated: frozen, ranges, gpfq, greedy-flips, learned-flips, random-flips, recalibrate or fine-tune.';
COMMENT ON COLUMN stream_forgetting.policy IS
    'The recipe''s alias of the policy that chose the first subset.';
COMMENT ON COLUMN stream_forgetting.policy_kind IS 'Registry name of that policy.';
COMMENT ON COLUMN stream_forgetting.size IS
    'Documents that the subset may have (count); `everything` has no such limit.';
COMMENT ON COLUMN stream_forgetting.seed IS
    'Seed of the draw: of the first subset and of the batches.';
COMMENT ON COLUMN stream_forgetting.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN stream_forgetting.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN stream_forgetting.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN stream_forgetting.steps IS 'Batches of the stream (count).';
COMMENT ON COLUMN stream_forgetting.final_accuracy IS
    'Mean over phases of A after the last step, in [0, 1]; higher is better.';
COMMENT ON COLUMN stream_forgetting.online_accuracy IS
    'Mean over steps from 1 on of A on the phase of that step, in [0, 1]; higher is better: how well it keeps up.';
COMMENT ON COLUMN stream_forgetting.final_float_accuracy IS
    'final_accuracy of the float model, which never changes.';
COMMENT ON COLUMN stream_forgetting.online_float_accuracy IS 'online_accuracy of the float model.';
COMMENT ON COLUMN stream_forgetting.final_nll IS
    'nll after the last step, mean over phases (nats per document); lower is better.';
COMMENT ON COLUMN stream_forgetting.online_nll IS
    'nll on the phase of each step from 1 on, mean over steps (nats per document).';
COMMENT ON COLUMN stream_forgetting.backward_transfer IS
    'Mean over phases but the last of A after the last step - A after that phase''s last step; negative = later phases cost it. NULL with one phase.';
COMMENT ON COLUMN stream_forgetting.forgetting IS
    'Mean over phases but the last of the best A at any earlier step (0 included) - A after the last step; positive = forgotten. A best of several is high by luck too. NULL with one phase.';
COMMENT ON COLUMN stream_forgetting.forward_transfer IS
    'Mean over phases but the first of A at the step before it began - A at step 0; positive = what came before helps. NULL with one phase.';
COMMENT ON COLUMN stream_forgetting.flips IS 'Integer codes changed, sum over updates (count).';
COMMENT ON COLUMN stream_forgetting.macs IS
    'Multiply-adds of all updates, of subset and model together (count).';
COMMENT ON COLUMN stream_forgetting.macs_subset IS
    'Multiply-adds of the updates of the subset (count).';
COMMENT ON COLUMN stream_forgetting.macs_model IS
    'Multiply-adds of the updates of the model (count).';
COMMENT ON COLUMN stream_forgetting.seconds IS
    'Wall time of all updates, of subset and model together (seconds).';
COMMENT ON COLUMN stream_forgetting.peak_mb IS
    'Highest peak_mb of any step from 1 on (MB): memory beyond what the process held before.';
COMMENT ON COLUMN stream_forgetting.model_bytes IS
    'What a device stores of the model: packed codes, scales, biases (bytes).';
COMMENT ON COLUMN stream_forgetting.trajectory_id IS
    'Hash of all inputs of the trajectory; equal ones share it.';

COMMENT ON VIEW subset_lineage IS
    'One row per stay of a document in the subset of a trajectory of the latest stream recipes: when it came, with which phase, when it left. It was in the subset after the steps from came_at to left_at - 1.';
COMMENT ON COLUMN subset_lineage.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN subset_lineage.recipe IS
    'Name of the stream recipe; its latest version is shown.';
COMMENT ON COLUMN subset_lineage.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN subset_lineage.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN subset_lineage.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN subset_lineage.method IS 'The recipe''s alias of the method.';
COMMENT ON COLUMN subset_lineage.subset_update IS
    'How the subset follows the stream: frozen, fifo, reservoir, herding, range-cover, miss-pmf or everything.';
COMMENT ON COLUMN subset_lineage.model_update IS
    'How the quantized model is updated: frozen, ranges, gpfq, greedy-flips, learned-flips, random-flips, recalibrate or fine-tune.';
COMMENT ON COLUMN subset_lineage.policy IS
    'The recipe''s alias of the policy that chose the first subset.';
COMMENT ON COLUMN subset_lineage.policy_kind IS 'Registry name of that policy.';
COMMENT ON COLUMN subset_lineage.size IS
    'Documents that the subset may have (count); `everything` has no such limit.';
COMMENT ON COLUMN subset_lineage.seed IS
    'Seed of the draw: of the first subset and of the batches.';
COMMENT ON COLUMN subset_lineage.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN subset_lineage.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN subset_lineage.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN subset_lineage.doc_id IS 'Id of the document, as in the table documents.';
COMMENT ON COLUMN subset_lineage.label IS 'Name of its label.';
COMMENT ON COLUMN subset_lineage.came_at IS
    'Step at which it came; 0 = it was in the first subset.';
COMMENT ON COLUMN subset_lineage.came_phase IS
    'Phase of the batch that it came with, counted from 0; NULL = first subset.';
COMMENT ON COLUMN subset_lineage.came_phase_name IS 'Name of that phase.';
COMMENT ON COLUMN subset_lineage.left_at IS 'Step at which it left; NULL = it is there still.';
COMMENT ON COLUMN subset_lineage.steps_stayed IS
    'After how many steps it was in the subset (count), so far if it is there still.';
COMMENT ON COLUMN subset_lineage.misses_when_it_came IS
    'Its quantization misses when it came (count); NULL where they were not counted.';
COMMENT ON COLUMN subset_lineage.misses_when_it_left IS 'The same when it left.';
COMMENT ON COLUMN subset_lineage.subset_id IS
    'Hash of the ordered calibration documents after the step at which it came.';
COMMENT ON COLUMN subset_lineage.subset_documents IS 'Documents of that subset (count).';
COMMENT ON COLUMN subset_lineage.corpus_id IS 'Hash of the content of the corpus that it is from.';
COMMENT ON COLUMN subset_lineage.trajectory_id IS
    'Hash of all inputs of the trajectory; equal ones share it.';

COMMENT ON VIEW stream_progress IS
    'One row per planned trajectory of the latest stream recipes: how far it has come. `progress` has the counts.';
COMMENT ON COLUMN stream_progress.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN stream_progress.recipe IS
    'Name of the stream recipe; its latest version is shown.';
COMMENT ON COLUMN stream_progress.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN stream_progress.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN stream_progress.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN stream_progress.method IS 'The recipe''s alias of the method.';
COMMENT ON COLUMN stream_progress.subset_update IS
    'How the subset follows the stream: frozen, fifo, reservoir, herding, range-cover, miss-pmf or everything.';
COMMENT ON COLUMN stream_progress.model_update IS
    'How the quantized model is updated: frozen, ranges, gpfq, greedy-flips, learned-flips, random-flips, recalibrate or fine-tune.';
COMMENT ON COLUMN stream_progress.policy IS
    'The recipe''s alias of the policy that chose the first subset.';
COMMENT ON COLUMN stream_progress.policy_kind IS 'Registry name of that policy.';
COMMENT ON COLUMN stream_progress.size IS
    'Documents that the subset may have (count); `everything` has no such limit.';
COMMENT ON COLUMN stream_progress.seed IS
    'Seed of the draw: of the first subset and of the batches.';
COMMENT ON COLUMN stream_progress.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN stream_progress.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN stream_progress.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN stream_progress.state IS
    'done, failed (not done, and the last attempt failed), begun (some batches) or missing.';
COMMENT ON COLUMN stream_progress.steps_done IS
    'Batches gone through and stored (count); it goes on from there.';
COMMENT ON COLUMN stream_progress.steps IS 'Batches of the stream (count).';
COMMENT ON COLUMN stream_progress.stage IS
    'What was being done when it last failed; NULL unless failed.';
COMMENT ON COLUMN stream_progress.error_type IS 'Class of the error.';
COMMENT ON COLUMN stream_progress.message IS 'What went wrong, and what to do.';
COMMENT ON COLUMN stream_progress.attempts IS 'Failed attempts so far (count).';
COMMENT ON COLUMN stream_progress.failed_at IS 'When it last failed (UTC).';
COMMENT ON COLUMN stream_progress.host IS 'Machine that did it.';
COMMENT ON COLUMN stream_progress.run_id IS 'Run that did it.';
COMMENT ON COLUMN stream_progress.trajectory_id IS
    'Hash of all inputs of the trajectory; equal ones share it.';

COMMENT ON VIEW deployments IS
    'One row per artefact that `bench deploy` measured: its size, memory, latency and accuracy beside those of the float model''s ONNX file in the same run.';
COMMENT ON COLUMN deployments.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN deployments.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN deployments.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN deployments.artefact IS
    'c and onnx: exports of the cell; onnx-float, onnx-dynamic and torch-dynamic: made from its float model alone.';
COMMENT ON COLUMN deployments.bits IS
    'Nominal bit width of the cell (bits); NULL for what is made from the float model.';
COMMENT ON COLUMN deployments.scheme_id IS
    'Hash of the cell''s whole quantization scheme; NULL as bits.';
COMMENT ON COLUMN deployments.subset_id IS
    'The cell''s calibration subset; NULL as bits.';
COMMENT ON COLUMN deployments.accuracy IS
    'Share of the test documents that the artefact itself labelled as they are (0 to 1).';
COMMENT ON COLUMN deployments.nll IS
    'Mean negative log-likelihood of the true label by the artefact''s scores (nats; joint for the generative model).';
COMMENT ON COLUMN deployments.agreement IS
    'Share of the test documents that it labels as the float ONNX file does (0 to 1).';
COMMENT ON COLUMN deployments.documents IS 'Test documents labelled (count).';
COMMENT ON COLUMN deployments.size_bytes IS
    'Bytes of the artefact: of the ONNX file, of the saved torch model, or of the compiled C network (object file, for this machine); no vocabulary.';
COMMENT ON COLUMN deployments.size_ratio IS 'size_bytes / that of the float ONNX file.';
COMMENT ON COLUMN deployments.peak_mb IS
    'Largest resident memory of a process that loads the artefact and labels the timed documents (MB), its runtime included.';
COMMENT ON COLUMN deployments.peak_ratio IS 'peak_mb / that of the float ONNX file.';
COMMENT ON COLUMN deployments.seconds_1 IS
    'Median time per document, one document at a time, one thread (seconds).';
COMMENT ON COLUMN deployments.latency_ratio_1 IS
    'Median over repetitions of time / time of the float ONNX file, taken in turns in one process, one document at a time; below 1 is faster.';
COMMENT ON COLUMN deployments.latency_ratio_1_low IS 'Smallest of these ratios.';
COMMENT ON COLUMN deployments.latency_ratio_1_high IS 'Largest of these ratios.';
COMMENT ON COLUMN deployments.seconds_64 IS
    'Median time per document in batches of 64, one thread (seconds).';
COMMENT ON COLUMN deployments.latency_ratio_64 IS
    'As latency_ratio_1, in batches of 64; C takes documents one by one all the same.';
COMMENT ON COLUMN deployments.latency_ratio_64_low IS 'Smallest of these ratios.';
COMMENT ON COLUMN deployments.latency_ratio_64_high IS 'Largest of these ratios.';
COMMENT ON COLUMN deployments.timed_documents IS 'Test documents that were timed (count).';
COMMENT ON COLUMN deployments.repetitions IS 'Turns that each artefact took (count).';
COMMENT ON COLUMN deployments.made_with IS
    'What runs it: runtime or compiler, with version and options.';
COMMENT ON COLUMN deployments.host IS 'Machine that measured it.';
COMMENT ON COLUMN deployments.measured_at IS 'When (UTC).';
COMMENT ON COLUMN deployments.bench_id IS
    'The run of `bench deploy`: ratios hold within one run, never across runs.';
COMMENT ON COLUMN deployments.cell_id IS
    'The cell that was exported, or with which the artefact of its float model was measured.';
COMMENT ON COLUMN deployments.model_id IS 'Content of the float model.';

COMMENT ON VIEW progress IS
    'One row per recipe, in its latest version: planned = done + failed + missing. Done means measured under every noise level; `evaluate` also wants the distributions and float rows that the recipe asks for. Of a stream recipe, trajectories are counted, and done means through all batches (see stream_progress).';
COMMENT ON COLUMN progress.recipe IS 'Name of the recipe; its latest version is shown.';
COMMENT ON COLUMN progress.planned IS
    'Cells, or trajectories of a stream, in the recipe''s grid (count).';
COMMENT ON COLUMN progress.done IS
    'Cells with every noise level measured, trajectories with every batch (count).';
COMMENT ON COLUMN progress.failed IS 'Those not done whose last attempt failed (count).';
COMMENT ON COLUMN progress.missing IS 'Those neither done nor failed (count).';

COMMENT ON VIEW failed IS
    'One row per planned cell of the latest recipe versions that failed and is still not done, with its latest failure. Empty when all is well.';
COMMENT ON COLUMN failed.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN failed.recipe IS 'Name of the recipe; its latest version is shown.';
COMMENT ON COLUMN failed.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN failed.model_kind IS 'discriminative or generative.';
COMMENT ON COLUMN failed.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN failed.policy IS
    'The recipe''s alias of the policy that chose the calibration subset.';
COMMENT ON COLUMN failed.policy_kind IS 'Registry name of the policy.';
COMMENT ON COLUMN failed.size IS 'Calibration documents in the subset (count).';
COMMENT ON COLUMN failed.seed IS 'Seed of the calibration draw.';
COMMENT ON COLUMN failed.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN failed.rounding IS 'How weights are rounded: nearest, gpfq, ...';
COMMENT ON COLUMN failed.preset IS 'Quantization preset that the scheme starts from.';
COMMENT ON COLUMN failed.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN failed.stage IS 'What was being done when it failed.';
COMMENT ON COLUMN failed.error_type IS 'Class of the error.';
COMMENT ON COLUMN failed.message IS 'What went wrong, and what to do.';
COMMENT ON COLUMN failed.attempts IS 'Failed attempts so far (count).';
COMMENT ON COLUMN failed.failed_at IS 'When it last failed (UTC).';
COMMENT ON COLUMN failed.host IS 'Machine that did it.';
COMMENT ON COLUMN failed.run_id IS 'Run that did it.';
COMMENT ON COLUMN failed.plan_key IS 'Hash of the planned cell''s inputs.';
COMMENT ON COLUMN failed.failure_id IS 'Id of the latest failure.';
COMMENT ON COLUMN failed.traceback IS 'Python traceback of the latest failure.';

COMMENT ON VIEW provenance IS
    'One row per measured (recipe, planned cell): which inputs, host, run, commit and versions made its numbers.';
COMMENT ON COLUMN provenance.corpus IS 'Name of the corpus.';
COMMENT ON COLUMN provenance.recipe IS 'Name of the recipe; its latest version is shown.';
COMMENT ON COLUMN provenance.model IS 'The recipe''s alias of the float model.';
COMMENT ON COLUMN provenance.model_seed IS 'Training seed of the float model.';
COMMENT ON COLUMN provenance.policy IS
    'The recipe''s alias of the policy that chose the calibration subset.';
COMMENT ON COLUMN provenance.size IS 'Calibration documents in the subset (count).';
COMMENT ON COLUMN provenance.seed IS 'Seed of the calibration draw.';
COMMENT ON COLUMN provenance.bits IS 'Bit width of weights and activations (bits).';
COMMENT ON COLUMN provenance.rounding IS 'How weights are rounded: nearest, gpfq, ...';
COMMENT ON COLUMN provenance.scheme_id IS 'Hash of the whole quantization scheme.';
COMMENT ON COLUMN provenance.cell_id IS 'Hash of what decides the numbers; equal cells share it.';
COMMENT ON COLUMN provenance.plan_key IS 'Hash of the planned cell''s inputs.';
COMMENT ON COLUMN provenance.recipe_id IS 'Hash of the recipe version.';
COMMENT ON COLUMN provenance.corpus_id IS 'Hash of the corpus content.';
COMMENT ON COLUMN provenance.model_id IS 'Hash of the float model''s weights.';
COMMENT ON COLUMN provenance.subset_id IS
    'Hash of the ordered calibration documents; `calibkit show` takes it.';
COMMENT ON COLUMN provenance.test_id IS 'Hash of the set of test documents.';
COMMENT ON COLUMN provenance.scheme IS 'The whole quantization scheme (JSON).';
COMMENT ON COLUMN provenance.arithmetic IS 'float-torch, float-native or integer; of another tool''s quantizer the package and its version.';
COMMENT ON COLUMN provenance.device IS 'Device class: cpu or cuda.';
COMMENT ON COLUMN provenance.harness IS 'Version of the quantize-and-evaluate harness.';
COMMENT ON COLUMN provenance.measured_at IS 'When the cell was measured (UTC).';
COMMENT ON COLUMN provenance.seconds IS
    'Wall time of the whole cell (seconds); the same in each of its noise rows.';
COMMENT ON COLUMN provenance.stages IS 'Wall time per stage (JSON, seconds).';
COMMENT ON COLUMN provenance.peak_mb IS 'Peak memory of the process (MB).';
COMMENT ON COLUMN provenance.host IS 'Machine that did it.';
COMMENT ON COLUMN provenance.run_id IS 'Run that did it.';
COMMENT ON COLUMN provenance.evaluation_runs IS
    'Runs that measured the cell''s noise levels: run_id, and later ones that added levels (list).';
COMMENT ON COLUMN provenance.command IS 'Command line of the run.';
COMMENT ON COLUMN provenance.started_at IS 'When the run started (UTC).';
COMMENT ON COLUMN provenance.workers IS
    'Worker processes of the run (count); never changes a number.';
COMMENT ON COLUMN provenance.git_commit IS
    'Commit of the working directory, if it is a git repository.';
COMMENT ON COLUMN provenance.git_dirty IS 'Whether that working directory had uncommitted changes.';
COMMENT ON COLUMN provenance.versions IS 'Versions of Python and packages (JSON).';
