"""The views of streams: grain, columns, units and signs, against numbers worked out by hand."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from made_streams import PHASES, WHEN, Trajectory, make_streams, trajectories

from calibkit.errors import BadInput
from calibkit.store import Store, insert, merge, query, relation, write_fragment
from calibkit.store.carry import write_notes

pytestmark = pytest.mark.smoke

GRID = [
    "corpus", "recipe", "model", "model_kind", "model_seed", "method", "subset_update",
    "model_update", "policy", "policy_kind", "size", "seed", "bits", "preset", "scheme_id",
]  # fmt: skip
A = [
    [0.80, 0.60, 0.50],  # before any batch
    [0.83, 0.61, 0.52],  # calm
    [0.85, 0.66, 0.53],  # typos
    [0.84, 0.70, 0.55],  # typos
    [0.81, 0.69, 0.62],  # rare
]
"""Accuracy after each step on each phase's hold-out."""


def from_matrix(one: Trajectory, step: int, phase: int) -> float:
    return A[step][phase] if one.method == "flips" else A[0][phase]


@pytest.fixture
def streams(fresh_store):
    planned = [Trajectory(method) for method in ("frozen", "flips")]
    make_streams(fresh_store, planned, from_matrix)
    return fresh_store


def rows(store, text):
    return query(store, text).rows


@pytest.mark.parametrize(
    "name",
    ["stream_results", "stream_updates", "stream_forgetting", "subset_lineage", "stream_progress"],
)
def test_every_column_is_explained_and_the_grid_comes_first(streams, name):
    with streams.reading() as con:
        found = relation(con, name)
    assert found.comment.startswith("One row per ")
    assert [column.name for column in found.columns][: len(GRID)] == GRID
    assert [column.name for column in found.columns if not column.comment.endswith(".")] == []


def test_results_have_every_phase_after_every_step(streams):
    found = rows(
        streams,
        "SELECT step, phase, phase_name, is_current, accuracy, accuracy_drop, noise_kind, noise"
        " FROM stream_results WHERE method = 'flips'",
    )
    assert len(found) == 5 * 3
    assert found[0] == (0, 0, "calm", False, 0.8, pytest.approx(0.1), "none", 0.0)
    assert found[7] == (2, 1, "typos", True, 0.66, pytest.approx(0.24), "keyboard", 0.1)
    assert [(s, p) for s, p, _, current, *_ in found if current] == [(1, 0), (2, 1), (3, 1), (4, 2)]


def test_forgetting_is_what_its_comment_says(streams):
    names = [
        "steps", "final_accuracy", "online_accuracy", "backward_transfer", "forgetting",
        "forward_transfer", "final_float_accuracy", "online_float_accuracy", "final_nll",
        "online_nll", "flips", "macs", "macs_subset", "macs_model", "seconds", "peak_mb",
        "model_bytes",
    ]  # fmt: skip
    (found,) = rows(
        streams, f"SELECT {', '.join(names)} FROM stream_forgetting WHERE method = 'flips'"
    )
    of = dict(zip(names, found, strict=True))
    assert of == pytest.approx(
        {
            "steps": 4,
            "final_accuracy": (0.81 + 0.69 + 0.62) / 3,
            "online_accuracy": (0.83 + 0.66 + 0.70 + 0.62) / 4,
            "backward_transfer": ((0.81 - 0.83) + (0.69 - 0.70)) / 2,
            "forgetting": ((0.85 - 0.81) + (0.70 - 0.69)) / 2,
            "forward_transfer": ((0.61 - 0.60) + (0.55 - 0.50)) / 2,
            "final_float_accuracy": 0.9,
            "online_float_accuracy": 0.9,
            "final_nll": 1 - (0.81 + 0.69 + 0.62) / 3,
            "online_nll": 1 - (0.83 + 0.66 + 0.70 + 0.62) / 4,
            "flips": 3 + 6 + 9 + 12,
            "macs": 4 * 12,
            "macs_subset": 4 * 2,
            "macs_model": 4 * 10,
            "seconds": 1 + 2 + 3 + 4 + 4 * 0.25,
            "peak_mb": 400.0,
            "model_bytes": 5000,
        }
    )


