"""What an exporter of networks works from: a frozen network, its integers, and its documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from calibkit.corpora.vocabulary import Vocabulary
from calibkit.engine.integer import IntegerClassifier, IntegerDecoder, IntegerLSTM
from calibkit.quantize.networks import (
    Arrays,
    QuantClassifier,
    QuantDiscriminative,
    QuantGenerative,
)
from calibkit.quantize.schemes import Scheme
from calibkit.ragged import Ragged

Head = IntegerClassifier | IntegerDecoder


@dataclass(frozen=True)
class Frozen:
    """A calibrated, frozen network, with all that turns a text into a label.

    network: Brevitas's layers. arrays: the weights of the float model that it was made from.
    scheme: how it was quantized. vocabulary: token types by id. labels: their names in order.
    most_tokens: a document is cut to so many tokens, <bos> and <eos> not counted.
    """

    network: QuantClassifier
    arrays: Arrays
    scheme: Scheme
    vocabulary: Vocabulary
    labels: tuple[str, ...]
    most_tokens: int

    @property
    def kind(self) -> str:
        """The kind of model: discriminative or generative."""
        return self.network.kind

    @cached_property
    def lstm(self) -> IntegerLSTM:
        """The LSTM as integers; raises BadInput where its scales lead out of their range."""
        return IntegerLSTM.of(self.network)

    @cached_property
    def head(self) -> Head:
        """The classifier or the decoder as integers; raises BadInput as `lstm` does."""
        if isinstance(self.network, QuantGenerative):
            return IntegerDecoder.of(self.network)
        assert isinstance(self.network, QuantDiscriminative)
        return IntegerClassifier.of(self.network)

    def encode(self, texts: Iterable[str]) -> Ragged:
        """Return the token ids of texts, as the network reads them: <bos>, tokens, <eos>."""
        return self.vocabulary.encode(texts, most_tokens=self.most_tokens)


@dataclass(frozen=True)
class Tested:
    """The documents that an export has to answer as calibkit does.

    tokens: ids with <bos> and <eos>. labels (n,): the true ones. texts: what the tokens are of.
    scores (n, labels) float64, predicted (n,): those of arithmetic integer; log p(y | x) of a
    discriminative network, log p(x, y) of a generative one, in nats.
    """

    texts: tuple[str, ...]
    tokens: Ragged
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    predicted: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """The share of documents that arithmetic integer labels as they are."""
        return float((self.predicted == self.labels).mean())


Whole = NDArray[np.int64]


def whole(values: Tensor) -> Whole:
    """Return a tensor of whole numbers as numpy's int64."""
    found: Whole = values.detach().numpy().astype(np.int64)
    return found


Facts = Mapping[str, object]
"""What the model card says of a cell: JSON-ready values by name."""
