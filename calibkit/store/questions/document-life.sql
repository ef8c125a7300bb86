-- document-life: How long do documents stay in the subset, and which phases do they come from?
--
-- Stays of documents in the subsets of trajectories that have gone through all batches, by method
-- and by the phase that they came with. A document that is still there at the end has stayed at
-- least so long: compare methods, not phases, by the mean.
--
-- Parameters:
--   recipe    VARCHAR = latest-stream  which stream recipe; its latest version is asked
--   model     VARCHAR = any     only this model
--   size      INTEGER = any     only this size of subset (documents)
--   bits      INTEGER = any     only this bit width
--   preset    VARCHAR = any     only this preset or scheme of the recipe
--   method    VARCHAR = any     only this method
-- Columns:
--   model, size, bits, preset, policy, method  whose subsets
--   came_with  phase that they came with; first subset: they were there from the start
--   documents, trajectories  stays in all trajectories together, and of how many trajectories
--   per_trajectory  documents / trajectories
--   still_there  share of the documents that are in the last subset, in [0, 1]
--   share_of_last  share of the last subsets that they are, in [0, 1]
--   steps_stayed, longest  mean and most steps after which a document was in the subset
-- Plot: bars label=came_with value=share_of_last panel=model,size,bits,preset,policy,method
-- Title: Where the documents of the last subset came from
-- Empty: no trajectory of this recipe has gone through all batches
WITH whole AS (
    SELECT DISTINCT trajectory_id FROM stream_progress WHERE recipe = $recipe AND state = 'done'
),
stays AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, trajectory_id,
           coalesce(came_phase, -1) AS place,
           coalesce(came_phase_name, 'first subset') AS came_with, left_at, steps_stayed
    FROM subset_lineage SEMI JOIN whole USING (trajectory_id)
    WHERE recipe = $recipe AND model = coalesce($model, model)
      AND size = coalesce($size, size)
      AND bits IS NOT DISTINCT FROM coalesce($bits, bits)
      AND preset = coalesce($preset, preset)
      AND method = coalesce($method, method)
),
counted AS (
    SELECT model, size, bits, preset, scheme_id, policy, method,
           count(DISTINCT trajectory_id) AS trajectories,
           count(*) FILTER (left_at IS NULL) AS in_last
    FROM stays
    GROUP BY ALL
),
grouped AS (
    SELECT model, size, bits, preset, scheme_id, policy, method, place, came_with,
           count(*) AS documents, count(*) FILTER (left_at IS NULL) AS still,
           round(avg(steps_stayed), 9) AS steps_stayed, max(steps_stayed) AS longest
    FROM stays
    GROUP BY ALL
)
SELECT g.model, g.size, g.bits, g.preset, g.policy, g.method, g.came_with, g.documents,
       c.trajectories, g.documents / c.trajectories AS per_trajectory,
       g.still / g.documents AS still_there, g.still / nullif(c.in_last, 0) AS share_of_last,
       g.steps_stayed, g.longest
FROM grouped AS g
JOIN counted AS c ON c.model = g.model AND c.size = g.size AND c.preset = g.preset
                 AND c.scheme_id = g.scheme_id AND c.policy = g.policy AND c.method = g.method
ORDER BY g.model, g.size, g.bits DESC, g.preset, g.scheme_id, g.policy, g.method, g.place