def test_with_one_phase_nothing_can_be_forgotten(fresh_store):
    make_streams(fresh_store, [Trajectory()], lambda *_: 0.5, phases=[("only", 3)])
    assert rows(
        fresh_store,
        "SELECT final_accuracy, online_accuracy, backward_transfer, forgetting, forward_transfer"
        " FROM stream_forgetting",
    ) == [(0.5, 0.5, None, None, None)]


def test_a_trajectory_on_its_way_has_results_and_no_final_ones(fresh_store):
    make_streams(fresh_store, trajectories(seeds=1), from_matrix, steps_done=lambda one: 2)
    assert rows(fresh_store, "FROM stream_forgetting") == []
    assert rows(fresh_store, "SELECT max(step) FROM stream_results") == [(2,)]
    assert rows(fresh_store, "SELECT DISTINCT state, steps_done, steps FROM stream_progress") == [
        ("begun", 2, 4)
    ]


def test_a_stay_of_a_document_is_one_row(streams):
    found = rows(
        streams,
        "SELECT doc_id, came_at, came_phase, came_phase_name, left_at, steps_stayed,"
        " misses_when_it_came, misses_when_it_left, label, subset_id"
        " FROM subset_lineage WHERE method = 'flips'",
    )
    assert [row[:8] for row in found] == [
        ("d0", 0, None, None, 1, 1, 0, 11),
        ("d1", 0, None, None, 2, 2, 1, 12),
        ("d2", 1, 0, "calm", 3, 2, 1, 13),
        ("d3", 2, 1, "typos", 4, 2, 2, 14),
        ("d4", 3, 1, "typos", None, 2, 3, None),
        ("d5", 4, 2, "rare", None, 1, 4, None),
    ]
    assert found[0][8:] == ("World", "s1-64-0")
    assert found[2][8:] == ("World", "s1-64-0-flips-1")
    frozen = "SELECT DISTINCT left_at, steps_stayed FROM subset_lineage WHERE method = 'frozen'"
    assert rows(streams, frozen) == [(None, 5)]


def test_a_document_that_leaves_and_comes_again_has_two_stays(streams):
    with streams.writing() as con:
        me = dict(trajectory_id=Trajectory("flips").id, corpus_id="c1-news", doc_id="d0")
        insert(con, "stream_documents", [dict(me, step=3, event="came", phase=1)])
    found = rows(
        streams,
        "SELECT came_at, left_at, steps_stayed FROM subset_lineage"
        " WHERE method = 'flips' AND doc_id = 'd0'",
    )
    assert found == [(0, 1, 1), (3, None, 2)]


def test_updates_have_a_row_per_step(streams):
    found = rows(
        streams,
        "SELECT step, phase_name, came, gone, flips, macs_subset, macs_model, parent_subset_id"
        " FROM stream_updates WHERE method = 'flips'",
    )
    assert found[0] == (0, None, 0, 0, 0, 0, 1000, None)
    assert found[2] == (2, "typos", 1, 1, 6, 2, 10, "s1-64-0-flips-1")


def test_progress_counts_trajectories_and_tells_failures(fresh_store):
    planned = trajectories(seeds=1)
    done = {"frozen": 4, "gpfq": 3, "flips": 2}
    make_streams(
        fresh_store,
        planned,
        from_matrix,
        steps_done=lambda one: done.get(one.method, -1),
    )
    failure = dict(failure_id="f1-a", run_id="n1-y1-stream", recipe_id="y1-stream", host="here",
                   plan_key=Trajectory("flips").id, stage="update", error_type="Infeasible",
                   message="too few", failed_at=WHEN)  # fmt: skip
    with fresh_store.writing() as con:
        later = dict(failure, failure_id="f1-b", message="fewer")
        of_another = dict(failure, failure_id="f1-c", plan_key=planned[0].id)
        insert(con, "failures", [failure, later, of_another])
    assert rows(fresh_store, "FROM progress") == [("stream-made", 4, 1, 1, 2)]
    assert rows(
        fresh_store, "SELECT method, state, steps_done, message, attempts FROM stream_progress"
    ) == [
        ("frozen", "done", 4, None, None),
        ("gpfq", "begun", 3, None, None),
        ("flips", "failed", 2, "fewer", 2),
        ("recalibrated", "missing", 0, None, None),
    ]


