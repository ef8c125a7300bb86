"""The contract of the views: names, columns, comments; an empty store."""

from __future__ import annotations

import numpy as np
import pytest

from calibkit.store import query, tables, views

pytestmark = pytest.mark.smoke

VIEWS = [
    "results",
    "baselines",
    "summary",
    "label_results",
    "weight_shift",
    "activation_shift",
    "subset_profile",
    "coverage_cards",
    "card_vs_drop",
    "synthetic",
    "stream_results",
    "stream_updates",
    "stream_forgetting",
    "subset_lineage",
    "stream_progress",
    "deployments",
    "progress",
    "failed",
    "provenance",
]
RESULTS = [
    "corpus",
    "recipe",
    "model",
    "model_kind",
    "model_seed",
    "policy",
    "policy_kind",
    "size",
    "seed",
    "bits",
    "rounding",
    "preset",
    "scheme_id",
    "noise_kind",
    "noise",
    "accuracy",
    "float_accuracy",
    "accuracy_drop",
    "noise_drop",
    "macro_f1",
    "macro_f1_drop",
    "worst_label_accuracy",
    "majority_share",
    "nll",
    "float_nll",
    "mean_abs_h",
    "flags",
    "ks_weights",
    "ks_activations",
    "ks_token_nll",
    "documents",
    "seconds",
    "cell_id",
    "subset_id",
]
SUMMARY = [
    "corpus",
    "recipe",
    "model",
    "policy",
    "size",
    "bits",
    "rounding",
    "scheme_id",
    "noise_kind",
    "noise",
    "accuracy",
    "sd",
    "draws",
    "models",
    "ci_low",
    "ci_high",
    "accuracy_drop",
    "noise_drop",
    "macro_f1",
    "nll",
    "ks_weights",
    "ks_activations",
    "ks_token_nll",
    "seconds",
    "preset",
]
COMPARE = [
    "model",
    "size",
    "bits",
    "rounding",
    "noise_kind",
    "noise",
    "gain",
    "sd",
    "draws",
    "wins",
    "pairs",
    "ci_low",
    "ci_high",
    "corpus",
    "recipe",
    "scheme_id",
    "preset",
]


def test_names_and_columns_are_the_contract(fresh_store):
    with fresh_store.reading() as con:
        assert sorted(v.name for v in views(con)) == sorted([*VIEWS, "compare(a, b)"])
    assert list(query(fresh_store, "FROM results").columns) == RESULTS
    assert list(query(fresh_store, "FROM summary").columns) == SUMMARY
    assert list(query(fresh_store, "FROM compare('a', 'b')").columns)[: len(COMPARE)] == COMPARE
    assert query(fresh_store, "FROM progress").columns == (
        "recipe",
        "planned",
        "done",
        "failed",
        "missing",
    )


def test_every_view_column_and_table_has_a_comment(fresh_store):
    with fresh_store.reading() as con:
        for found in [*views(con), *tables(con)]:
            assert found.comment, found.name
            if found.kind == "view":
                for column in found.columns:
                    assert column.comment.endswith((".", ").")), (found.name, column.name)
        internal = con.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal AND comment IS NULL"
        ).fetchall()
    assert internal == []


def test_an_empty_store_answers_with_no_rows(fresh_store):
    for name in VIEWS:
        assert query(fresh_store, f"FROM {name}").rows == []
    assert query(fresh_store, "FROM compare('a', 'b')").rows == []


def test_t_quantiles_are_those_of_scipy(fresh_store):
    stats = pytest.importorskip("scipy.stats")
    with fresh_store.reading() as con:
        found = con.execute("SELECT df, t FROM t_quantiles ORDER BY df").fetchall()
    assert [df for df, _ in found] == list(range(1, 1001))
    expected = stats.t.ppf(0.975, np.arange(1, 1001))
    assert np.allclose([t for _, t in found], expected, rtol=0, atol=1e-7)
