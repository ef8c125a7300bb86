"""The two float networks: what is computed, with no training and no batching in it."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from calibkit.models.settings import Kind, ModelSettings

PAD = 0
"""Token id of padding; its word vector is zero and stays so."""

WORD_VECTOR_SD = 0.3
"""Standard deviation of word vectors before training. With torch's 1, Adam takes far longer to
move them; with .1 the discriminative model overfits from its fourth epoch on. On 15,000 AG News
documents its lowest valid NLL in 12 epochs is .42, .38 and .36 with 1, .1 and .3."""


class _Reader(nn.Module):
    """Word vectors and one unidirectional LSTM layer, which both classifiers have."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding, padding_idx=PAD)
        with torch.no_grad():
            self.embedding.weight.mul_(WORD_VECTOR_SD)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def states(self, ids: Tensor) -> Tensor:
        """Return the hidden state after every position: ids (B, T) -> float (B, T, hidden).

        Documents are padded on the right, so that padding never reaches a real position.
        """
        states: Tensor = self.lstm(self.dropout(self.embedding(ids)))[0]
        return states


class Discriminative(_Reader):
    """p(y | x): mean of the hidden states over real tokens, linear layer, softmax.

    Source: Yogatama, Dyer, Ling, Blunsom, "Generative and discriminative text classification with
    recurrent neural networks" (2017), section 2.1. Dropout on word vectors and pooled vector.
    """

    kind: ClassVar[Kind] = "discriminative"

    def __init__(
        self,
        vocabulary: int,
        labels: int,
        *,
        embedding: int = 100,
        hidden: int = 100,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(vocabulary, embedding, hidden, dropout)
        self.classifier = nn.Linear(hidden, labels)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B, K) of padded documents ids (B, T) with ``lengths`` (B,) real tokens."""
        logits: Tensor = self.classifier(self.dropout(pooled(self.states(ids), lengths)))
        return logits

    def config(self) -> dict[str, Any]:
        """Return what is needed, beside the weights, to build this network again."""
        return _config(self, self.classifier.out_features)


class Generative(_Reader):
    """p(x, y): a language model conditioned on the label, times a label prior.

    p(x_t | x_<t, y) = softmax(U [h_t ; v_y] + b) with one LSTM for all labels: "Shared LSTM" of
    Yogatama et al. (2017); also Ding & Gimpel, "Latent-variable generative models for
    data-efficient text classification" (2019). A document <bos> w1 ... wn <eos> is read up to wn
    and predicted from w1 to <eos>.

    label_embedding (K, label_dim) holds v_y; decoder is Linear(hidden + label_dim -> vocabulary),
    its first ``hidden`` columns reading h_t; log_prior (K,) is log p(y).
    """

    kind: ClassVar[Kind] = "generative"
    log_prior: Tensor

    def __init__(
        self,
        vocabulary: int,
        labels: int,
        *,
        embedding: int = 100,
        hidden: int = 100,
        label_dim: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(vocabulary, embedding, hidden, dropout)
        width = hidden if label_dim is None else label_dim
        self.label_embedding = nn.Embedding(labels, width)
        self.decoder = nn.Linear(hidden + width, vocabulary)
        self.register_buffer("log_prior", torch.full((labels,), 1.0 / labels).log())

    def forward(self, ids: Tensor, labels: Tensor) -> Tensor:
        """Return logits (B, T - 1, V) of ids[:, 1:] given ids (B, T) and labels (B,).

        The definition, one decoder run for one label a document; training and scoring use the
        factored form of `calibkit.models.likelihood`, which gives the same numbers for less work.
        """
        states = self.dropout(self.states(ids[:, :-1]))
        vectors = self.label_embedding(labels)[:, None, :].expand(-1, states.shape[1], -1)
        logits: Tensor = self.decoder(torch.cat([states, vectors], dim=2))
        return logits

    def state_columns(self) -> Tensor:
        """Return the decoder's weights (V, hidden) that read the hidden state."""
        return self.decoder.weight[:, : self.lstm.hidden_size]

    def label_biases(self) -> Tensor:
        """Return (K, V): what label y adds to every logit, W_v v_y + b."""
        return F.linear(
            self.label_embedding.weight,
            self.decoder.weight[:, self.lstm.hidden_size :],
            self.decoder.bias,
        )

    def config(self) -> dict[str, Any]:
        """Return what is needed, beside the weights, to build this network again."""
        return _config(self, self.label_embedding.num_embeddings) | {
            "label_dim": self.label_embedding.embedding_dim
        }


Network = Discriminative | Generative


def build(settings: ModelSettings, vocabulary: int, labels: int) -> Network:
    """Return an untrained network; the caller seeds torch."""
    network = Discriminative if settings.kind == "discriminative" else Generative
    return network(
        vocabulary,
        labels,
        embedding=settings.embedding,
        hidden=settings.hidden,
        dropout=settings.dropout,
    )


def pooled(states: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean (B, hidden) of states (B, T, hidden) over the first ``lengths`` positions."""
    real = torch.arange(states.shape[1], device=states.device)[None, :] < lengths[:, None]
    return (states * real[:, :, None]).sum(dim=1) / lengths[:, None]


def _config(network: Network, labels: int) -> dict[str, Any]:
    return {
        "kind": network.kind,
        "vocabulary": network.embedding.num_embeddings,
        "labels": labels,
        "embedding": network.embedding.embedding_dim,
        "hidden": network.lstm.hidden_size,
    }
