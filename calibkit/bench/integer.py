"""The integer arithmetic by engine: hidden states and generative scoring, against Brevitas.

Right means equal, bit for bit, to the torch implementation in other batches. How often Brevitas's
floats come to the same is told beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.bench import inputs, plain_path
from calibkit.bench.engine import quantized, thousands
from calibkit.bench.measuring import Case
from calibkit.bench.timing import Stages, Work
from calibkit.engine.batches import Batch, batches
from calibkit.engine.choice import integer_kernels
from calibkit.engine.plain import Kernels
from calibkit.quantize.networks import QuantDiscriminative, QuantGenerative

OTHER_BATCH = 48
AGAINST = f"the torch implementation in batches of {OTHER_BATCH} documents, bit for bit"

Batches = list[tuple[Batch, Tensor]]


def forward(*, documents: int, vocabulary: int, bits: int) -> Case:
    """Hidden states of a discriminative model on integers; engines are set up outside the time.

    codes_agree: share of hidden states that are Brevitas's; argmax_agree: of predictions.
    """
    network = quantized("discriminative", vocabulary, 4, bits).network
    assert isinstance(network, QuantDiscriminative)
    tokens = inputs.documents(documents, vocabulary)
    truth = inputs.label_ids(documents, 4)

    def plain(stages: Stages) -> list[Tensor]:
        with torch.inference_mode(), stages("forward"):
            return plain_path.hidden_states(network, tokens)

    def by(engine: Any) -> Work:
        def work(stages: Stages) -> Batches:
            states = integer_kernels(engine, network, tokens).states
            with torch.inference_mode(), stages("forward"):
                return [(one, states(one)) for one in batches(tokens)]

        return work

    def by_document(found: Batches) -> dict[int, Tensor]:
        return {
            row: padded[place, : int(one.lengths[place])]
            for one, packed in found
            for padded in (one.pad(packed),)
            for place, row in enumerate(one.rows.tolist())
        }

    def right(expected: list[Tensor], found: Batches) -> dict[str, bool]:
        states = integer_kernels("torch", network, tokens).states
        with torch.inference_mode():
            others = [(one, states(one)) for one in batches(tokens, size=OTHER_BATCH)]
        reference, ours = by_document(others), by_document(found)
        return {"forward": all(torch.equal(ours[row], reference[row]) for row in reference)}

    def told(expected: list[Tensor], found: Batches) -> dict[str, float]:
        same = total = agreed = 0
        head = integer_kernels("torch", network, tokens).head(network)
        labels = np.empty(documents, dtype=np.int64)
        with torch.inference_mode():
            padded = zip(plain_path.padded(tokens), expected, strict=True)
            for (rows, _, lengths), states in padded:
                logits = network.classifier(network.pooled(states, lengths))
                labels[rows] = logits.argmax(dim=1).numpy()
            for one, packed in found:
                scores = head.score(one, packed, tokens, truth)[0]
                agreed += int((scores.argmax(axis=1) == labels[one.rows]).sum())
        for row, ours in by_document(found).items():
            batch, inside = divmod(row, plain_path.BATCH)
            same += int((ours == expected[batch][inside, : len(ours)]).sum())
            total += ours.numel()
        return {"codes_agree": same / total, "argmax_agree": agreed / documents}

    return Case(
        "integer LSTM forward, discriminative",
        {"plain": plain, "torch": by("torch"), "native": by("native")},
        right,
        _facts(documents, vocabulary, bits),
        told,
    )


def scoring(*, documents: int, vocabulary: int, labels: int, bits: int) -> Case:
    """Label scores on integers of all documents from their hidden states; set-up is not timed.

    argmax_agree: share of the predictions that are Brevitas's, decoding once a label.
    """
    network = quantized("generative", vocabulary, labels, bits).network
    assert isinstance(network, QuantGenerative)
    tokens = inputs.documents(documents, vocabulary)
    truth = inputs.label_ids(documents, labels)

    def plain(stages: Stages) -> NDArray[np.float64]:
        with torch.inference_mode():
            states = plain_path.hidden_states(network, tokens)
            with stages("scoring"):
                return plain_path.scores_of_states(network, tokens, states)

    def scores(kernels: Kernels, stages: Stages, **how: int) -> NDArray[np.float64]:
        with torch.inference_mode():
            seen = [(one, kernels.states(one)) for one in batches(tokens, drop_last=True, **how)]
            found = np.empty((documents, labels))
            head = kernels.head(network)
            with stages("scoring"):
                for one, packed in seen:
                    found[one.rows] = head.score(one, packed, tokens, truth)[0]
        return found

    def by(engine: Any) -> Work:
        return lambda stages: scores(integer_kernels(engine, network, tokens), stages)

    def right(expected: NDArray[np.float64], found: NDArray[np.float64]) -> dict[str, bool]:
        reference = integer_kernels("torch", network, tokens)
        other = scores(reference, Stages(), size=OTHER_BATCH)
        return {"scoring": bool(np.array_equal(found, other))}

    def told(expected: NDArray[np.float64], found: NDArray[np.float64]) -> dict[str, float]:
        return {"argmax_agree": float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())}

    return Case(
        f"integer scoring, V {thousands(vocabulary)}, {labels} labels",
        {"plain": plain, "torch": by("torch"), "native": by("native")},
        right,
        {**_facts(documents, vocabulary, bits), "labels": labels},
        told,
    )


def _facts(documents: int, vocabulary: int, bits: int) -> Mapping[str, Any]:
    sizes = {"documents": documents, "vocabulary": vocabulary, "bits": bits}
    return {**sizes, "set_up": "not timed", "against": AGAINST}
