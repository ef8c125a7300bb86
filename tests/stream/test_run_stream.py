"""Streams followed whole: what is written, what does not change it, and where it goes on."""

from __future__ import annotations

import pytest

from calibkit.stream.plan import plan_stream


def test_a_stream_leaves_a_row_for_every_step_and_phase(streamed):
    assert streamed.rows("SELECT count(*), count(DISTINCT trajectory_id) FROM stream_steps") == [
        (4 * 4, 4)
    ]
    per_step = "SELECT count(*), min(documents), max(phase) FROM stream_evaluations"
    assert streamed.rows(per_step) == [(4 * 4 * 2, 20, 1)]
    phases = streamed.rows("SELECT DISTINCT step, phase FROM stream_steps ORDER BY step")
    assert phases == [(0, None), (1, 0), (2, 1), (3, 1)]
    everyone = "SELECT count(*) FROM stream_results WHERE recipe = 'tiny-stream'"
    assert streamed.rows(everyone) == [(4 * 4 * 2,)]


def test_a_frozen_network_measures_the_same_after_every_batch(streamed):
    spread = """
        SELECT max(high - low) FROM (
            SELECT max(accuracy) AS high, min(accuracy) AS low FROM stream_results
            WHERE method = 'frozen' GROUP BY model, phase)
    """
    assert streamed.rows(spread) == [(0.0,)]
    assert streamed.rows("SELECT sum(flips) FROM stream_steps JOIN stream_trajectories "
                         "USING (trajectory_id) WHERE method = 'frozen'") == [(0,)]


def test_before_any_batch_all_methods_are_the_same_network(streamed):
    differences = """
        SELECT max(abs(a.accuracy - b.accuracy)), max(abs(a.nll - b.nll))
        FROM stream_results AS a JOIN stream_results AS b USING (model, phase, step)
        WHERE step = 0 AND a.method = 'frozen' AND b.method = 'gpfq'
    """
    assert streamed.rows(differences) == [(0.0, 0.0)]
    changed = """
        SELECT count(*) FROM stream_results AS a JOIN stream_results AS b
        USING (model, phase, step)
        WHERE step = 3 AND a.method = 'frozen' AND b.method = 'gpfq' AND a.nll != b.nll
    """
    assert streamed.rows(changed) == [(4,)]


def test_running_it_again_follows_nothing(stream, heard):
    report = stream.run(watcher=heard)
    assert (report.followed, report.done, report.asked_missing) == (0, 4, 0)
    assert [name for name, _ in heard.phases] == ["corpus"]


def test_a_further_method_follows_only_its_own_trajectories(stream):
    report = stream.run({"methods": {"fifo": {"subset": "fifo", "model": "ranges"}},
                         "grid": {"method": ["frozen", "gpfq", "fifo"]}})
    assert (report.followed, report.done, report.planned) == (2, 6, 6)
    left = stream.rows("SELECT count(*) FROM stream_documents WHERE event = 'left'")
    assert left[0][0] > 0


def test_one_that_is_cut_off_goes_on_from_its_last_whole_step(
    streamed, stream, heard, everything_followed, tmp_path
):
    with stream.store.writing() as con:
        for table in ("stream_steps", "stream_evaluations", "stream_documents"):
            con.execute(f"DELETE FROM {table}")
    for folder in ("merged", "fragments"):
        for path in (stream.store.folder / folder).glob("*.json"):
            path.unlink()

    def cut(text):
        if "gpfq" in text and "batch 2" in text:
            raise KeyboardInterrupt

    heard.on_step = cut
    with pytest.raises(KeyboardInterrupt):
        stream.run(watcher=heard)
    kept = list((stream.store.folder / "streams").glob("*.safetensors"))
    plan = plan_stream(stream.store, stream.recipe())
    steps = {one.steps_done for one in plan.trajectories if one.state != "done"}
    report = stream.run()
    assert report.missing == 0
    assert everything_followed(stream) == everything_followed(streamed)
    assert list((stream.store.folder / "streams").glob("*.safetensors")) == []
    assert kept or steps  # it was really cut off in the middle


@pytest.mark.parametrize("how", [{"executor": "local", "workers": 2}, {"engine": "torch"}])
def test_neither_workers_nor_engine_change_a_number(
    streamed, stream, everything_followed, how
):
    with stream.store.writing() as con:
        for table in ("stream_steps", "stream_evaluations", "stream_documents"):
            con.execute(f"DELETE FROM {table}")
    for path in (stream.store.folder / "merged").glob("*.json"):
        path.unlink()
    report = stream.run(**how)
    assert (report.followed, report.failed) == (4, 0)
    assert everything_followed(stream) == everything_followed(streamed)
