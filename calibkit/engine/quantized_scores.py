"""What a float model says about documents once it is quantized to a few bits.

For policies that ask which documents a low bit width treats badly. The network is quantized as in
a cell, under one fixed scheme, so that documents are judged by what quantization does to a model
and not by the scheme of any one cell.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calibkit.engine.calibrate import calibrate
from calibkit.engine.choice import kernels_by
from calibkit.engine.plain import evaluate
from calibkit.engine.statistics import collect_statistics
from calibkit.quantize.networks import Arrays
from calibkit.quantize.ranges import SiteStatistics
from calibkit.quantize.schemes import Scheme, SchemeSettings, resolve
from calibkit.ragged import Ragged


def scheme_for(bits: int) -> Scheme:
    """Return the scheme that documents are judged under: preset robust, nearest rounding.

    In whole numbers, so that which documents are chosen does not depend on the machine.
    """
    settings = SchemeSettings(preset="robust", arithmetic="integer")
    return resolve(settings, bits=bits, rounding="nearest")


@dataclass
class QuantizedScores:
    """A float model (kind, state dict) and the documents that it is calibrated on.

    The calibration pass is done once, for all bit widths.
    """

    kind: str
    arrays: Arrays
    calibration: Ragged
    _statistics: dict[str, SiteStatistics] = field(default_factory=dict, init=False)

    def scores(self, tokens: Ragged, bits: int) -> NDArray[np.float64]:
        """Return the label scores (documents, labels) of the model quantized to ``bits``, in nats.

        log p(y | x) (discriminative) or log p(x, y) (generative).
        """
        scheme = scheme_for(bits)
        if not self._statistics:
            self._statistics = collect_statistics(
                self.kind, self.arrays, self.calibration, percentile=scheme.percentile
            )
        done = calibrate(
            self.kind, self.arrays, self.calibration, scheme, statistics=self._statistics
        )
        kernels = kernels_by("auto", done.network, tokens, arithmetic=scheme.arithmetic)
        nobody = np.zeros(len(tokens), dtype=np.int64)  # true labels, which scores do not depend on
        return evaluate(done.network, tokens, nobody, kernels=kernels).scores

    def labels(self, tokens: Ragged, bits: int) -> NDArray[np.int64]:
        """Return the label (documents,) that the quantized model gives; the lowest of equals."""
        best: NDArray[np.int64] = self.scores(tokens, bits).argmax(axis=1)
        return best
