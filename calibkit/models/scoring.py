"""What a float model says about documents: label scores, token losses, hidden states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.errors import BadInput
from calibkit.models.batches import Batch, by_length, checked
from calibkit.models.likelihood import label_token_log_probs
from calibkit.models.networks import Discriminative, Generative, Network, pooled
from calibkit.ragged import Ragged


@dataclass(frozen=True)
class Scores:
    """Scores of N documents under K labels, in the order in which the documents were given.

    log_scores: float64 (N, K), natural log: log p(y | x) of a discriminative model, log p(x, y) =
    log prior + sum of token log-probabilities of a generative one.
    mean_abs_h: mean of |h| over the read tokens and hidden units; 0 tells a dead LSTM.
    """

    log_scores: NDArray[np.float64]
    mean_abs_h: float

    @property
    def predicted(self) -> NDArray[np.intp]:
        """The label id of the highest score of every document; ties go to the lowest id."""
        best: NDArray[np.intp] = np.argmax(self.log_scores, axis=1)
        return best

    def nll(self, labels: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the negative log score of the given labels (N,), one number a document, nats."""
        picked: NDArray[np.float64] = -self.log_scores[np.arange(len(labels)), labels]
        return picked


@torch.no_grad()
def score(model: Network, tokens: Ragged, *, batch: int = 256) -> Scores:
    """Return the scores of every document under every label.

    Documents go through in order of length, ``batch`` at a time; the network is put into
    evaluation mode for it. Raises BadInput for token ids that the model does not know.
    """
    labels = int(model.config()["labels"])
    log_scores = np.empty((len(tokens), labels), dtype=np.float64)
    magnitude, count = 0.0, 0
    for part, states in _read(model, tokens, batch):
        real = _real(model, part, states)
        magnitude += float(real.abs().sum(dtype=torch.float64))
        count += real.numel()
        if isinstance(model, Discriminative):
            logits = model.classifier(pooled(states, _tensor(part.lengths, states)))
            log_scores[part.rows] = logits.double().log_softmax(dim=1).cpu().numpy()
        else:
            by_token = _token_log_probs(model, part, real).double().cpu().numpy()
            starts = np.concatenate([[0], np.cumsum(part.lengths - 1)[:-1]])
            prior = model.log_prior.double().cpu().numpy()
            log_scores[part.rows] = np.add.reduceat(by_token, starts, axis=0) + prior
    return Scores(log_scores, magnitude / count if count else 0.0)


@torch.no_grad()
def token_nll(
    model: Network, tokens: Ragged, labels: NDArray[np.integer], *, batch: int = 256
) -> NDArray[np.float32]:
    """Return the cross-entropy of every target token under the labels (N,) of the documents.

    Flat float32 in document order, nats. Generative: -log p(x_t | x_<t, y) for every token after
    <bos>, so a document of n tokens gives n - 1 numbers. Discriminative: the linear layer applied
    to the state of each token alone (the document's logits are the mean of these), and the
    negative log-softmax at y: n numbers a document.
    """
    if len(labels) != len(tokens):
        raise BadInput(f"{len(labels)} labels for {len(tokens)} documents; give one for each")
    counts = tokens.lengths - (1 if isinstance(model, Generative) else 0)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    found = np.empty(int(offsets[-1]), dtype=np.float32)
    for part, states in _read(model, tokens, batch):
        real = _real(model, part, states)
        sizes = counts[part.rows]
        if isinstance(model, Discriminative):
            by_label = model.classifier(real).log_softmax(dim=1)
        else:
            by_label = _token_log_probs(model, part, real)
        label = np.repeat(np.asarray(labels)[part.rows].astype(np.int64), sizes)
        values = -by_label.gather(1, _tensor(label, states)[:, None])[:, 0].cpu().numpy()
        within = np.arange(len(values)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        found[np.repeat(offsets[part.rows], sizes) + within] = values
    return found


@torch.no_grad()
def hidden(model: Network, tokens: Ragged, *, batch: int = 256) -> NDArray[np.float32]:
    """Return the mean hidden state of every document: float32 (N, hidden).

    The mean is over the tokens that the model reads: all of them for a discriminative model, all
    but the last (<eos>) for a generative one.
    """
    found = np.empty((len(tokens), model.lstm.hidden_size), dtype=np.float32)
    for part, states in _read(model, tokens, batch):
        read = part.lengths - (1 if isinstance(model, Generative) else 0)
        found[part.rows] = pooled(states, _tensor(read, states)).cpu().numpy()
    return found


def _read(model: Network, tokens: Ragged, batch: int) -> Iterator[tuple[Batch, Tensor]]:
    """Yield batches with the hidden state after each position; evaluation mode, no gradients."""
    checked(tokens, model.embedding.num_embeddings)
    if batch < 1:
        raise BadInput(f"batch: {batch} is not allowed; give a positive number of documents")
    device = model.embedding.weight.device
    was_training = model.training
    model.eval()
    try:
        for part in by_length(tokens, batch):
            yield part, model.states(torch.from_numpy(part.ids).to(device))
    finally:
        model.train(was_training)


def _real(model: Network, part: Batch, states: Tensor) -> Tensor:
    """Return the states (tokens, hidden) of the tokens that the model reads."""
    positions = _tensor(part.positions(last=isinstance(model, Discriminative)), states)
    return states.reshape(-1, states.shape[2]).index_select(0, positions)


def _token_log_probs(model: Generative, part: Batch, states: Tensor) -> Tensor:
    targets = part.ids.reshape(-1)[part.positions(last=False) + 1]
    return label_token_log_probs(
        states, model.state_columns(), model.label_biases(), _tensor(targets, states)
    )


def _tensor(values: NDArray[np.int64], like: Tensor) -> Tensor:
    return torch.from_numpy(values).to(like.device)
