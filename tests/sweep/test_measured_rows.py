import pytest
from recipe_parts import ONE_CELL

from calibkit.errors import BadInput
from calibkit.identity import content_id
from calibkit.quantize.sites import ACTIVATION_SITES, WEIGHT_SITES
from calibkit.sweep.plan import plan


def test_the_port_agrees_with_the_float_model_on_every_prediction(finished):
    rows = finished.rows("SELECT stage, agreement FROM baselines")
    assert len(rows) == 8
    assert {agreement for _, agreement in rows} == {1.0}
    pairs = finished.rows(
        "SELECT a.predicted = b.predicted FROM predictions AS a JOIN predictions AS b "
        "ON b.cell_id = replace(a.cell_id, '/float/', '/port/') AND a.noise = b.noise "
        "WHERE contains(a.cell_id, '/float/')"
    )
    assert pairs == [(True,)] * 4


def test_drops_have_the_right_sign_and_agree_with_the_rows_they_come_from(finished):
    wrong = finished.rows(
        "SELECT r.* FROM results AS r JOIN baselines AS b ON b.stage = 'float' "
        "AND b.model = r.model AND b.noise = r.noise JOIN results AS clean ON clean.noise = 0 "
        "AND clean.model = r.model AND clean.policy = r.policy AND clean.seed = r.seed "
        "AND clean.bits = r.bits WHERE r.float_accuracy <> b.accuracy "
        "OR abs(r.accuracy_drop - (b.accuracy - r.accuracy)) > 1e-12 "
        "OR abs(r.noise_drop - (clean.accuracy - r.accuracy)) > 1e-12 "
        "OR abs(r.macro_f1_drop - (b.macro_f1 - r.macro_f1)) > 1e-12"
    )
    assert wrong == []
    at_3, at_8, exact = finished.one(
        "SELECT avg(accuracy_drop) FILTER (bits = 3), avg(accuracy_drop) FILTER (bits = 8), "
        "avg(float_accuracy) FROM results WHERE noise = 0 AND model = 'discriminative'"
    )
    assert exact > 0.7
    assert at_3 > 0.1 > abs(at_8)
    assert finished.one("SELECT avg(noise_drop) FROM baselines WHERE noise > 0") > 0


def test_rows_by_label_and_predictions_add_up_to_the_accuracy(finished):
    rows = finished.rows(
        "WITH truth AS (SELECT label_ids FROM test_sets), flat AS ("
        " SELECT cell_id, noise, unnest(predicted) AS p, unnest(label_ids) AS y"
        " FROM predictions, truth) "
        "SELECT e.accuracy, f.hits, l.hits FROM evaluations AS e "
        "JOIN (SELECT cell_id, noise, avg((p = y)::INT) AS hits FROM flat GROUP BY ALL) AS f "
        "USING (cell_id, noise) "
        "JOIN (SELECT cell_id, noise, sum(correct) / sum(documents) AS hits "
        " FROM label_evaluations GROUP BY ALL) AS l USING (cell_id, noise)"
    )
    assert len(rows) == 16
    for row in rows:
        assert row == pytest.approx([row[0]] * 3, abs=1e-12)


def test_every_site_has_its_distribution(finished):
    for kind in ("generative", "discriminative"):
        for quantity, sites in (
            ("weights", WEIGHT_SITES[kind]),
            ("activations", ACTIVATION_SITES[kind]),
            ("token-nll", ("output",)),
        ):
            found = finished.rows(
                "SELECT cell_id, list(site ORDER BY site) FROM distributions JOIN cells "
                "USING (cell_id) JOIN models USING (model_id) "
                f"WHERE kind = '{kind}' AND quantity = '{quantity}' GROUP BY ALL"
            )
            assert [sites_of for _, sites_of in found] == [sorted(sites)] * 4
    low, high = finished.one("SELECT min(ks), max(ks) FROM distributions")
    assert 0 <= low < high <= 1
    columns = "ks_weights, ks_activations, ks_token_nll"
    assert finished.rows(f"SELECT 1 FROM results WHERE ({columns}) IS NULL OR ks_weights = 0") == []
    assert finished.one(
        "SELECT avg(ks_weights) FILTER (bits = 3) > avg(ks_weights) FILTER (bits = 8) FROM results"
    )


def test_weights_that_rounding_does_not_reach_do_not_depend_on_the_subset(finished):
    assert finished.rows(
        "SELECT model, bits, site FROM weight_shift GROUP BY ALL "
        "HAVING count(DISTINCT (ks, wasserstein, sqnr_db)) > 1"
    ) == []  # fmt: skip


def test_a_dead_network_is_flagged_whatever_its_accuracy(finished, study):
    """At 3 bits half a step of the discriminative model's cell state is all that it can gain."""
    flagged = finished.rows(
        "SELECT DISTINCT model, bits, noise, flags FROM results WHERE flags <> '' ORDER BY ALL"
    )
    collapsed = "dead-lstm,constant-output,one-label,nll-explodes"
    assert flagged == [("discriminative", 3, noise, collapsed) for noise in (0.0, 0.1)]
    study.run({"quantize": {"ranges": "minmax"}, "grid": {"policy": ["random"], "bits": [2]}})
    told = "dead-lstm,constant-output"  # the decoder alone still finds more than one label
    accuracy, flags = study.one(
        "SELECT accuracy, flags FROM results WHERE model = 'generative' AND noise = 0 AND bits = 2"
    )
    assert flags == told and accuracy > 0.5
    guarded = {"quantize": {"ranges": "minmax", "cell_guard": True}}
    study.run(guarded, {"grid": {"policy": ["random"], "bits": [2]}})
    assert study.one("SELECT flags FROM results WHERE model = 'generative' AND noise = 0") == ""


