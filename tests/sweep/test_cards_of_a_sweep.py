"""Coverage cards that a recipe asks for: made once, beside the cells, and never in their way."""

from __future__ import annotations

import pytest

from calibkit.curate import card as cards
from calibkit.sweep import card_phase

TEXT = {"measure": {"card": "text"}}
MODEL = {"measure": {"card": "model"}}


def made(study):
    return set(study.rows("SELECT DISTINCT subset_id, model_id FROM subset_cards"))


def pairs(study):
    return set(study.rows("SELECT DISTINCT subset_id, model_id FROM cells"))


def test_a_finished_study_gets_its_cards_without_measuring_anything(study, watched):
    assert made(study) == set()
    report = study.run(TEXT, watcher=watched)
    assert (report.measured, report.failed, report.missing) == (0, 0, 0)
    assert (report.cards.made, report.cards.failed, report.cards.missing) == (2, 0, 0)
    assert ("cards", 2) in watched.phases
    subsets = {(subset, "") for subset, _ in pairs(study)}
    assert made(study) == subsets

    report = study.run(MODEL, watcher=watched)
    assert (report.measured, report.cards.made) == (0, 4)
    assert made(study) == subsets | pairs(study)

    report = study.run(MODEL)
    assert (report.measured, report.cards.made) == (0, 0)
    assert study.run().cards.made == 0


def test_a_fresh_study_has_its_cards_before_its_cells(fresh, watched):
    one = {"grid": {"model": ["discriminative"], "policy": ["random"], "bits": [8, 4]}}
    report = fresh.run(MODEL, one, watcher=watched)
    assert (report.measured, report.failed, report.missing) == (2, 0, 0)
    names = [name for name, _ in watched.phases]
    assert names.index("models") < names.index("cards") < names.index("cells")
    assert made(fresh) == {(subset, "") for subset, _ in pairs(fresh)} | pairs(fresh)
    (told,) = [step for step in watched.steps if "metrics outside" in step]
    assert "discriminative 0: " in told and " random draw" in told
    assert told.endswith(" of 16 metrics outside)") and len(told) < 120
    rows = fresh.rows(
        "SELECT bits, metric, value IS NOT NULL, accuracy_drop IS NOT NULL FROM card_vs_drop"
    )
    assert {row[0] for row in rows} == {8, 4}
    assert len({row[1] for row in rows}) == 18
    assert all(row[2:] == (True, True) for row in rows)
    assert len(rows) == 2 * 18


def test_a_card_that_fails_is_told_and_tried_again_and_no_cell_fails(study, watched, monkeypatch):
    real = cards.CardMaker.card

    def card(maker, subset_id, model=None):
        if model is not None and model.settings.kind == "generative":
            raise ZeroDivisionError("a defect")
        return real(maker, subset_id, model)

    monkeypatch.setattr(card_phase.CardMaker, "card", card)
    report = study.run(MODEL, watcher=watched)
    assert (report.failed, report.missing) == (0, 0)
    assert (report.cards.made, report.cards.failed) == (2, 2)
    assert len(watched.failures) == 2
    assert all("generative 0: a defect" in text for text in watched.failures)
    failures = study.rows("SELECT plan_key, stage, error_type, message, traceback FROM failures")
    assert len(failures) == 2
    for plan_key, stage, kind, message, traceback in failures:
        assert (plan_key, stage, kind) == (None, "card", "ZeroDivisionError")
        assert message.startswith("card of s1-")
        assert "ZeroDivisionError: a defect" in traceback
    assert study.rows("FROM failed") == []
    assert study.one("SELECT done FROM progress") == 8

    monkeypatch.setattr(card_phase.CardMaker, "card", real)
    report = study.run(MODEL)
    assert (report.cards.made, report.cards.failed) == (2, 0)
    assert made(study) == {(subset, "") for subset, _ in pairs(study)} | pairs(study)


def test_cards_stop_when_the_time_is_over(study, watched):
    report = study.run(MODEL, watcher=watched, max_time=1e-9)
    assert (report.cards.made, report.cards.failed, report.cards.missing) == (0, 0, 4)
    assert any("4 coverage cards are not made" in note for note in watched.notes)
    assert study.run(MODEL, where="bits = 8 AND model = 'generative'").cards.made == 2


def test_a_store_that_fails_ends_the_run(study, monkeypatch):
    from calibkit.errors import StoreBusy

    def card(maker, subset_id, model=None):
        raise StoreBusy("somebody else has it")

    monkeypatch.setattr(card_phase.CardMaker, "card", card)
    with pytest.raises(StoreBusy):
        study.run(TEXT)
