"""How right a classifier is, as a whole and label by label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput


@dataclass(frozen=True)
class Classification:
    """Quality of N predictions over K labels; shares are fractions in [0, 1].

    macro_f1 and worst_label_accuracy (the lowest recall) are over the labels that the test set
    has; majority_share is the share of the most predicted label, 1 for a collapsed classifier;
    nll the mean of what was given for the true labels, nats.
    documents, predicted, correct: int64 (K,) counts of documents of the label, of predictions of
    it, and of both at once; f1: float64 (K,), 0 where a label was never hit.
    """

    accuracy: float
    macro_f1: float
    worst_label_accuracy: float
    majority_share: float
    nll: float
    documents: NDArray[np.int64]
    predicted: NDArray[np.int64]
    correct: NDArray[np.int64]
    f1: NDArray[np.float64]


def classification(
    predicted: NDArray[np.integer],
    labels: NDArray[np.integer],
    scores_nll: NDArray[np.floating],
    label_count: int,
) -> Classification:
    """Return the quality of predicted label ids (N,) against the true ones (N,).

    scores_nll (N,) is the negative log score of every document's TRUE label. Raises BadInput for
    no documents, arrays of different lengths, or a label id outside 0 .. label_count - 1.
    """
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    if len(labels) == 0:
        raise BadInput("there is no test document to measure on; give at least one")
    if not len(predicted) == len(labels) == len(scores_nll):
        raise BadInput(
            f"{len(predicted)} predictions, {len(labels)} labels and {len(scores_nll)} "
            "likelihoods do not belong to the same documents; give one of each per document"
        )
    for what, ids in (("predicted", predicted), ("true", labels)):
        if not 0 <= ids.min() <= ids.max() < label_count:
            raise BadInput(
                f"{what} label ids run from {ids.min()} to {ids.max()}; "
                f"allowed are 0 to {label_count - 1}"
            )
    documents = np.bincount(labels, minlength=label_count)
    chosen = np.bincount(predicted, minlength=label_count)
    correct = np.bincount(labels[predicted == labels], minlength=label_count)
    f1 = 2.0 * correct / np.maximum(documents + chosen, 1)
    present = documents > 0
    return Classification(
        accuracy=float(correct.sum() / len(labels)),
        macro_f1=float(f1[present].mean()),
        worst_label_accuracy=float((correct[present] / documents[present]).min()),
        majority_share=float(chosen.max() / len(labels)),
        nll=float(np.asarray(scores_nll, dtype=np.float64).mean()),
        documents=documents.astype(np.int64),
        predicted=chosen.astype(np.int64),
        correct=correct.astype(np.int64),
        f1=f1,
    )
