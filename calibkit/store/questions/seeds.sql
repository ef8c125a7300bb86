-- seeds: What varies more, the training seed of the float model or the draw of the documents?
--
-- Components of the variance of accuracy on clean documents, from the crossed table float model x
-- draw without repetition: expected mean squares of a two-way random model, those below zero set to
-- zero. Where float models vary more, another draw of documents hardly matters, and a study needs
-- more float models rather than more draws. With few of either, components are rough.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   policy    VARCHAR = any       only this policy
--   model     VARCHAR = any       only this model
--   size      INTEGER = any       only this subset size (documents)
--   bits      INTEGER = any       only this bit width
--   preset    VARCHAR = any       only this preset or scheme of the recipe
--   rounding  VARCHAR = any       only this rounding
-- Columns:
--   model, size, bits, preset, rounding, policy  which cells
--   models, draws  the crossed table: float models x seeds that all of them have
--   accuracy  mean over the table, in [0, 1]
--   sd_models  standard deviation from float model to float model
--   sd_draws  from draw to draw, the same for every float model
--   sd_both   what is left: draws that suit some float models and not others
--   share_models  share of the variance that is the float model's, in [0, 1]
-- Plot: bars label=policy value=share_models panel=model,size,bits,preset,rounding
-- Title: Share of the variance that is the float model's
-- Empty: this recipe has no two float models of one alias with two draws each
WITH cells AS (
    SELECT DISTINCT r.model, r.model_seed, r.policy, r.size, r.seed, r.bits, named.preset,
           r.rounding, r.scheme_id, r.subset_id, r.accuracy
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
sets AS (  -- seeds that gave the same subsets are one draw: the first of them stands for it
    SELECT model, policy, size, scheme_id,
           list_sort(list(model_seed || ' ' || subset_id)) AS subsets,
           count(*) AS models, min(seed) AS seed
    FROM cells
    GROUP BY model, policy, size, scheme_id, seed
),
kept AS (
    SELECT model, policy, size, scheme_id, min(seed) AS seed
    FROM (SELECT *, max(models) OVER (PARTITION BY model, policy, size, scheme_id) AS most
          FROM sets)
    WHERE models = most  -- those that every float model has
    GROUP BY model, policy, size, scheme_id, subsets
),
whole AS (
    SELECT cells.*,
           avg(accuracy) OVER (PARTITION BY model, policy, size, scheme_id, model_seed) AS of_model,
           avg(accuracy) OVER (PARTITION BY model, policy, size, scheme_id, seed) AS of_draw,
           avg(accuracy) OVER (PARTITION BY model, policy, size, scheme_id) AS overall
    FROM cells
    JOIN kept USING (model, policy, size, scheme_id, seed)
),
squares AS (
    SELECT model, size, bits, preset, rounding, scheme_id, policy,
           count(DISTINCT model_seed) AS models, count(DISTINCT seed) AS draws,
           avg(accuracy) AS accuracy,
           sum((of_model - overall) ** 2) / (models - 1) AS of_models,
           sum((of_draw - overall) ** 2) / (draws - 1) AS of_draws,
           sum((accuracy - of_model - of_draw + overall) ** 2) / ((models - 1) * (draws - 1))
               AS of_both
    FROM whole
    GROUP BY ALL
    HAVING models > 1 AND draws > 1 AND count(*) = models * draws
),
parts AS (
    SELECT *, greatest(0, (of_models - of_both) / draws) AS var_models,
           greatest(0, (of_draws - of_both) / models) AS var_draws
    FROM squares
)
SELECT model, size, bits, preset, rounding, policy, models, draws, round(accuracy, 12) AS accuracy,
       round(sqrt(var_models), 9) AS sd_models, round(sqrt(var_draws), 9) AS sd_draws,
       round(sqrt(of_both), 9) AS sd_both,
       round(var_models / nullif(var_models + var_draws + of_both, 0), 12) AS share_models
FROM parts
ORDER BY model, size, bits DESC, preset, rounding, scheme_id, policy
