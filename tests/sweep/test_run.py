import pytest
from recipe_parts import ONE_CELL


def kept_rows(everything_measured, study, before):
    """Whether every row that was there before is still there, bit for bit."""
    after = everything_measured(study, list(before))
    return all(set(rows) <= set(after[name]) for name, rows in before.items())


TABLES = ["evaluations", "baseline_evaluations", "label_evaluations", "predictions", "cells"]
TABLES += ["distributions", "models", "plan_cells", "subset_documents", "noise_sets"]


# ------------------------------------------------------------------------------- what is measured


def test_running_again_measures_nothing(study, everything_measured, watched):
    before = everything_measured(study)
    report = study.run(watcher=watched)
    assert (report.measured, report.done, report.missing, report.failed) == (0, 8, 0, 0)
    assert watched.phases == [("corpus", 1)]
    assert everything_measured(study) == before
    assert list(study.store.fragments.glob("*.json")) == []


def test_a_new_noise_level_measures_that_level_only(study, everything_measured, watched):
    before = everything_measured(study, TABLES)
    report = study.run({"measure": {"noise": {"keyboard": [0.05, 0.1]}}}, watcher=watched)
    assert (report.measured, report.done) == (8, 8)
    assert kept_rows(everything_measured, study, before)
    assert study.rows("SELECT noise, count(*) FROM evaluations GROUP BY noise ORDER BY noise") == [
        (0.0, 8), (0.05, 8), (0.1, 8),
    ]  # fmt: skip
    runs_of = study.rows(
        "SELECT noise, stage, count(*) FROM baseline_evaluations GROUP BY ALL ORDER BY ALL"
    )
    assert runs_of == [(n, s, 2) for n in (0.0, 0.05, 0.1) for s in ("float", "port")]
    assert "models" not in dict(watched.phases)
    again = study.run({"measure": {"noise": {"keyboard": [0.05]}}})
    assert (again.measured, again.done) == (0, 8)
    assert study.rows("SELECT DISTINCT noise FROM results ORDER BY 1") == [(0.0,), (0.05,)]


def test_new_bits_and_policies_measure_only_those_cells(study, everything_measured, watched):
    before = everything_measured(study, TABLES)
    new = {
        "policies": {"one-label": {"use": "skewed", "weights": {"sea": 1}}},
        "grid": {"policy": ["stratified", "one-label", "random"], "bits": [8, 3, 4]},
    }
    report = study.run(new, watcher=watched)
    assert (report.measured, report.done) == (18 - 8, 18)
    assert kept_rows(everything_measured, study, before)
    assert dict(watched.phases).keys() == {"corpus", "subsets", "cells"}


def test_distributions_can_be_added_later(fresh, finished, everything_measured):
    part = "model = 'discriminative' AND policy = 'random'"
    assert fresh.run({"measure": {"distributions": []}}, where=part).measured == 2
    assert fresh.rows("SELECT ks_weights, ks_token_nll FROM results") == [(None, None)] * 4
    assert fresh.run(where=part).measured == 2
    found, whole = everything_measured(fresh), everything_measured(finished)
    for name in ("results", "distributions", "predictions"):
        assert set(found[name]) < set(whole[name])
    assert len(found["results"]) == 4


def test_aliases_of_one_policy_share_cells_and_both_stand_in_the_results(study):
    same = {
        "policies": {"also-random": {"use": "random"}, "twin": {"use": "random"}},
        "grid": {"policy": ["random", "stratified", "also-random", "twin"]},
    }
    report = study.run(same)
    assert (report.measured, report.done, report.planned) == (0, 16, 16)
    assert study.rows("SELECT policy, count(*) FROM results GROUP BY ALL ORDER BY ALL") == [
        (name, 8) for name in ("also-random", "random", "stratified", "twin")
    ]
    assert study.one("SELECT planned, done FROM progress") == (16, 16)
    assert study.one("SELECT count(DISTINCT cell_id) FROM results") == 8


def test_different_policies_that_choose_the_same_documents_share_cells(fresh):
    proportional = {"use": "skewed", "weights": {"art": 1, "sea": 1, "sky": 1}}
    whole_pool = {
        "policies": {"stratified": proportional, "equal": {"use": "stratified"}},
        "grid": {**ONE_CELL["grid"], "policy": ["stratified", "equal"], "size": [30]},
        "measure": ONE_CELL["measure"],
    }
    report = fresh.run(whole_pool)
    same = fresh.one("SELECT count(DISTINCT subset_id) FROM subset_requests") == 1
    assert report.measured == fresh.one("SELECT count(*) FROM cells") == (1 if same else 2)
    assert fresh.one("SELECT count(DISTINCT plan_key) FROM plan_cells") == 2


def test_a_policy_that_ignores_its_seed_has_one_draw(study):
    grid = {"model": ["discriminative"], "policy": ["longest"], "seed": [0, 1]}
    report = study.run({"policies": {"longest": {"use": "longest-of-tests"}}, "grid": grid})
    assert (report.measured, report.done) == (2, 4)
    assert study.rows("SELECT DISTINCT draws, ci_low IS NULL FROM summary") == [(1, True)]
    assert study.one("SELECT count(*) FROM results WHERE noise = 0") == 4


def test_where_runs_a_part(fresh):
    report = fresh.run(where="model = 'generative' AND bits = 8")
    assert (report.measured, report.done, report.missing, report.planned) == (2, 2, 6, 8)
    assert (report.asked, report.asked_missing, report.failed_keys) == (2, 0, ())
    assert fresh.rows("SELECT kind FROM models") == [("generative",)]


