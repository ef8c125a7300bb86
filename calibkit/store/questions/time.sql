-- time: Where does the time of a study go?
--
-- Mean seconds per cell and stage, and their share of all that the study took. Cells that several
-- policies or recipes share count once.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   model     VARCHAR = any       only this model
-- Columns:
--   model, stage  the recipe's alias of the float model, and what was being done
--   seconds, least, most  mean over cells, and its range
--   share     of all seconds of the study, in [0, 1]
--   cells     how many cells had that stage
-- Plot: bars label=stage value=seconds panel=model unit=seconds
-- Title: Seconds per cell, stage by stage
-- Empty: nothing of this recipe is measured yet
WITH cells AS (
    SELECT DISTINCT model, cell_id, stages FROM provenance
    WHERE recipe = $recipe AND model = coalesce($model, model)
),
spent AS (
    SELECT model, unnest(map_entries(stages::MAP(VARCHAR, DOUBLE))) AS part
    FROM cells
)
SELECT model, part.key AS stage, round(avg(part.value), 9) AS seconds, min(part.value) AS least,
       max(part.value) AS most,
       round(sum(part.value) / sum(sum(part.value)) OVER (), 9) AS share, count(*) AS cells
FROM spent
GROUP BY model, stage
ORDER BY model, share DESC, stage
