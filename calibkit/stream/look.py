"""What the deployed network tells of documents, computed when it is asked for and counted."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from calibkit.engine.batches import batches
from calibkit.engine.cost import Work, head_macs, states_macs
from calibkit.engine.documents import document_ranges
from calibkit.engine.plain import Kernels, evaluate
from calibkit.quantize.networks import Arrays, QuantClassifier
from calibkit.stream.members import Members


class NetworkLook:
    """A quantized network's view of some documents; macs: multiply-adds it has taken so far."""

    def __init__(
        self, network: QuantClassifier, kernels: Kernels, arrays: Arrays, documents: Members
    ) -> None:
        self.network = network
        self.kernels = kernels
        self.arrays = arrays
        self.documents = documents
        self.macs = 0

    @cached_property
    def _work(self) -> Work:
        return Work.of(self.network.kind, self.arrays, self.documents.tokens)

    def states(self) -> NDArray[np.float32]:
        """Return the mean hidden state of each document: float32 (n, hidden)."""
        tokens = self.documents.tokens
        generative = self.network.kind == "generative"
        found: NDArray[np.float32] | None = None
        with torch.inference_mode():
            for one in batches(tokens, drop_last=generative):
                mean = one.mean(self.kernels.states(one)).numpy()
                if found is None:
                    found = np.zeros((len(tokens), mean.shape[1]), dtype=np.float32)
                found[one.rows] = mean
        assert found is not None
        self.macs += states_macs(self._work)
        return found

    def ranges(self) -> NDArray[np.float32]:
        """Return smallest and largest value at each activation site: float32 (n, sites, 2).

        Those of the float network: a quantizer's own output cannot tell that it is too narrow.
        """
        tokens = self.documents.tokens
        self.macs += states_macs(self._work)
        return document_ranges(self.network.kind, self.arrays, tokens)

    def right(self) -> NDArray[np.bool_]:
        """Return whether the network labels each document as it should: (n,)."""
        documents = self.documents
        found = evaluate(self.network, documents.tokens, documents.labels, kernels=self.kernels)
        self.macs += states_macs(self._work) + head_macs(self._work)
        right: NDArray[np.bool_] = found.predicted == documents.labels
        return right
