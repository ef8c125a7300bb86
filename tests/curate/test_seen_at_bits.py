"""Misses, chains and disagreement: against logs by hand, and from real checkpoints."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.curate import seen_at_bits
from calibkit.curate.encoding import Encoder, artefacts_of
from calibkit.curate.float_models import load_checkpoint, load_model, network_of
from calibkit.curate.seen_at_bits import (
    CALIBRATION_DRAW,
    chain,
    count_changes,
    count_misses,
    disagreement,
    divergence,
    misses,
)
from calibkit.curate.subsets import SubsetBuilder
from calibkit.engine.quantized_scores import QuantizedScores
from calibkit.errors import BadInput, Infeasible
from calibkit.models.scoring import score
from calibkit.policies import make_policy

KINDS = ("discriminative", "generative")

RIGHT, WRONG = 1, 0
LOG = {
    # after epoch 1, 2, 3, 4, at 8 bits       at 2 bits
    "always right": ((1, 1, 1, 1), (1, 1, 1, 1)),
    "forgotten twice": ((1, 0, 1, 0), (1, 1, 1, 1)),
    "forgotten at the end": ((0, 1, 1, 0), (0, 0, 0, 1)),
    "never at 2 bits": ((0, 0, 0, 1), (0, 0, 0, 0)),
    "never": ((0, 0, 0, 0), (0, 0, 0, 0)),
    "once, at 2 bits": ((0, 0, 0, 0), (1, 0, 0, 0)),
}
MISSES = [[0, 0, 0], [2, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 0]]


def test_misses_are_those_of_a_log_by_hand():
    labels = np.array([3, 1, 2, 0, 0, 1])
    epochs, widths = (2, 5, 7, 9), (8, 2)

    def predict(epoch, bits):
        at = widths.index(bits), epochs.index(epoch)
        right = np.array([row[at[0]][at[1]] for row in LOG.values()]) == RIGHT
        return np.where(right, labels, (labels + 1) % 4)

    found = count_misses(predict, epochs, widths, labels)
    assert found.tolist() == MISSES
    assert found.dtype == np.int32


@given(st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=2, max_size=5))
def test_misses_are_falls_from_right_to_wrong(right):
    """For 4 documents at 3 widths: one list of 12 booleans an epoch."""
    log = np.array(right).reshape(len(right), 3, 4)
    labels = np.zeros(4, dtype=np.int64)
    found = count_misses(lambda e, b: ~log[e, b] * 7, range(len(log)), range(3), labels)
    falls = (log[:-1] & ~log[1:]).sum(axis=0).T
    assert found[:, :-1].tolist() == falls.tolist()
    assert found[:, -1].tolist() == (~log.any(axis=(0, 1))).tolist()


def test_changes_are_counted_from_the_float_model_on():
    given_by = {None: [0, 1, 2, 3], 8: [0, 1, 2, 0], 4: [0, 2, 2, 3], 2: [0, 1, 1, 0]}
    assert count_changes(lambda bits: np.array(given_by[bits]), (8, 4, 2)).tolist() == [0, 2, 1, 3]
    assert count_changes(lambda bits: np.array(given_by[bits]), (2,)).tolist() == [0, 0, 1, 1]


def test_divergence_is_that_of_the_normalised_scores():
    p, q = np.array([[0.5, 0.25, 0.25]]), np.array([[0.25, 0.5, 0.25]])
    by_hand = 0.5 * np.log(2) + 0.25 * np.log(0.5)
    assert divergence(np.log(p) - 40, np.log(q) + 3).tolist() == pytest.approx([by_hand])
    assert divergence(np.log(p), np.log(p) - 300).tolist() == pytest.approx([0], abs=1e-12)
    far = divergence(np.array([[0.0, -800.0]]), np.array([[-800.0, 0.0]]))
    assert far.tolist() == [800]


def tokens_of(features, model):
    return Encoder.of(features.library, model.settings).encode(features.texts)


def quantized(features, model, found):
    tokens = tokens_of(features, model)
    some = tokens.take(CALIBRATION_DRAW.order(features.doc_ids)[:256])
    return QuantizedScores(model.settings.kind, found.tensors, some), tokens


@pytest.mark.parametrize("kind", KINDS)
def test_misses_are_counted_over_the_checkpoints(kind, features, trained):
    model = trained[kind]
    right = []
    for epoch in (1, 2, 3):
        at, tokens = quantized(features, model, load_checkpoint(features.library, model, epoch))
        right.append([at.labels(tokens, 3) == features.label_ids])
    log = np.array(right)
    falls = (log[:-1] & ~log[1:]).sum(axis=0).T
    never = ~log.any(axis=(0, 1))
    found = misses(features, model, "3")
    assert found.tolist() == np.column_stack([falls, never]).tolist()
    assert 0 < never.sum() < 151
    assert falls.sum() > 5


@pytest.mark.parametrize("kind", KINDS)
def test_disagreement_and_chain_are_of_the_model_itself(kind, features, trained):
    model = trained[kind]
    found = load_model(features.library, model)
    at, tokens = quantized(features, model, found)
    exact = score(network_of(found), tokens)
    kl = disagreement(features, model, "3")
    np.testing.assert_allclose(kl, divergence(exact.log_scores, at.scores(tokens, 3)))
    assert (kl >= 0).all()
    assert kl.mean() > disagreement(features, model, "8").mean()
    labels = [exact.predicted, at.labels(tokens, 8), at.labels(tokens, 3)]
    changes = np.sum(np.diff(labels, axis=0) != 0, axis=0)
    assert chain(features, model, "8,3").tolist() == changes.tolist()
    assert changes.sum() > 0


def test_what_is_there_is_not_quantized_again(features, trained, monkeypatch):
    model = trained["discriminative"]
    looks = (lambda: misses(features, model, "3"), lambda: chain(features, model, "3"))
    looks += (lambda: disagreement(features, model, "3"),)
    first = [look() for look in looks]
    monkeypatch.delattr(seen_at_bits, "_quantized")  # whoever quantizes fails
    for look, before in zip(looks, first, strict=True):
        assert np.array_equal(look(), before)


def test_a_checkpoint_that_is_gone_is_named_with_the_way_to_get_it_back(features, trained):
    model = trained["generative"]
    shelf = artefacts_of(features.library.store)
    note = shelf.root / "checkpoint" / "k1-generative-002.json"
    note.unlink()
    with pytest.raises(BadInput) as error:
        misses(features, model, "4")
    for part in ("generative 0 after epoch 2 of 3", "k1-generative-002", "k1-generative.json away"):
        assert part in str(error.value)
    assert "calibkit evaluate RECIPE" in str(error.value)
    other = trained["discriminative"]
    (shelf.root / "checkpoint" / "k1-discriminative-003.json").chmod(0o644)
    (shelf.root / "checkpoint" / "k1-discriminative-003.json").write_text("{}")
    with pytest.raises(BadInput, match=r"003 is damaged.*move .*k1-discriminative.json away"):
        misses(features, other, "4")


def test_one_epoch_has_no_transitions(features, trained):
    model = trained["generative"]
    once = replace(model, settings=replace(model.settings, epochs=1))
    with pytest.raises(Infeasible, match="generative 0 was trained for 1 epoch.*at least 2"):
        misses(features, once, "4")


def test_labels_that_the_model_does_not_know_are_no_misses(features, trained):
    model = trained["generative"]
    shelf = artefacts_of(features.library.store)
    found = shelf.load("model", model.key)
    other = replace(model, key="k1-other", id="m1-other")
    config = found.config | {"labels_in_order": ["art", "sea", "land"]}
    shelf.save("model", other.key, found.tensors, config)
    with pytest.raises(BadInput, match="3 labels apart .art, sea, land., and corpus 'made' has 3"):
        misses(features, other, "4")


@pytest.mark.parametrize("option", ["", "9", "1", "4,", "4;3", "04", "x", "8, 4"])
def test_what_is_no_list_of_widths_is_refused(option, features, trained):
    with pytest.raises(BadInput, match="give bit widths with commas between them, each from 2 to"):
        misses(features, trained["generative"], option)
    with pytest.raises(BadInput, match="give one bit width"):
        disagreement(features, trained["generative"], "8,4")


def test_subsets_by_misses_of_two_trainings_of_one_model_are_two_requests(features, trained):
    """The same weights may be the best of trainings with other checkpoints."""
    builder = SubsetBuilder(features.library)
    one = trained["discriminative"]
    shelf = artefacts_of(features.library.store)
    other = replace(one, key="k1-other", settings=replace(one.settings, epochs=2))
    found = shelf.load("model", one.key)
    shelf.save("model", other.key, found.tensors, found.config)
    for epoch, like in ((1, 3), (2, 1)):
        made = load_checkpoint(features.library, one, like)
        shelf.save("checkpoint", f"k1-other-{epoch:03d}", made.tensors, made.config)
    by_misses = make_policy("miss-pmf", {"bits": [3], "never_learned": "keep"})
    first, second = (builder.build(by_misses, 30, 0, model=model) for model in (one, other))
    assert not second.existed
    assert first.subset_id != second.subset_id
    by_hidden = make_policy("k-center", {"features": "hidden"})
    first, second = (builder.build(by_hidden, 30, 0, model=model) for model in (one, other))
    assert second.existed
    assert first.subset_id == second.subset_id