def test_where_that_selects_nothing_says_so(fresh, watched):
    report = fresh.run(where="policy = 'randm'", watcher=watched)
    assert (report.measured, report.missing, report.asked) == (0, 8, 0)
    assert any("selects none of the recipe's 8 cells" in note for note in watched.notes)


def test_limit_documents_is_another_set_of_results(fresh):
    assert fresh.run(ONE_CELL, limit_documents=25).measured == 1
    assert fresh.rows("SELECT documents, seconds > 0 FROM results") == [(25, True)]
    assert fresh.run(ONE_CELL).measured == 1
    assert fresh.rows("SELECT documents FROM results") == [(60,)]
    assert fresh.run(ONE_CELL, limit_documents=10**6).measured == 0  # all of them: the same cell
    whole, part = fresh.rows("SELECT doc_ids FROM test_sets ORDER BY documents DESC")
    assert set(part[0]) < set(whole[0])


def test_max_time_starts_no_further_cell(fresh, watched):
    report = fresh.run(ONE_CELL, max_time=1e-9, watcher=watched)
    assert (report.measured, report.done, report.missing, report.failed) == (0, 0, 1, 0)
    assert watched.notes == ["--max-time is over: 1 cell is not measured"]
    assert fresh.run(ONE_CELL).done == 1


# ---------------------------------------------------------------------------------------- failures


def test_an_infeasible_subset_fails_its_cells_and_no_others(fresh, watched):
    many = {
        "policies": {"one-label": {"use": "skewed", "weights": {"sea": 1}}},
        "grid": {**ONE_CELL["grid"], "policy": ["random", "one-label"], "size": [16, 100]},
        "measure": ONE_CELL["measure"],
    }
    report = fresh.run(many, watcher=watched)
    assert (report.measured, report.done, report.failed, report.missing) == (3, 3, 1, 0)
    assert len(report.failed_keys) == 1 and (report.asked, report.asked_missing) == (4, 0)
    failed = "SELECT policy, size, stage, error_type, attempts FROM failed"
    assert fresh.rows(failed) == [("one-label", 100, "subset", "Infeasible", 1)]
    message = fresh.one("SELECT message FROM failed")
    assert "asked for 100 'sea' documents, the pool has 70" in message
    assert fresh.one("SELECT done, failed, missing FROM progress") == (3, 1, 0)
    (told,) = watched.failures
    assert told.startswith("one-label, size 100, seed 0: skewed: asked for 100")
    again = fresh.run(many)
    assert (again.measured, again.failed) == (0, 1)
    assert fresh.rows(failed) == [("one-label", 100, "subset", "Infeasible", 2)]


def test_a_defective_policy_fails_its_cells_and_no_others(fresh):
    broken = {"policies": {"broken": {"use": "broken-of-tests"}}}
    both = {"grid": {**ONE_CELL["grid"], "policy": ["broken", "random"]}}
    report = fresh.run(broken, both, {"measure": ONE_CELL["measure"]})
    assert (report.measured, report.failed) == (1, 1)
    error, message, told = fresh.one("SELECT error_type, message, traceback FROM failed")
    assert (error, message) == ("ZeroDivisionError", "a defect of the policy")
    assert "in pick" in told


def test_a_failed_cell_does_not_stop_the_others_and_is_tried_again(fresh, monkeypatch, watched):
    from calibkit.sweep import quantized

    real = quantized.calibrate

    def fails_at_3_bits(kind, arrays, subset, scheme, **rest):
        if scheme.bits == 3:
            raise RuntimeError("no luck")
        return real(kind, arrays, subset, scheme, **rest)

    monkeypatch.setattr(quantized, "calibrate", fails_at_3_bits)
    one = {**ONE_CELL, "grid": {**ONE_CELL["grid"], "bits": [3, 8]}}
    report = fresh.run(one, watcher=watched)
    assert (report.measured, report.done, report.failed) == (1, 1, 1)
    assert fresh.one("SELECT bits, stage, error_type, message FROM failed") == (
        3, "cell", "RuntimeError", "no luck",
    )  # fmt: skip
    monkeypatch.undo()
    report = fresh.run(one)
    assert (report.measured, report.done, report.failed) == (1, 2, 0)
    assert fresh.rows("FROM failed") == []


@pytest.mark.parametrize("stage", ["model", "baseline"])
def test_cells_fail_with_their_model_or_its_baseline(fresh, monkeypatch, stage):
    from calibkit.sweep import worker

    def fails(*_, **__):
        raise RuntimeError("no luck")

    broken = {"model": "train", "baseline": "float_evaluation"}[stage]
    monkeypatch.setattr(worker, broken, fails)
    report = fresh.run(ONE_CELL)
    assert (report.measured, report.done, report.failed) == (0, 0, 1)
    assert fresh.one("SELECT stage, message FROM failed") == (stage, "no luck")
    monkeypatch.undo()
    assert fresh.run(ONE_CELL).done == 1
    assert fresh.one("SELECT float_accuracy IS NOT NULL FROM results")


def test_a_busy_store_does_not_end_a_run_between_two_merges(fresh, monkeypatch, watched):
    from calibkit.errors import StoreBusy
    from calibkit.sweep import books

    real, busy = books.merge, iter([True])

    def merge_when_free(store):
        if any(phase == "cells" for phase, _ in watched.phases) and next(busy, False):
            raise StoreBusy("another process holds the store")
        return real(store)

    monkeypatch.setattr(books, "merge", merge_when_free)
    monkeypatch.setattr(books, "MERGE_EVERY_SECONDS", 0.0)
    report = fresh.run(where="model = 'discriminative'", watcher=watched)
    assert report.done == 4
    assert watched.notes == ["another process holds the store; the run goes on and merges later"]
