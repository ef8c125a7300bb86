-- failures: What failed, how often, and what can be done?
--
-- Cells that failed and are still not measured, by what went wrong; `calibkit evaluate` tries them
-- again. The traceback of each stands in the view `failed`.
--
-- Parameters:
--   recipe    VARCHAR = any       which study; any: all of them
-- Columns:
--   recipe, stage, error_type, message  where it failed, and with which words
--   cells, attempts  cells that failed so, and how often they were tried
--   policies  the recipe's aliases of the policies
--   bits      their bit widths
--   failed_at  when it last happened (UTC)
-- Plot: none
-- Title: Failures
-- Empty: nothing failed
SELECT recipe, stage, error_type, message, count(*) AS cells, sum(attempts)::BIGINT AS attempts,
       string_agg(DISTINCT policy, ', ' ORDER BY policy) AS policies,
       list_sort(list(DISTINCT bits)) AS bits, max(failed_at) AS failed_at
FROM failed
WHERE recipe = coalesce($recipe, recipe)
GROUP BY recipe, stage, error_type, message
ORDER BY recipe, cells DESC, stage, error_type, message
