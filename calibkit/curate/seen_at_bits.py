"""What becomes of a model's labels as it is quantized: disagreement, misses, and chains of bits.

Models are quantized as in a cell, under the fixed scheme of `calibkit.engine.quantized_scores`, on
256 documents of the pool: a keyed random draw, the same for every model, width and policy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibkit.curate.features import AT_BITS, Features
from calibkit.curate.float_models import ModelArtefact, load_checkpoint, network_of
from calibkit.curate.seen_by_model import looked
from calibkit.errors import BadInput, Infeasible
from calibkit.identity import HARNESS
from calibkit.policies import Draw
from calibkit.ragged import Ragged
from calibkit.store.artefacts import Artefact

if TYPE_CHECKING:
    from calibkit.engine.quantized_scores import QuantizedScores

CALIBRATION_DOCUMENTS = 256
CALIBRATION_DRAW = Draw(0, "calibration of features")

Labels = NDArray[np.integer[Any]]


def disagreement(features: Features, model: ModelArtefact, option: str) -> NDArray[np.float32]:
    """Return what each document's label distribution loses at a bit width: float32 (documents,).

    The Kullback-Leibler divergence KL(float || quantized), in nats; option: the width.
    """
    need = f"disagreement:{option}"
    (bits,) = widths_of(need, option, most=1)

    def compute(found: Artefact, tokens: Ragged) -> NDArray[np.float32]:
        from calibkit.models.scoring import score

        exact = score(network_of(found), tokens).log_scores
        quantized = _quantized(features, model, found, tokens)
        return divergence(exact, quantized.scores(tokens, bits))

    return looked(features, model, need, compute, also=(HARNESS, AT_BITS))


def divergence(exact: NDArray[np.float64], inexact: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return KL(P || Q) of each row, in nats: float32 (n,).

    P, Q: softmax of the log scores (n, labels), which need not be normalised.
    """
    p, q = (s - np.logaddexp.reduce(s, axis=1, keepdims=True) for s in (exact, inexact))
    found: NDArray[np.float64] = np.maximum((np.exp(p) * (p - q)).sum(axis=1), 0.0)
    return found.astype(np.float32)


def require_checkpoints(need: str, called: str, epochs: int) -> None:
    """Raise Infeasible for misses of a model that is trained for one epoch; other needs are fine.

    called: the model in words.
    """
    if need.partition(":")[0] == "misses" and epochs < 2:
        raise Infeasible(
            f"{need}: {called} was trained for {epochs} epoch, and a miss is "
            "a change between the checkpoints of two epochs; train a model for at least 2"
        )


def misses(features: Features, model: ModelArtefact, option: str) -> NDArray[np.int32]:
    """Return quantization misses per bit width: int32 (documents, widths + 1), see `count_misses`.

    option: the widths, ``8,4,2``. Reads every checkpoint that the model's training kept. Raises
    Infeasible for a model of one epoch, BadInput where a checkpoint is missing.
    """
    from calibkit.models.training import kept_epochs

    need = f"misses:{option}"
    widths = widths_of(need, option)
    require_checkpoints(need, model.called, model.settings.epochs)
    epochs = kept_epochs(model.settings.epochs)

    def compute(found: Artefact, tokens: Ragged) -> NDArray[np.int32]:
        labels = _label_numbers(features, model, found)

        @lru_cache(maxsize=1)  # checkpoints come one after the other, each at all widths
        def after(epoch: int) -> QuantizedScores:
            weights = load_checkpoint(features.library, model, epoch)
            return _quantized(features, model, weights, tokens)

        def predict(epoch: int, bits: int) -> Labels:
            return after(epoch).labels(tokens, bits)

        return count_misses(predict, epochs, widths, labels)

    # two models of the same content may have come to it by different checkpoints
    return looked(features, model, need, compute, also=(HARNESS, model.key, AT_BITS))


def count_misses(
    predict: Callable[[int, int], Labels],
    epochs: Sequence[int],
    widths: Sequence[int],
    labels: Labels,
) -> NDArray[np.int32]:
    """Return quantization misses: int32 (documents, widths + 1).

    predict: gives the labels (documents,) after an epoch at a bit width. A miss of a document at a
    width is a change from correct after one epoch to wrong after the next one, both quantized to
    that width (QCore, arXiv 2404.13990, 2024). The last column is 1 for documents that were never
    right, after no epoch and at no width.
    """
    found = np.zeros((len(labels), len(widths) + 1), dtype=np.int32)
    never = np.ones(len(labels), dtype=bool)
    before = np.zeros((len(widths), len(labels)), dtype=bool)
    for epoch in epochs:
        for column, bits in enumerate(widths):
            correct = predict(epoch, bits) == labels
            found[:, column] += before[column] & ~correct
            before[column] = correct
            never &= ~correct
    found[:, -1] = never
    return found


def chain(features: Features, model: ModelArtefact, option: str) -> NDArray[np.int32]:
    """Return how often the predicted label changes as bits are taken away: int32 (documents,).

    option: the widths in the order in which they are gone through, from the float model on.
    """
    need = f"chain:{option}"
    widths = widths_of(need, option)

    def compute(found: Artefact, tokens: Ragged) -> NDArray[np.int32]:
        from calibkit.models.scoring import score

        quantized = _quantized(features, model, found, tokens)

        def predict(bits: int | None) -> Labels:
            if bits is None:
                return score(network_of(found), tokens).predicted
            return quantized.labels(tokens, bits)

        return count_changes(predict, widths)

    return looked(features, model, need, compute, also=(HARNESS, AT_BITS))


def count_changes(
    predict: Callable[[int | None], Labels], widths: Sequence[int]
) -> NDArray[np.int32]:
    """Return how often each document's label differs from the one before: int32 (documents,).

    predict: gives the labels (documents,) at a bit width, of the float model for None, which is
    where the chain of ``widths`` starts.
    """
    given = [predict(bits) for bits in (None, *widths)]
    changed = [one != other for one, other in pairwise(given)]
    counts: NDArray[np.int32] = np.sum(changed, axis=0, dtype=np.int32)
    return counts


def widths_of(need: str, option: str, *, most: int | None = None) -> tuple[int, ...]:
    """Return the bit widths that a need's option lists; BadInput for anything else."""
    parts = option.split(",")
    if not all(part in "2345678" and len(part) == 1 for part in parts) or len(parts) > (
        most or len(parts)
    ):
        allowed = "one bit width" if most == 1 else "bit widths with commas between them"
        raise BadInput(f"{need}: {option!r} is not allowed; give {allowed}, each from 2 to 8")
    return tuple(map(int, parts))


def _quantized(
    features: Features, model: ModelArtefact, found: Artefact, tokens: Ragged
) -> QuantizedScores:
    from calibkit.engine.quantized_scores import QuantizedScores

    rows = CALIBRATION_DRAW.order(features.doc_ids)[:CALIBRATION_DOCUMENTS]
    return QuantizedScores(model.settings.kind, found.tensors, tokens.take(rows))


def _label_numbers(features: Features, model: ModelArtefact, found: Artefact) -> Labels:
    """Return the documents' labels by the model's numbers; BadInput where it has others."""
    ours, theirs = features.library.corpus.labels, tuple(found.config["labels_in_order"])
    if ours == theirs:
        return features.label_ids
    raise BadInput(
        f"the model {model.id} tells {len(theirs):,} labels apart ({', '.join(theirs)[:200]}), "
        f"and corpus {features.library.corpus.name!r} has {len(ours):,} "
        f"({', '.join(ours)[:200]}): no document would be right; name a model of this corpus"
    )
