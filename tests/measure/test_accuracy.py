import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score

from calibkit.errors import BadInput
from calibkit.measure.accuracy import classification


def test_the_numbers_of_a_small_table_worked_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1])
    predicted = np.array([0, 0, 0, 1, 1, 0])
    found = classification(predicted, labels, np.array([1.0, 2, 3, 4, 5, 6]), 2)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.documents.tolist() == [4, 2]
    assert found.predicted.tolist() == [4, 2]
    assert found.correct.tolist() == [3, 1]
    assert found.f1.tolist() == pytest.approx([0.75, 0.5])
    assert found.macro_f1 == pytest.approx(0.625)
    assert found.worst_label_accuracy == pytest.approx(0.5)
    assert found.majority_share == pytest.approx(4 / 6)
    assert found.nll == pytest.approx(3.5)


def test_labels_that_the_test_set_lacks_count_neither_for_f1_nor_for_the_worst_label():
    found = classification(np.array([0, 0, 2]), np.array([0, 0, 0]), np.zeros(3), 4)
    assert found.macro_f1 == pytest.approx(0.8)
    assert found.worst_label_accuracy == pytest.approx(2 / 3)
    assert found.f1.tolist() == pytest.approx([0.8, 0, 0, 0])


def test_a_collapsed_classifier_has_majority_share_one():
    found = classification(np.full(8, 1), np.arange(8) % 4, np.ones(8), 4)
    assert (found.majority_share, found.worst_label_accuracy, found.accuracy) == (1.0, 0.0, 0.25)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_macro_f1_and_recalls_are_those_of_scikit_learn(pairs):
    labels, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    found = classification(predicted, labels, np.zeros(len(labels)), 5)
    present = sorted(set(labels.tolist()))
    options = {"labels": present, "average": "macro", "zero_division": 0}
    assert found.macro_f1 == pytest.approx(f1_score(labels, predicted, **options))
    recalls = recall_score(labels, predicted, labels=present, average=None, zero_division=0)
    assert found.worst_label_accuracy == pytest.approx(recalls.min())


@pytest.mark.parametrize(
    ("predicted", "labels", "nll", "says"),
    [
        ([], [], [], "no test document"),
        ([0, 1], [0], [0.0], "2 predictions, 1 labels"),
        ([0, 3], [0, 1], [0.0, 0.0], "predicted label ids run from 0 to 3; allowed are 0 to 1"),
        ([0, 1], [-1, 1], [0.0, 0.0], "true label ids run from -1 to 1"),
    ],
)
def test_input_that_does_not_fit_together_is_refused_with_the_numbers(predicted, labels, nll, says):
    with pytest.raises(BadInput, match=says):
        classification(np.array(predicted, int), np.array(labels, int), np.array(nll), 2)
