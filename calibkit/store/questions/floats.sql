-- floats: How good are the float models, and does the quantizing framework keep them?
--
-- Accuracy of each float model under every noise level, and of its Brevitas graph with all
-- quantizers off (port): where agreement is below 1, a loss is the port's and not the quantizer's.
--
-- Parameters:
--   recipe    VARCHAR = latest    which study; its latest version is asked
--   model     VARCHAR = any       only this model
-- Columns:
--   model, model_seed, noise_kind, noise  which float model under which noise
--   accuracy, worst_label_accuracy, macro_f1, nll  of the float model
--   noise_drop  clean accuracy - accuracy under this noise; positive = worse
--   port_accuracy, agreement  of the port; share of documents on which both agree
--   documents  test documents
-- Plot: none
-- Title: Accuracy of the float models
-- Empty: no float model of this recipe is measured yet
SELECT f.model, f.model_seed, f.noise_kind, f.noise, f.accuracy, f.worst_label_accuracy,
       f.macro_f1, f.nll, f.noise_drop, port.accuracy AS port_accuracy, port.agreement, f.documents
FROM baselines AS f
LEFT JOIN baselines AS port
  ON port.recipe = f.recipe AND port.model = f.model AND port.model_seed = f.model_seed
 AND port.test_id = f.test_id AND port.stage = 'port' AND port.noise_kind = f.noise_kind
 AND port.noise = f.noise
WHERE f.recipe = $recipe AND f.model = coalesce($model, f.model) AND f.stage = 'float'
ORDER BY f.model, f.model_seed, f.noise_kind <> 'none', f.noise_kind, f.noise
