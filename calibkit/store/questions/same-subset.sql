-- same-subset: Which policies choose the same documents?
--
-- The share of documents that two policies have in common at the same size and seed, mean over
-- seeds. Policies of one draw, or policies that lean on the same random order, overlap more than
-- two draws of one policy do; a comparison of such policies has less to tell apart.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   policy    VARCHAR = any       only this policy
--   size      INTEGER = any       only this subset size (documents)
--   least     DOUBLE = 0.1        only pairs that have at least this share in common
-- Columns:
--   size, policy_a, policy_b  which two, at which size
--   seeds     seeds compared
--   same      how many of them gave the same documents, in whatever order
--   shared, shared_least, shared_most  share of documents in common: mean and range, in [0, 1]
-- Plot: heat_map x=policy_b y=policy_a value=shared panel=size sort=policy_a,policy_b set=least:0
-- Title: Share of documents that two policies have in common
-- Empty: no two policies of this recipe have that many documents in common
WITH chosen AS (
    SELECT DISTINCT r.policy, r.size, r.seed, r.subset_id
    FROM results AS r
    WHERE r.recipe = $recipe AND r.size = coalesce($size, r.size)
),
numbered AS (  -- ids as numbers: joins are quicker
    SELECT subset_id, hash(doc_id) AS doc
    FROM subset_documents
    WHERE subset_id IN (SELECT subset_id FROM chosen)
    GROUP BY ALL
),
pairs AS (
    SELECT DISTINCT a.size, a.policy AS policy_a, b.policy AS policy_b, a.seed,
           a.subset_id AS subset_a, b.subset_id AS subset_b
    FROM chosen AS a
    JOIN chosen AS b ON b.size = a.size AND b.seed = a.seed AND b.policy > a.policy
    WHERE $policy IS NULL OR $policy IN (a.policy, b.policy)
),
common AS (
    SELECT p.subset_a, p.subset_b, count(*) AS documents
    FROM (SELECT DISTINCT subset_a, subset_b FROM pairs) AS p
    JOIN numbered AS a ON a.subset_id = p.subset_a
    JOIN numbered AS b ON b.subset_id = p.subset_b AND b.doc = a.doc
    GROUP BY ALL
),
per_seed AS (
    SELECT p.size, p.policy_a, p.policy_b, p.seed,
           avg(least(1, coalesce(c.documents, 0) / p.size)) AS shared
    FROM pairs AS p
    LEFT JOIN common AS c ON c.subset_a = p.subset_a AND c.subset_b = p.subset_b
    GROUP BY ALL
)
SELECT size, policy_a, policy_b, count(*) AS seeds, count(*) FILTER (shared = 1) AS same,
       avg(shared ORDER BY seed) AS shared, min(shared) AS shared_least,
       max(shared) AS shared_most
FROM per_seed
GROUP BY size, policy_a, policy_b
HAVING avg(shared ORDER BY seed) >= $least
ORDER BY size, shared DESC, policy_a, policy_b
