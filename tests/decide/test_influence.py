"""Influence of labels and documents on hand-made models, one document of which does harm."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch
from watchers import Counted

from calibkit.decide.influence import Influence, equal_parts, influence
from calibkit.decide.influence_request import InfluenceRequest
from calibkit.decide.judging import Judge
from calibkit.decide.proxy import Proxy
from calibkit.decide.removals import rows_by_label
from calibkit.decide.subject import Chosen, Subject
from calibkit.engine.calibrate import calibrate
from calibkit.engine.plain import evaluate
from calibkit.errors import BadInput
from calibkit.identity import draw_order
from calibkit.quantize.schemes import SchemeSettings, resolve
from calibkit.quantize.sites import ACTIVATION_SITES
from calibkit.ragged import Ragged
from calibkit.sweep.float_side import float_evaluation

LABELS = ("one", "two", "three")
LOUD = 59
"""A word that no document but one has, with a wide vector."""
PLACE = 7
"""Where that document stands in the subset; its label is 'two'."""


def loud_subject(model, documents, size=24, loud=(PLACE,)) -> Subject:
    """The model with documents of which it gets every one right, and loud ones to calibrate."""
    arrays = {name: array.copy() for name, array in model.arrays.items()}
    arrays["embedding.weight"][LOUD] = 25.0
    quiet = [np.where(documents[row] == LOUD, 5, documents[row]) for row in range(len(documents))]
    measured = Ragged.of(quiet)
    for place in loud:
        quiet[place] = np.r_[2, 9, LOUD, 11, LOUD, 3]
    found = float_evaluation(arrays, model.config, measured, np.zeros(len(quiet), dtype=np.int64))
    chosen = [Chosen(f"d1-{n:03}", LABELS[n % 3], f"text {n}") for n in range(size)]
    for place in loud:
        chosen[place] = Chosen(f"d1-{place:03}", "two", "very loud")
    return Subject(
        model.kind, arrays, model.config, LABELS, Ragged.of(quiet[:size]), measured,
        found.predicted, chosen=tuple(chosen),
    )  # fmt: skip


def request(**asked) -> InfluenceRequest:
    few = {
        "settings": SchemeSettings(ranges="minmax", weights="per-channel"),
        "controls": 4,
        "orders": 40,
        "cells": 10,
    }
    return InfluenceRequest(**{**few, **asked})


@pytest.fixture(scope="module")
def subject(discriminative_classifier, wrapped) -> Subject:
    return loud_subject(discriminative_classifier, wrapped)


@pytest.fixture(scope="module")
def study(subject) -> tuple[Influence, Counted]:
    watched = Counted()
    return influence(subject, request(), watched), watched


# ----------------------------------------------------------------------------- harm done on purpose


def test_the_document_that_does_harm_is_found(study):
    valuation = study[0].valuation
    worst = valuation.documents[-1]
    assert (worst.place, worst.chosen.text, worst.tokens) == (PLACE, "very loud", 6)
    assert worst.value < 0 and worst.value + 5 * worst.error < valuation.documents[-2].value
    last = max((one for one in valuation.groups if one.how == "ranked"), key=lambda g: g.number)
    assert PLACE in last.removal.rows
    assert last.by_values < 0 and last.by_proxy < 0 and last.removal.nll.value < 0
    assert last.removal.nll.high < 0
    others = [one.removal.nll.value for one in valuation.groups if PLACE not in one.removal.rows]
    assert last.removal.nll.value < min(others)


def test_the_label_that_does_harm_is_told_from_chance(discriminative_classifier, wrapped):
    subject = loud_subject(discriminative_classifier, wrapped, loud=range(1, 24, 3))
    found = influence(subject, request(documents=False), Counted())
    labels = {one.label: one for one in found.labels}
    assert list(labels) == list(LABELS)
    two = labels["two"]
    assert two.nll.is_beyond and two.removal.nll.high < two.nll.controls.low
    assert two.nll.p >= two.nll.controls.p  # adjusted over the labels
    assert not labels["one"].nll.is_beyond and not labels["three"].nll.is_beyond


def test_a_single_document_does_not_make_its_label_stand_out(study):
    # as many random documents have it among them one time in three
    two = study[0].labels[1]
    assert two.label == "two" and PLACE in two.removal.rows
    assert two.removal.nll.value < 0 and not two.nll.is_beyond


# ------------------------------------------------------------------------------------- what it is


def test_a_label_s_row_is_what_calibrating_without_it_gives(study, subject):
    found = study[0]
    scheme = request().scheme
    assert scheme == resolve(SchemeSettings(ranges="minmax", weights="per-channel"), bits=4)
    full = evaluate(calibrated(subject, range(24), scheme), subject.tokens, subject.label_ids)
    for one in found.labels:
        kept = [row for row in range(24) if subject.chosen[row].label != one.label]
        assert sorted({*range(24)} - {*one.removal.rows.tolist()}) == kept
        network = calibrated(subject, kept, scheme)
        expected = evaluate(network, subject.tokens, subject.label_ids)
        assert one.removal.measured.nll == pytest.approx(expected.nll.mean(), rel=1e-12)
        rise = expected.nll - full.nll
        assert one.removal.nll.value == pytest.approx(rise.mean())
        assert one.removal.nll.low <= rise.mean() <= one.removal.nll.high
        right = (expected.predicted == subject.label_ids).mean()
        assert one.removal.accuracy.value == pytest.approx(right - found.full.accuracy)
    assert found.exact.accuracy == 1.0 and found.full.nll == pytest.approx(full.nll.mean())


def calibrated(subject, rows, scheme):
    return calibrate(subject.kind, subject.arrays, subject.subset.take(list(rows)), scheme).network


def test_controls_are_keyed_draws_of_as_many_documents(study, subject, monkeypatch):
    asked = []
    real = Judge.measure

    def measure(judge, subset, scheme, seen=None):
        asked.append(tuple(map(tuple, (subset[row].tolist() for row in range(len(subset))))))
        return real(judge, subset, scheme, seen)

    monkeypatch.setattr(Judge, "measure", measure)
    influence(subject, request(documents=False, controls=2), Counted())
    assert len(asked) == 1 + 3 + 2  # labels with equally many documents share their controls
    ids = [one.doc_id for one in subject.chosen]
    for draw in range(2):
        gone = set(draw_order(0, f"influence-control-{draw}", ids)[:8].tolist())
        kept = tuple(tuple(subject.subset[row].tolist()) for row in range(24) if row not in gone)
        assert asked[4 + draw] == kept


def test_values_sum_to_the_worth_of_all(study):
    valuation = study[0].valuation
    assert [one.rank for one in valuation.documents] == list(range(1, 25))
    values = [one.value for one in valuation.documents]
    assert values == sorted(values, reverse=True)
    assert {one.place for one in valuation.documents} == set(range(24))
    assert 0.5 < valuation.reliability <= 1
    losses = list(valuation.losses.values())
    assert losses == sorted(losses, reverse=True)
    assert set(valuation.losses) <= {*ACTIVATION_SITES["discriminative"]}


def test_groups_are_of_one_size_and_as_many_as_asked(study):
    groups = study[0].valuation.groups
    assert Counter(one.how for one in groups) == {"ranked": 5, "random": 5}
    assert {len(one.removal.rows) for one in groups} == {4}
    for how in ("ranked", "random"):
        rows = [row for one in groups if one.how == how for row in one.removal.rows]
        assert len(rows) == len(set(rows)) == 20
    values = {one.place: one.value for one in study[0].valuation.documents}
    for one in groups:
        assert one.by_values == pytest.approx(sum(values[row] for row in one.removal.rows))
    ranked = [one.by_values for one in groups if one.how == "ranked"]
    assert ranked == sorted(ranked, reverse=True)


def test_agreements_are_over_all_groups(study):
    valuation = study[0].valuation
    assert [(one.measure, one.by) for one in valuation.agreements] == [
        ("nll", "values"), ("nll", "proxy"), ("accuracy", "values"), ("accuracy", "proxy"),
    ]  # fmt: skip
    assert all(one.found is None or one.found.n == 10 for one in valuation.agreements)
    for one in valuation.agreements:
        assert one.predicts == (one.found is not None and one.found.low > 0)


def test_every_network_is_a_step(study):
    watched = study[1]
    assert watched.phases == {"labels": 1 + 3 + 4, "proxy": 14, "validation": 10}
    assert watched.steps == watched.phases


def told(found: Influence):
    return (
        [(one.label, one.removal.nll, one.nll, one.accuracy) for one in found.labels],
        [(one.place, one.value, one.error) for one in found.valuation.documents],
        [(one.by_values, one.by_proxy, one.removal.nll) for one in found.valuation.groups],
        found.valuation.agreements,
    )


def test_the_same_again_on_any_number_of_threads(study, subject):
    before = torch.get_num_threads()
    torch.set_num_threads(2 if before == 1 else 1)
    try:
        again = influence(subject, request(), Counted())
    finally:
        torch.set_num_threads(before)
    assert told(again) == told(study[0])


def test_another_seed_draws_other_orders(study, subject):
    other = influence(subject, request(seed=1, labels=False, cells=0), Counted())
    assert other.full.nll == study[0].full.nll
    assert other.valuation.documents[-1].place == PLACE
    assert told(other)[1] != told(study[0])[1]


# ------------------------------------------------------------------------------ schemes and subsets

ROBUST = {"preset": "robust"}
SCHEMES = [
    ("generative", 4, {**ROBUST, "separate_hv": True, "separate_io": True}),
    ("discriminative", 3, {**ROBUST, "ranges": {"lstm.acc_*": "kl"}, "rounding": "least-squares"}),
    pytest.param("discriminative", 6, {"preset": "paper"}, marks=pytest.mark.long),
    pytest.param(
        "discriminative",
        8,
        {"symmetric": False, "ranges": {"input": "mse"}},
        marks=pytest.mark.long,
    ),
]


@pytest.mark.parametrize(("kind", "bits", "settings"), SCHEMES)
def test_any_scheme_with_ranges_can_be_asked_about(kind, bits, settings, make_model, wrapped):
    subject = loud_subject(make_model(kind), wrapped, size=12)
    asked = {"settings": SchemeSettings(**settings), "bits": bits, "labels": False, "cells": 0}
    found = influence(subject, request(**asked), Counted())
    valuation = found.valuation
    assert found.labels == () and valuation.groups == () and valuation.agreements == ()
    assert len(valuation.documents) == 12
    assert all(np.isfinite([one.value, one.error]).all() for one in valuation.documents)
    assert all(loss >= 0 for loss in valuation.losses.values())


def test_a_few_documents_have_exact_values(discriminative_classifier, wrapped):
    subject = loud_subject(discriminative_classifier, wrapped, size=9)
    found = influence(subject, request(labels=False, cells=8), Counted())
    assert {one.error for one in found.valuation.documents} == {0.0}
    assert found.valuation.documents[-1].place == PLACE
    assert len(found.valuation.groups) == 8


def test_one_label_alone_is_not_left_out(subject):
    alone = tuple(dataclasses.replace(one, label="two") for one in subject.chosen)
    watched = Counted()
    found = influence(dataclasses.replace(subject, chosen=alone), request(documents=False), watched)
    assert found.labels == () and found.valuation is None
    assert watched.phases == {"subset": 1}


def test_labels_come_in_the_corpus_s_order(subject):
    assert list(rows_by_label(subject)) == list(LABELS)
    assert rows_by_label(subject)["two"].tolist() == [1, 4, 7, 10, 13, 16, 19, 22]


def test_a_single_document_cannot_be_left_out(discriminative_classifier, wrapped):
    subject = loud_subject(discriminative_classifier, wrapped, size=8)
    one = dataclasses.replace(subject, subset=subject.subset.take([0]), chosen=subject.chosen[:1])
    with pytest.raises(BadInput, match="the subset has one document"):
        influence(one, request(), Counted())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"bits": 9}, "--bits 9: allowed are 2 to 8"),
        ({"controls": 1}, "--controls 1: a spread needs at least 2"),
        ({"orders": 2}, "--permutations 2: a standard error"),
        ({"cells": 7}, "--validate 7: a rank correlation needs at least 8"),
        ({"cells": -1}, "--validate -1"),
        (
            {"settings": SchemeSettings(preset="onnx-static"), "bits": 8},
            "preset onnx-static is another tool's quantizer",
        ),
        (
            {"settings": SchemeSettings(dynamic=True)},
            "dynamic: true reads no calibration documents",
        ),
    ],
)
def test_what_cannot_be_asked(asked, said):
    with pytest.raises(BadInput, match=said):
        request(**asked)


@pytest.mark.parametrize(("documents", "parts"), [(24, 5), (24, 4), (7, 3), (3, 8), (2, 4)])
def test_equal_parts_come_from_both_ends(documents, parts):
    order = np.random.default_rng(0).permutation(documents)
    found = equal_parts(order, parts)
    assert len(found) == min(parts, documents)
    assert {len(part) for part in found} == {documents // len(found)}
    taken = np.concatenate(found)
    assert len(set(taken.tolist())) == len(taken)
    assert taken[0] == order[0] and taken[-1] == order[-1]


def test_a_proxy_without_parts_is_worth_nothing():
    proxy = Proxy.of(4, ())
    assert proxy.worth(np.arange(4)[None]).tolist() == [[0.0] * 5]
    assert proxy.losses() == {} and proxy.whole(np.arange(0)) == 0
