"""Coverage cards in SQL: one row per subset and model, and beside the drop of the cells."""

from __future__ import annotations

import re
from typing import Any

import pytest

from calibkit.store import insert, query, relation

pytestmark = pytest.mark.smoke

POLICY_OF = {"s1-r0": ("random", 0), "s1-r1": ("random", 1), "s1-k0": ("k-center", 0)}


def line(subset: str, metric: str, value: float | None, **more: Any) -> dict[str, Any]:
    fixed = {"pool": "train", "share": 1.0, "model_id": "", "draws": 200, "version": 1}
    place = {"site": "", "ordinal": 0, "low": 0.1, "median": 0.2, "high": 0.3}
    known = {"subset_id": subset, "metric": metric, "value": value, "verdict": "inside"}
    return fixed | place | known | {"is_bad": False} | more


@pytest.fixture
def store(fresh_store, made):
    """Three subsets under one float model, measured with 4 and 8 bits."""
    cells = [
        made.cell(policy, seed, subset, 0.9 - 0.1 * place - 0.02 * (bits == 4), bits=bits)
        for place, (subset, (policy, seed)) in enumerate(POLICY_OF.items())
        for bits in (8, 4)
    ]
    made.fill(fresh_store, cells)
    with fresh_store.writing() as con:
        insert(con, "models", [
            {"model_key": "k1-a", "model_id": "m1-generative.0", "kind": "generative",
             "corpus_id": "c1-news", "share": 1.0}
        ])  # fmt: skip
        insert(con, "subsets", [
            {"subset_id": subset, "corpus_id": "c1-news", "size": 256} for subset in POLICY_OF
        ])  # fmt: skip
        insert(con, "subset_requests", [
            {"request_key": f"r1-{subset}", "subset_id": subset, "corpus_id": "c1-news",
             "policy": policy, "seed": seed, "pool": "train"}
            for subset, (policy, seed) in POLICY_OF.items()
        ])  # fmt: skip
    return fresh_store


def add(store, *lines):
    with store.writing() as con:
        insert(con, "subset_cards", lines)


def records(store, sql):
    table = query(store, sql)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_a_card_is_one_row_and_the_one_under_a_model_has_all_of_it(store):
    model = {"model_id": "m1-generative.0"}
    add(
        store,
        line("s1-r0", "mmd", 0.25),
        line("s1-r0", "in_test", 0.1, verdict="high", is_bad=True, ordinal=1),
        line("s1-r0", "outside", 2, ordinal=2),
        line("s1-r0", "range_covered", 0.8, verdict="low", is_bad=True, **model),
        line("s1-r0", "range_covered", 0.9, site="input", **model),
        line("s1-r0", "range_covered", 0.7, site="lstm.cell", **model),
        line("s1-r0", "clip_rate", 0.02, **model),
        line("s1-r0", "clip_rate", 0.03, site="lstm.cell", **model),
        line("s1-r0", "clip_rate", 0.01, site="input", **model),
        line("s1-r0", "outside_all", 3, ordinal=9, **model),
    )
    text, full = records(store, "FROM coverage_cards ORDER BY model_id NULLS FIRST")
    assert text["corpus"] == full["corpus"] == "news"
    assert (text["model_id"], text["model_kind"]) == (None, None)
    assert (full["model_id"], full["model_kind"]) == ("m1-generative.0", "generative")
    assert (text["policies"], text["size"], text["draws"]) == ("random", 256, 200)
    assert text["mmd"] == full["mmd"] == 0.25
    assert text["range_covered"] is None
    assert (full["range_covered"], full["worst_range_covered"]) == (0.8, 0.7)
    assert (full["clip_rate"], full["worst_clip_rate"]) == (0.02, 0.03)
    assert full["worst_site"] == "lstm.cell"
    assert (text["outside"], full["outside"]) == (2, 3)
    assert (text["bad"], full["bad"]) == (["in_test"], ["in_test", "range_covered"])


def test_newer_metrics_and_more_draws_go_before(store):
    add(
        store,
        line("s1-r0", "mmd", 1, draws=200),
        line("s1-r0", "mmd", 2, draws=1000),
        line("s1-r1", "mmd", 3, draws=1000),
        line("s1-r1", "mmd", 4, draws=20, version=2),
    )
    rows = records(store, "SELECT subset_id, mmd, draws FROM coverage_cards ORDER BY subset_id")
    assert [(r["subset_id"], r["mmd"], r["draws"]) for r in rows] == [
        ("s1-r0", 2, 1000),
        ("s1-r1", 4, 20),
    ]


def test_the_drop_stands_beside_the_card_under_the_cells_own_model(store):
    add(
        store,
        line("s1-r0", "mmd", 0.2),
        line("s1-r0", "log_det", -1, model_id="m1-generative.0", ordinal=1),
        line("s1-r0", "log_det", -9, model_id="m1-somebody-else", ordinal=1),
        line("s1-r0", "range_covered", 0.7, model_id="m1-generative.0", site="input"),
    )
    rows = records(store, "FROM card_vs_drop")
    assert [(r["bits"], r["metric"], r["value"]) for r in rows] == [
        (8, "mmd", 0.2),
        (8, "log_det", -1),
        (4, "mmd", 0.2),
        (4, "log_det", -1),
    ]
    for row in rows:
        (result,) = records(store, f"FROM results WHERE cell_id = '{row['cell_id']}' AND noise = 0")
        for name in ("accuracy", "float_accuracy", "accuracy_drop", "policy", "seed", "model"):
            assert row[name] == result[name]
        assert row["nll_rise"] == pytest.approx(result["nll"] - result["float_nll"])


def test_a_cell_has_one_card_also_where_its_subset_was_held_against_several_pools(store):
    add(
        store,
        line("s1-r0", "mmd", 1, pool="valid"),
        line("s1-r0", "mmd", 2, share=0.5),
        line("s1-r0", "mmd", 3),
    )
    rows = records(store, "SELECT DISTINCT pool, share, value FROM card_vs_drop")
    assert rows == [{"pool": "train", "share": 1.0, "value": 3}]


def test_the_comment_shows_how_to_correlate(store):
    add(store, *(line(subset, "mmd", 0.1 * i) for i, subset in enumerate(POLICY_OF)))
    add(store, *(line(subset, "oov_share", 0.1) for subset in POLICY_OF))
    with store.reading() as con:
        told = relation(con, "card_vs_drop").comment
    sql = re.search(r"together: (WITH .*? NULLS LAST)\.", told)
    assert sql is not None
    rows = records(store, sql[1])
    found = {(r["bits"], r["metric"]): r["spearman"] for r in rows}
    assert found[8, "mmd"] == pytest.approx(1)  # the drop grows with it
    assert found[4, "mmd"] == pytest.approx(1)
    assert all(r["cells"] == r["subsets"] == 3 for r in rows)
    assert {r["bits"] for r in rows} == {4, 8}
    flat = [value for (_, metric), value in found.items() if metric == "oov_share"]
    assert all(value is None or value != value for value in flat)  # a constant has no rank