def test_only_the_latest_version_of_a_recipe_is_shown(streams):
    make_streams(
        streams, [Trajectory("gpfq", seed=1)], from_matrix, version="y1-later",
        started=WHEN + timedelta(hours=1),
    )  # fmt: skip
    shown = "SELECT DISTINCT method, seed FROM stream_forgetting"
    assert rows(streams, shown) == [("gpfq", 1)]


def test_steps_travel_as_fragments_and_differing_ones_are_noticed(streams):
    with streams.reading() as con:
        told = con.execute("FROM stream_steps WHERE step = 4").fetchall()
        names = [column[0] for column in con.description]
        evaluated = con.execute("FROM stream_evaluations WHERE step = 4").fetchall()
        columns = [column[0] for column in con.description]
    steps = [dict(zip(names, row, strict=True)) for row in told]
    scores = [dict(zip(columns, row, strict=True)) for row in evaluated]
    with streams.writing() as con:
        con.execute("DELETE FROM stream_steps WHERE step = 4")
        con.execute("DELETE FROM stream_evaluations WHERE step = 4")
    assert rows(streams, "FROM stream_forgetting") == []
    payload = {"fragment": 1, "kind": "stream",
               "rows": {"stream_steps": steps, "stream_evaluations": scores}}  # fmt: skip
    write_fragment(streams.fragments, "j1-a", payload)
    report = merge(streams)
    assert not report.problems and report.rows == {"stream_steps": 2, "stream_evaluations": 6}
    assert len(rows(streams, "FROM stream_forgetting")) == 2
    slower = [dict(row, seconds_model=9.0, seconds_subset=1.0, peak_mb=1.0, host="there")
              for row in steps]  # fmt: skip
    write_fragment(streams.fragments, "j1-b", payload | {"rows": {"stream_steps": slower}})
    assert not merge(streams).problems
    other = [dict(row, accuracy=0.1) for row in scores]
    write_fragment(streams.fragments, "j1-c", payload | {"rows": {"stream_evaluations": other}})
    assert len(merge(streams).conflicts) == 6


def test_what_a_stream_refers_to_travels_beside_its_fragments(streams, tmp_path, template):
    with streams.writing() as con:
        for subset in ("s1-64-0", "s1-64-0-flips-3", "s1-other"):
            insert(con, "subsets", [dict(subset_id=subset, corpus_id="c1-news", size=64)])
        insert(con, "models", [dict(model_key=f"k1-{n}", model_id=f"m1-discriminative-{n}",
                                    kind="discriminative") for n in (0, 1)])  # fmt: skip
    assert write_notes(streams, "y1-stream")
    other = Store(tmp_path / "other" / "store.duckdb")
    other.folder.mkdir(parents=True)
    shutil.copy(template, other.path)
    assert not merge(other, streams.fragments).problems
    assert rows(other, "SELECT subset_id FROM subsets ORDER BY ALL") == [
        ("s1-64-0",), ("s1-64-0-flips-3",),
    ]  # fmt: skip
    assert rows(other, "SELECT model_key FROM models") == [("k1-0",)]
    assert rows(other, "SELECT count(*) FROM stream_trajectories") == [(2,)]
    assert rows(other, "SELECT count(*) FROM stream_phases") == [(len(PHASES),)]
    assert rows(other, "SELECT recipe FROM runs") == [("stream-made",)]


@pytest.mark.parametrize(
    "row",
    [
        ("stream_documents", dict(trajectory_id="j", step=1, doc_id="d", event="went")),
        ("stream_steps", dict(trajectory_id="j", step=0, phase=0)),
        ("stream_steps", dict(trajectory_id="j", step=1)),
        ("stream_phases", dict(stream_id="v", phase=0, name="a", batches=1, noise_kind="none",
                               noise=0.5)),
    ],
)  # fmt: skip
def test_rows_that_mean_nothing_are_refused(fresh_store, row):
    with pytest.raises(BadInput, match="CHECK"), fresh_store.writing() as con:
        insert(con, row[0], [row[1]])
