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
    assert streamed.rows(
        "SELECT sum(flips) FROM stream_steps JOIN stream_trajectories "
        "USING (trajectory_id) WHERE method = 'frozen'"
    ) == [(0,)]


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
    report = stream.run(
        {
            "methods": {"fifo": {"subset": "fifo", "model": "ranges"}},
            "grid": {"method": ["frozen", "gpfq", "fifo"]},
        }
    )
    assert (report.followed, report.done, report.planned) == (2, 6, 6)
    left = stream.rows("SELECT count(*) FROM stream_documents WHERE event = 'left'")
    assert left[0][0] > 0


def emptied(study):
    """Forget everything that was followed."""
    with study.store.writing() as con:
        for table in ("stream_steps", "stream_evaluations", "stream_documents"):
            con.execute(f"DELETE FROM {table}")
    for folder in ("merged", "fragments"):
        for path in (study.store.folder / folder).glob("*.json"):
            path.unlink()


def standing(study):
    return sorted((study.store.folder / "streams").glob("*.safetensors"))


@pytest.mark.parametrize("after", ["the fragment", "nothing"])
def test_one_that_is_cut_off_goes_on_from_its_last_whole_step(
    streamed, stream, everything_followed, monkeypatch, after
):
    from calibkit.stream import trajectory

    emptied(stream)
    real_keep, real_update = trajectory.keep, trajectory.updated
    steps = []

    def keep_but_once(places, trajectory_id, at):
        if after == "the fragment" and at.step == 2:
            raise KeyboardInterrupt  # step 2 is written, and nobody knows where the network stands
        real_keep(places, trajectory_id, at)

    def update_but_once(name, offer):
        steps.append(offer.step)
        if after == "nothing" and offer.step == 2:
            raise KeyboardInterrupt
        return real_update(name, offer)

    with monkeypatch.context() as patch:
        patch.setattr(trajectory, "keep", keep_but_once)
        patch.setattr(trajectory, "updated", update_but_once)
        with pytest.raises(KeyboardInterrupt):
            stream.run()
    assert steps == [1, 2]
    assert len(standing(stream)) == 1
    done = sorted(one.steps_done for one in plan_stream(stream.store, stream.recipe()).trajectories)
    assert done == [0, 0, 0, 3 if after == "the fragment" else 2]

    monkeypatch.setattr(
        trajectory,
        "updated",
        lambda name, offer: (steps.append(offer.step), real_update(name, offer))[1],
    )
    report = stream.run()
    assert (report.followed, report.missing) == (4, 0)
    assert steps[:4] == [1, 2, 2, 3]  # step 1 is not done again
    assert everything_followed(stream) == everything_followed(streamed)
    assert standing(stream) == []


def test_a_damaged_standing_is_followed_from_the_start_again(
    streamed, stream, everything_followed, monkeypatch, caplog
):
    from calibkit.stream import trajectory

    emptied(stream)
    with monkeypatch.context() as patch:
        patch.setattr(trajectory, "forget", lambda *_: None)
        stream.run(where="model = 'generative'")
    emptied(stream)
    for path in standing(stream):
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    stream.run()
    assert "is damaged; the trajectory is followed from its start again" in caplog.text
    assert everything_followed(stream) == everything_followed(streamed)


def test_steps_that_the_store_has_lost_are_followed_again(
    streamed, stream, everything_followed, monkeypatch
):
    """Where a trajectory stands is no use where the steps before are gone."""
    from calibkit.stream import trajectory

    emptied(stream)
    real = trajectory.updated

    def update_but_twice(name, offer):
        if offer.step == 3:
            raise KeyboardInterrupt
        return real(name, offer)

    with monkeypatch.context() as patch:
        patch.setattr(trajectory, "updated", update_but_twice)
        with pytest.raises(KeyboardInterrupt):
            stream.run()
    stream.run(where="seed > 0")  # merges what is waiting
    assert len(standing(stream)) == 1
    with stream.store.writing() as con:
        for table in ("stream_steps", "stream_evaluations", "stream_documents"):
            con.execute(f"DELETE FROM {table}")
    report = stream.run()
    assert (report.followed, report.missing) == (4, 0)
    assert everything_followed(stream) == everything_followed(streamed)


ALL = {"layers": ["gates", "linear"], "ranges": True}
EVERY_METHOD = {
    "frozen": {"subset": "frozen", "model": "frozen"},
    "ranges": {"subset": "fifo", "model": "ranges"},
    "gpfq": {"subset": "herding", "model": "gpfq"},
    "flips": {"subset": "range-cover", "model": "greedy-flips", "most_flips": 0.02, **ALL},
    "learned": {"subset": "reservoir", "model": "learned-flips"},
    "random": {"subset": "reservoir", "model": "random-flips"},
    "linear": {"subset": "miss-pmf", "model": "greedy-flips"},
    "recalibrated": {"subset": "everything", "model": "recalibrate"},
    "tuned": {"subset": "reservoir", "model": "fine-tune", "epochs": 1},
}


