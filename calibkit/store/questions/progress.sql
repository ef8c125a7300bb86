-- progress: How far is each study, and how long will the rest take?
--
-- Cells by model and bit width; done means measured under every noise level of the recipe. The time
-- left is what one worker needs, at the mean pace of the cells of that model that are done.
--
-- Parameters:
--   recipe    VARCHAR = any       which study; any: all of them
-- Columns:
--   recipe, model, bits  part of the study
--   planned, done, failed, missing  cells; planned = done + failed + missing
--   share     done / planned, in [0, 1]
--   minutes_left  for failed and missing cells, by one worker; NULL before the first cell
-- Plot: bars label=model,bits value=share panel=recipe
-- Title: Share of the cells that are measured
-- Empty: no recipe has been run against this store
WITH pace AS (
    SELECT recipe, model, avg(seconds) AS seconds
    FROM (SELECT DISTINCT recipe, model, cell_id, seconds FROM provenance)
    GROUP BY ALL
)
SELECT s.recipe, s.model, s.bits, count(*) AS planned,
       count(*) FILTER (s.is_done) AS done,
       count(*) FILTER (NOT s.is_done AND s.failure_id IS NOT NULL) AS failed,
       count(*) FILTER (NOT s.is_done AND s.failure_id IS NULL) AS missing,
       done / planned AS share,
       round((failed + missing) * any_value(pace.seconds) / 60, 6) AS minutes_left
FROM core.state AS s
LEFT JOIN pace ON pace.recipe = s.recipe AND pace.model = s.model
WHERE s.recipe = coalesce($recipe, s.recipe)
GROUP BY s.recipe, s.model, s.bits
ORDER BY s.recipe, s.model, s.bits DESC
