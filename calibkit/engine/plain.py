"""The plain engine: Brevitas layers in eval mode are what a cell's numbers come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine.batches import BATCH, Batch, batches
from calibkit.engine.mirror import Mirror
from calibkit.measure.collapse import state_spread
from calibkit.models.likelihood import label_token_log_probs
from calibkit.quantize.networks import (
    QuantClassifier,
    QuantDiscriminative,
    QuantGenerative,
    activation_impl,
    activation_proxies,
    quantized_weight,
    weight_proxies,
)
from calibkit.ragged import Ragged


@dataclass(frozen=True)
class Evaluation:
    """What a network says about n documents, in their order.

    scores: (n, labels) float64, log p(y|x) (discriminative) or log p(x, y) (generative).
    nll: (n,) minus the score of the true label. predicted: (n,) the best label, lowest id on
    ties. token_nll: cross-entropy under the true label: of every predicted token (generative,
    documents in canonical order) or of every document (discriminative). mean_abs_h: mean |h|
    over real tokens. state_spread: how much the last hidden states differ between documents, see
    `calibkit.measure.collapse`; None where nobody looked.
    """

    scores: NDArray[np.float64]
    nll: NDArray[np.float64]
    predicted: NDArray[np.int64]
    token_nll: NDArray[np.float32]
    mean_abs_h: float
    state_spread: float | None = None


States = Callable[[Batch], Tensor]
"""Returns the hidden states (total, hidden) of a batch's packed positions."""


def brevitas_states(network: QuantClassifier) -> States:
    """Return the hidden states as Brevitas's own layers compute them."""
    return lambda one: one.pack(network.hidden_states(one.ids))


def defining_states(network: QuantClassifier) -> States:
    """Return the hidden states that define a network's numbers.

    Brevitas's layers; for a dynamic network the step loop of `Mirror`, because the ranges of its
    rows carry the rounding noise of every sum on, and no two paths agree on that bit for bit.
    """
    return Mirror(network).states if network.dynamic else brevitas_states(network)


def padded_states(
    network: QuantClassifier, tokens: Ragged, *, batch: int = BATCH
) -> Iterator[tuple[Batch, Tensor]]:
    """Yield each batch with its hidden states (n, steps, hidden), padding included."""
    drop_last = isinstance(network, QuantGenerative)
    for one in batches(tokens, drop_last=drop_last, size=batch):
        yield one, network.hidden_states(one.ids)


def evaluate(
    network: QuantClassifier,
    tokens: Ragged,
    labels: NDArray[np.int64],
    *,
    batch: int = BATCH,
    kernels: Kernels | None = None,
) -> Evaluation:
    """Return scores, predictions and cross-entropies of all documents.

    kernels: what computes them; `defining_states` and the torch decoder when not given.

    The generative decoder is factored: its input quantizer works element by element, so logits
    are W_h q(h) + (W_v q(v_y) + b), one product over h for all labels. Equal to decoding once a
    label up to the order of float32 sums. The classifier's logits are exact, so that its ties are.
    """
    classes = _classes(network)
    scores = np.empty((len(tokens), classes), dtype=np.float64)
    token_parts: list[NDArray[np.float32]] = []
    last: list[NDArray[np.float32]] = []
    magnitude, values = 0.0, 0
    chosen = kernels or Kernels(defining_states(network))
    with torch.inference_mode():
        head = chosen.head(network)
        for one in batches(tokens, drop_last=isinstance(network, QuantGenerative), size=batch):
            packed = chosen.states(one)
            magnitude += float(np.abs(packed.numpy()).sum(dtype=np.float64))
            values += packed.numel()
            last.append(one.last(packed).numpy())
            scores[one.rows], token_nll = head.score(one, packed, tokens, labels)
            if token_nll is not None:
                token_parts.append(token_nll)
    nll = -scores[np.arange(len(tokens)), labels]
    return Evaluation(
        scores,
        nll,
        scores.argmax(axis=1).astype(np.int64),
        np.concatenate(token_parts) if token_parts else nll.astype(np.float32),
        magnitude / max(values, 1),
        state_spread(np.concatenate(last)),
    )


def _classes(network: QuantClassifier) -> int:
    if isinstance(network, QuantGenerative):
        return int(network.label_embedding.num_embeddings)
    assert isinstance(network, QuantDiscriminative)
    return int(network.classifier.out_features)


