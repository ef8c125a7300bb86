-- Tables, views and macros that schema version 7 brought or changed, without comments.

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