def test_dynamic_cells_do_not_depend_on_their_documents(study):
    study.run({"quantize": {"dynamic": True}, "grid": {"bits": [8]}})
    columns = "model, accuracy, nll, mean_abs_h, ks_weights, ks_activations, ks_token_nll"
    rows = study.rows(f"SELECT {columns} FROM results WHERE noise = 0 ORDER BY model, policy")
    assert len(rows) == 4
    assert rows[0] == rows[1] and rows[2] == rows[3]
    assert study.rows("SELECT DISTINCT threshold FROM activation_shift") == [(None,)]
    drops = study.rows("SELECT accuracy_drop, flags FROM results")
    assert all(abs(drop) < 0.1 and flags == "" for drop, flags in drops)


def test_noise_that_was_made_is_told(finished):
    rows = finished.rows(
        "SELECT noise_kind, noise, realised_rate, oov_rate, length_drift FROM noise_sets "
        "ORDER BY noise"
    )
    (clean, noisy) = rows
    assert clean[:3] == ("none", 0.0, 0.0)
    assert noisy[:2] == ("keyboard", 0.1)
    assert 0.05 < noisy[2] < 0.15
    assert noisy[3] > clean[3] > 0
    assert noisy[4] == 0


def test_cells_are_named_by_what_decides_their_numbers(finished):
    import json

    row = finished.rows(
        "SELECT cell_id, harness, model_id, subset_id, scheme, arithmetic, device, test_id "
        "FROM cells"
    )
    for cell_id, harness, model, subset, scheme, arithmetic, device, test in row:
        decides = {"harness": harness, "model": model, "subset": subset, "test": test}
        decides |= {"scheme": json.loads(scheme), "arithmetic": arithmetic, "device": device}
        assert cell_id == content_id("cell", decides)


def test_reading_rules_belong_to_a_model(fresh):
    """Training texts are shorter than both limits, so that the weights come out equal."""
    from calibkit.sweep.plan import model_key

    settings = {"epochs": 1, "hidden": 4, "embedding": 4, "min_count": 1}
    reads = {
        "models": {
            "short": {"use": "discriminative", "most_tokens": 40, **settings},
            "long": {"use": "discriminative", "most_tokens": 41, **settings},
        },
        "grid": {**ONE_CELL["grid"], "model": ["short", "long"]},
        "measure": ONE_CELL["measure"],
    }
    recipe = fresh.recipe(reads)
    corpus = plan(fresh.store, recipe).corpus
    assert model_key(recipe, corpus, "short", 0) != model_key(recipe, corpus, "long", 0)
    assert fresh.run(reads).measured == 2
    assert fresh.one("SELECT count(DISTINCT model_id) FROM models") == 2


def test_a_policy_that_looks_through_the_model_gets_the_one_of_its_cell(fresh, watched):
    through = {
        "policies": {"cover": {"use": "k-center", "features": "hidden"}},
        "grid": {"policy": ["cover"], "bits": [8]},
        "measure": ONE_CELL["measure"],
    }
    assert fresh.run(through, watcher=watched).measured == 2
    phases = [name for name, _ in watched.phases]
    assert phases.index("models") < phases.index("subsets") < phases.index("cells")
    rows = fresh.rows(
        "SELECT r.model_id = c.model_id FROM subset_requests AS r JOIN cells AS c USING (subset_id)"
    )
    assert rows == [(True,), (True,)]
    assert fresh.one("SELECT count(DISTINCT subset_id) FROM cells") == 2
    assert fresh.run(through).measured == 0


def test_hidden_states_are_only_read_through_the_models_own_words(fresh):
    from calibkit.curate.subsets import build_subset
    from calibkit.policies import make_policy

    part = {"corpus": {"share": 0.5}, "grid": ONE_CELL["grid"], "measure": ONE_CELL["measure"]}
    assert fresh.run(part).done == 1
    model = fresh.one("SELECT model_id FROM models")
    name = fresh.one("SELECT name FROM corpora")
    through = make_policy("k-center", {"features": "hidden"})
    before = fresh.one("SELECT count(*) FROM subset_requests")
    for share in (1.0, 0.3):
        with pytest.raises(BadInput, match="has another vocabulary"):
            build_subset(fresh.store, name, through, size=5, seed=0, share=share, model=model)
    assert fresh.one("SELECT count(*) FROM subset_requests") == before
    built = build_subset(fresh.store, name, through, size=5, seed=0, share=0.5, model=model)
    assert len(built.doc_ids) == 5


def test_rounding_against_brevitas_float_pass_is_flagged(study):
    quantize = {"preset": "paper", "float_pass": "brevitas"}
    grid = {"model": ["discriminative"], "policy": ["random"], "seed": [0], "bits": [8]}
    study.run({"quantize": quantize, "grid": grid | {"rounding": ["nearest", "gpfq"]}})
    told = study.rows("SELECT rounding, flags FROM results WHERE preset = 'paper' AND noise = 0")
    assert sorted(told) == [("gpfq", "brevitas-float-pass"), ("nearest", "")]