def classifier_logits(network: QuantDiscriminative, pooled: Tensor) -> Tensor:
    """Return the classifier's logits (n, labels) float64, from its integer accumulators.

    Few-bit logits tie often, and float32 sums would break the ties by their rounding noise, which
    changes with the batch. Whole numbers below 2^53 are exact in float64: equal accumulators give
    equal logits. The same numbers as ``network.classifier`` up to that noise.
    """
    proxy = activation_proxies(network)["classifier.input"]
    if not proxy.is_quant_enabled:
        return network.logits(pooled).to(torch.float64)
    value, step = activation_impl(proxy)(pooled)[:2]
    layer = network.classifier
    weight, weight_step = weight_proxies(network)["classifier"].tensor_quant(layer.weight)[:2]
    codes = torch.round(value / step).to(torch.float64)
    weight_codes = torch.round(weight / weight_step).to(torch.float64)
    unit: Tensor = step.to(torch.float64).reshape(-1, 1) * weight_step.to(torch.float64).reshape(
        1, -1
    )
    bias = network.logits(torch.zeros_like(pooled[:1])).to(torch.float64)  # as Brevitas has it
    sums: Tensor = codes @ weight_codes.T
    if network.dynamic:  # the bias is in no row's unit
        return sums * unit + bias
    return (sums + torch.round(bias / unit)) * unit


class Head(Protocol):
    """What turns the hidden states of a batch into label scores."""

    def score(
        self, one: Batch, packed: Tensor, tokens: Ragged, labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
        """Return scores (n, labels) in nats, and cross-entropies of the true labels' tokens.

        packed: hidden states (total, hidden); tokens, labels: of all documents, which ``one.rows``
        indexes. Cross-entropies (total,) of the tokens that follow, or None from a model that
        predicts labels alone. Equal best scores mean a tie, which goes to the lowest label.
        """


class Classifier:
    """A discriminative network's pooling and linear layer, as Brevitas computes them."""

    def __init__(self, network: QuantDiscriminative) -> None:
        self.network = network

    def score(
        self, one: Batch, packed: Tensor, tokens: Ragged, labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], None]:
        """Return log p(y | x) (n, labels) of a batch."""
        logits = classifier_logits(self.network, one.mean(packed))
        return torch.log_softmax(logits, dim=1).numpy(), None


class Decoder:
    """A generative network's decoder, taken apart into an h part and one bias row per label."""

    def __init__(self, network: QuantGenerative) -> None:
        width = network.label_embedding.embedding_dim
        self.log_prior = network.log_prior.to(torch.float64)
        self.label_logits = network.label_logits()
        proxy = activation_proxies(network)["decoder.input"]
        self.quantize = activation_impl(proxy) if proxy.is_quant_enabled else None
        weight = quantized_weight(network, "decoder") if self.quantize else network.decoder.weight
        self.hidden_weight = weight[:, :width].contiguous()

    def token_log_probs(self, packed: Tensor, targets: Tensor) -> Tensor:
        """Return log p(target | h, y) of every token and label: float32 (T, K).

        packed: hidden states (T, H) as the LSTM gives them; targets: int64 (T,).
        """
        h = packed if self.quantize is None else self.quantize(packed)[0]
        return label_token_log_probs(h, self.hidden_weight, self.label_logits, targets)

    def score(
        self, one: Batch, packed: Tensor, tokens: Ragged, labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return log p(x, y) (n, labels) and the true label's token cross-entropies (total,)."""
        log_p = self.token_log_probs(packed, next_tokens(one, tokens))
        summed = torch.zeros(len(one.rows), log_p.shape[1], dtype=torch.float64)
        summed.index_add_(0, one.documents, log_p.to(torch.float64))
        truth = torch.from_numpy(labels[one.rows])[one.documents]
        token_nll = -log_p.gather(1, truth[:, None])[:, 0]
        return (summed + self.log_prior).numpy(), token_nll.to(torch.float32).numpy()


def float_head(network: QuantClassifier) -> Head:
    """Return the head of a network in float arithmetic, by torch."""
    if isinstance(network, QuantGenerative):
        return Decoder(network)
    assert isinstance(network, QuantDiscriminative)
    return Classifier(network)


@dataclass(frozen=True)
class Kernels:
    """What computes the two parts of an evaluation.

    states: the packed hidden states of a batch. head: makes what turns them into scores.
    """

    states: States
    head: Callable[[Any], Head] = float_head


def next_tokens(one: Batch, tokens: Ragged) -> Tensor:
    """Return the token that follows each packed position (total,) int64."""
    following = torch.zeros_like(one.ids)
    for place, row in enumerate(one.rows):
        ids = tokens[int(row)]
        following[place, : len(ids) - 1] = torch.from_numpy(ids[1:].astype(np.int64))
    return one.pack(following)
