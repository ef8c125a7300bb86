"""The contract of the views: grain, units, signs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibkit.store import insert, merge, query, relation, row_counts, write_fragment

pytestmark = pytest.mark.smoke

EXAMPLES = [
    "FROM progress",
    "SELECT policy, accuracy, ci_low, ci_high, draws FROM summary WHERE recipe='agnews-policies'"
    " AND model='generative' AND bits=4 AND noise=0 ORDER BY accuracy DESC",
    "SELECT model, bits, gain, ci_low, ci_high, wins, pairs FROM compare('k-center','random')"
    " WHERE noise=0 ORDER BY gain DESC",
    "PIVOT (FROM summary WHERE noise=0) ON bits IN (8,6,4,3)"
    " USING round(any_value(accuracy),3) GROUP BY model, policy",
    "SELECT model, policy, bits, noise_drop FROM summary WHERE noise=0.1"
    " ORDER BY noise_drop DESC LIMIT 5",
]


@pytest.fixture
def store(fresh_store):
    return fresh_store


@pytest.fixture
def filled(store, made):
    """random: three draws; k-center: seeds 0 and 1 gave the same subset, seed 2 another."""
    c = made.cell
    cells = [
        c("random", 0, "s1-r0", 0.80, 0.70),
        c("random", 1, "s1-r1", 0.82, 0.72),
        c("random", 2, "s1-r2", 0.84, 0.74),
        c("k-center", 0, "s1-k0", 0.85, 0.70),
        c("k-center", 1, "s1-k0", 0.85, 0.70),
        c("k-center", 2, "s1-k1", 0.83, 0.71),
    ]
    made.fill(store, cells)
    return store


def records(store, sql):
    table = query(store, sql)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.mark.parametrize("sql", EXAMPLES)
def test_the_example_queries_run(filled, sql):
    assert query(filled, sql).rows


def test_results_have_one_row_per_cell_and_level_with_their_signs(filled):
    rows = records(filled, "FROM results")
    assert len(rows) == 6 * 2
    clean = [r for r in rows if r["noise_kind"] == "none"]
    assert len(clean) == 6
    assert all(r["noise"] == 0 and r["noise_drop"] == 0 for r in clean)
    (row,) = [r for r in rows if r["policy"] == "random" and r["seed"] == 2 and r["noise"] == 0.1]
    assert row["accuracy"] == 0.74
    assert row["float_accuracy"] == 0.8
    assert row["accuracy_drop"] == pytest.approx(0.06)
    assert row["noise_drop"] == pytest.approx(0.10)
    assert row["macro_f1_drop"] == pytest.approx(0.06)
    assert row["float_nll"] == pytest.approx(1.2)
    assert row["seconds"] == 3.0
    assert row["flags"] == ""
    assert row["subset_id"] == "s1-r2"


def test_flags_of_a_level_stand_with_its_result(store, made):
    cell = made.cell("random", 0, "s1-r0", 0.8)
    made.plan(store, [cell])
    payload = made.payload(cell, flags=["dead-lstm", "one-label"])
    write_fragment(store.fragments, "a", payload)
    merge(store)
    flags = {row["flags"] for row in records(store, "SELECT flags FROM results")}
    assert flags == {"dead-lstm, one-label"}


def test_a_policy_that_looks_through_the_model_has_one_draw_a_seed(store, made):
    cells = [
        made.cell("hidden", seed, f"s1-{seed}-{model}", 0.8 + 0.01 * seed, model_seed=model)
        for seed in (0, 1)
        for model in (0, 1, 2)
    ]
    made.plan(store, cells)
    for cell in cells:
        write_fragment(store.fragments, cell.cell_id, made.payload(cell))
    merge(store)
    (row,) = records(store, "FROM summary WHERE noise = 0")
    assert (row["draws"], row["models"]) == (2, 3)
    assert row["accuracy"] == pytest.approx(0.805)


def test_summary_counts_distinct_subsets_as_draws(filled):
    rows = {r["policy"]: r for r in records(filled, "FROM summary WHERE noise = 0")}
    k = rows["k-center"]
    assert (k["draws"], k["models"]) == (2, 1)
    assert k["accuracy"] == pytest.approx(0.84)  # not .8433: the repeated subset counts once
    r = rows["random"]
    assert r["draws"] == 3
    assert r["accuracy"] == pytest.approx(0.82)
    assert r["sd"] == pytest.approx(0.02)
    half = 4.3026527 * 0.02 / math.sqrt(3)
    assert r["ci_low"] == pytest.approx(0.82 - half)
    assert r["ci_high"] == pytest.approx(0.82 + half)
    assert r["accuracy_drop"] == pytest.approx(0.08)


def test_one_draw_has_no_interval(store, made):
    made.fill(store, [made.cell("longest", s, "s1-same", 0.8) for s in range(4)])
    (row,) = records(store, "FROM summary WHERE noise = 0")
    assert (row["draws"], row["sd"], row["ci_low"], row["ci_high"]) == (1, None, None, None)


def test_summary_averages_over_float_models_before_draws(store, made):
    c = made.cell
    cells = [
        c("random", s, f"s1-{s}", acc, model_seed=m)
        for m, accs in enumerate([(0.80, 0.84), (0.70, 0.78)])
        for s, acc in enumerate(accs)
    ]
    made.fill(store, cells)
    (row,) = records(store, "FROM summary WHERE noise = 0")
    draws = np.array([(0.80 + 0.70) / 2, (0.84 + 0.78) / 2])
    assert (row["draws"], row["models"]) == (2, 2)
    assert row["accuracy"] == pytest.approx(draws.mean())
    half = 12.7062047 * draws.std(ddof=1) / math.sqrt(2)
    assert row["ci_low"] == pytest.approx(row["accuracy"] - half)


def test_compare_pairs_by_seed_and_counts_draws_once(filled):
    rows = records(filled, "FROM compare('k-center', 'random') WHERE noise = 0")
    (row,) = rows
    gains = np.array([0.85 - 0.80, 0.85 - 0.82, 0.83 - 0.84])
    assert (row["draws"], row["pairs"], row["wins"]) == (3, 3, 2)
    assert row["gain"] == pytest.approx(gains.mean())
    assert row["sd"] == pytest.approx(gains.std(ddof=1))
    half = 4.3026527 * gains.std(ddof=1) / math.sqrt(3)
    assert row["ci_high"] == pytest.approx(gains.mean() + half)
    (back,) = records(filled, "FROM compare('random', 'k-center') WHERE noise = 0")
    assert back["gain"] == pytest.approx(-row["gain"])


def test_compare_of_two_seedless_policies_is_one_draw(store, made):
    cells = [made.cell(p, s, f"s1-{p}", a) for p, a in (("a", 0.8), ("b", 0.7)) for s in range(3)]
    made.fill(store, cells)
    (row,) = records(store, "FROM compare('a', 'b') WHERE noise = 0")
    assert (row["draws"], row["pairs"], row["wins"], row["ci_low"]) == (1, 1, 1, None)
    assert row["gain"] == pytest.approx(0.1)


def test_compare_clusters_by_model(store, made):
    cells = [
        made.cell(p, s, f"s1-{p}{s}", base + s / 100 + m / 10, model_seed=m)
        for p, base in (("a", 0.6), ("b", 0.5))
        for s in range(3)
        for m in range(2)
    ]
    made.fill(store, cells)
    (row,) = records(store, "FROM compare('a', 'b') WHERE noise = 0")
    assert (row["draws"], row["pairs"], row["wins"]) == (3, 6, 6)


def test_compare_pairs_only_what_is_alike(store, made):
    cells = [made.cell("a", 0, "s1-a", 0.8, bits=4), made.cell("b", 0, "s1-b", 0.7, bits=8)]
    made.fill(store, cells)
    assert records(store, "FROM compare('a', 'b')") == []


def test_baselines_stand_apart_from_results(filled):
    rows = records(filled, "FROM baselines")
    assert [(r["stage"], r["noise"]) for r in rows] == [
        ("float", 0.0),
        ("float", 0.1),
        ("port", 0.0),
        ("port", 0.1),
    ]
    assert rows[1]["noise_drop"] == pytest.approx(0.1)
    assert all(r["agreement"] == 1 and r["model"] == "generative" for r in rows)


def test_label_results_name_the_label_and_its_float_accuracy(filled):
    rows = records(filled, "FROM label_results WHERE noise = 0 AND policy = 'random' AND seed = 0")
    assert [r["label"] for r in rows] == ["Sports", "World"]
    assert rows[0]["accuracy"] == 0.75
    assert rows[0]["float_accuracy"] == 1
    assert rows[0]["accuracy_drop"] == 0.25
    assert rows[0]["f1_drop"] == pytest.approx(0.4)


def test_shifts_are_split_by_quantity(filled):
    for name in ("weight_shift", "activation_shift"):
        rows = records(filled, f"FROM {name}")
        assert len(rows) == 6
        assert {r["site"] for r in rows} == {"lstm"}


def test_only_the_latest_version_of_a_recipe_shows(filled, made):
    newer = [made.cell("random", 0, "s1-r0", 0.80, version="y1-b")]
    made.plan(filled, newer, started="2025-02-01 00:00:00")
    rows = records(filled, "FROM progress")
    assert rows == [
        {"recipe": "agnews-policies", "planned": 1, "done": 1, "failed": 0, "missing": 0}
    ]
    assert len(records(filled, "FROM results")) == 2


def test_a_level_that_the_recipe_does_not_name_is_not_shown(filled):
    with filled.writing() as con:
        insert(
            con,
            "evaluations",
            [
                {
                    "cell_id": "x1-generative.0.256.4.s1-r0",
                    "noise_kind": "keyboard",
                    "noise": 0.3,
                    "noise_seed": 0,
                    "accuracy": 0.1,
                }
            ],
        )
    assert records(filled, "FROM results WHERE noise = 0.3") == []


def test_noise_seeds_are_averaged_in_one_row(filled):
    level = {"noise_kind": "keyboard", "noise": 0.1, "noise_seed": 1}
    with filled.writing() as con:
        insert(con, "recipe_noises", [{"recipe_id": "y1-a", **level}])
        insert(
            con,
            "evaluations",
            [{"cell_id": "x1-generative.0.256.4.s1-r0", **level, "accuracy": 0.5}],
        )
    (row,) = records(filled, "FROM results WHERE seed = 0 AND policy = 'random' AND noise = 0.1")
    assert row["accuracy"] == pytest.approx(0.6)
    done = records(filled, "FROM progress")[0]
    assert (done["done"], done["missing"]) == (1, 5)  # the others lack the new level


def test_progress_and_failed_tell_what_is_left(store, made):
    c = made.cell
    cells = [c("random", s, f"s1-{s}", 0.8, 0.7) for s in range(5)]
    made.plan(store, cells)
    for cell in cells[:2]:
        write_fragment(store.fragments, cell.cell_id, made.payload(cell))
    half = c("random", 2, "s1-2", 0.8)  # its noisy level is not there
    write_fragment(store.fragments, half.cell_id, made.payload(half))
    failures = [
        {
            "failure_id": f"f-{cell.seed}-{attempt}",
            "recipe_id": "y1-a",
            "plan_key": cell.plan_key,
            "stage": "evaluate",
            "error_type": "Infeasible",
            "message": f"attempt {attempt}",
            "failed_at": f"2025-01-01 00:00:0{attempt}",
        }
        for cell in (cells[0], cells[3])
        for attempt in (1, 2)
    ]
    write_fragment(
        store.fragments, "f", {"fragment": 1, "kind": "failure", "rows": {"failures": failures}}
    )
    merge(store)
    assert records(store, "FROM progress") == [
        {"recipe": "agnews-policies", "planned": 5, "done": 2, "failed": 1, "missing": 2}
    ]
    (row,) = records(store, "FROM failed")
    assert (row["seed"], row["message"], row["attempts"]) == (3, "attempt 2", 2)


def test_provenance_and_subset_profile_have_one_row_per_thing(filled):
    with filled.writing() as con:
        insert(con, "subsets", [{"subset_id": "s1-k0", "corpus_id": "c1-news", "size": 256}])
        insert(
            con,
            "subset_requests",
            [
                {
                    "request_key": f"r1-{p}{s}",
                    "subset_id": "s1-k0",
                    "corpus_id": "c1-news",
                    "policy": p,
                    "seed": s,
                    "pool": "train",
                }
                for p in ("k-center", "best")
                for s in (0, 1)
            ],
        )
        insert(con, "subset_profiles", [{"subset_id": "s1-k0", "label_mix": {"World": 0.5}}])
    (row,) = records(filled, "FROM subset_profile")
    assert row["policies"] == "best, k-center"
    assert row["seeds"] == [0, 1]
    assert row["corpus"] == "news"
    assert row["requests"] == 4
    assert row["label_mix"] == '{"World": 0.5}'
    assert len(records(filled, "FROM provenance")) == 6


def test_catalog_describes_and_counts(filled):
    with filled.reading() as con:
        counts = row_counts(con)
        found = relation(con, "summary")
        macro = relation(con, "compare")
    assert counts["cells"] == 5
    assert counts["evaluations"] == 10
    assert found.kind == "view"
    assert "distinct" in {c.name: c.comment for c in found.columns}["draws"].lower()
    assert macro.name == "compare(a, b)"
    assert "gain" in [c.name for c in macro.columns]