@pytest.fixture(scope="module")
def every_method(streamed, tmp_path_factory):
    study = streamed.copy(tmp_path_factory.mktemp("every"))
    changes = {"methods": {"gpfq": None, **EVERY_METHOD}, "grid": {"method": [*EVERY_METHOD]}}
    report = study.run(changes, executor="local", workers=2)
    assert (report.failed, report.missing) == (0, 0), study.rows("SELECT message FROM failures")
    return study


def of_methods(study, what):
    """Return what is asked of every method's steps after the first."""
    rows = study.rows(
        f"SELECT method, {what} FROM stream_steps JOIN stream_trajectories USING (trajectory_id) "
        "WHERE step > 0 AND recipe_id = (SELECT arg_max(recipe_id, started_at) FROM runs) "
        "GROUP BY method"
    )
    return {row[0]: row[1] if len(row) == 2 else row[1:] for row in rows}


def test_every_method_can_be_followed(every_method):
    assert set(of_methods(every_method, "count(*)").values()) == {6}


def test_methods_change_what_they_say_they_change(every_method):
    flips = of_methods(every_method, "sum(flips)")
    assert flips["frozen"] == flips["ranges"] == 0
    assert all(flips[name] > 0 for name in ("gpfq", "flips", "learned", "recalibrated", "tuned"))
    assert of_methods(every_method, "max(flip_share)")["flips"] <= 0.02
    assert flips["random"] == flips["learned"]


def test_every_update_says_what_it_took(every_method):
    macs = of_methods(every_method, "sum(macs_model)")
    assert macs["frozen"] == 0
    assert 0 < macs["ranges"] < macs["flips"] < macs["recalibrated"]
    assert macs["linear"] < macs["flips"]
    looked = of_methods(every_method, "sum(macs_subset)")
    assert {name for name, count in looked.items() if count} == {"gpfq", "flips", "linear"}
    assert all(size > 0 for size in of_methods(every_method, "min(model_bytes)").values())


def test_guarded_flips_never_make_the_objective_worse(every_method):
    worse = "max(objective_after - objective_before)"
    found = of_methods(every_method, worse)
    assert all(found[name] <= 1e-12 for name in ("flips", "learned", "linear", "gpfq"))


def test_the_life_of_documents_adds_up_to_the_subsets(every_method):
    wrong = every_method.rows(
        """
        SELECT trajectory_id, s.step, subset_documents, count(*) FILTER (event = 'came')
               - count(*) FILTER (event = 'left') AS there
        FROM stream_steps AS s JOIN stream_documents AS d USING (trajectory_id)
        WHERE d.step <= s.step GROUP BY ALL HAVING there != subset_documents
        """
    )
    assert wrong == []
    renamed = every_method.rows(
        "SELECT count(*) FROM stream_steps WHERE step > 0 AND came = 0 AND gone = 0 "
        "AND subset_id != parent_subset_id"
    )
    assert renamed == [(0,)]
    sizes = of_methods(every_method, "max(subset_documents)")
    assert sizes.pop("recalibrated") == 8 + 3 * 6
    assert set(sizes.values()) == {8}


@pytest.mark.parametrize("how", [{"executor": "local", "workers": 2}, {"engine": "torch"}])
def test_neither_workers_nor_engine_change_a_number(streamed, stream, everything_followed, how):
    emptied(stream)
    report = stream.run(**how)
    assert (report.followed, report.failed) == (4, 0)
    assert everything_followed(stream) == everything_followed(streamed)


def test_of_two_runs_at_once_each_trajectory_is_followed_by_one(
    streamed, stream, everything_followed, heard
):
    """The second run finds the first at work, waits, and then finds its work done."""
    from threading import Event, Thread

    from calibkit.store.presence import claimed
    from calibkit.stream.jobs import step_fragment

    emptied(stream)
    one = plan_stream(stream.store, stream.recipe()).trajectories[0]
    fragments, last = stream.store.fragments, step_fragment(one.trajectory_id, 3)
    held, done = Event(), Event()

    def another_run():
        with claimed(fragments, one.trajectory_id, wait=True):
            held.set()
            done.wait(60)
            (fragments / f"{last}.json").write_text("{}")  # as if it had come to its end

    other = Thread(target=another_run)
    other.start()
    held.wait(60)
    heard.on_step = lambda phase, text: done.set() if "discriminative 0, gpfq" in text else None
    report = stream.run(watcher=heard)
    other.join()
    assert report.followed == 3
    assert "another run over this store followed 1 trajectory of these meanwhile" in heard.notes
