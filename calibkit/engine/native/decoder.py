"""A generative network's decoder by the native kernels, on integer codes where it has them."""

from __future__ import annotations

import torch
from torch import Tensor

from calibkit.engine.native.library import Level
from calibkit.engine.native.scoring import EXACT_BELOW, Scorer
from calibkit.engine.plain import Decoder
from calibkit.engine.quantizers import Quantizer, quantizer_of
from calibkit.quantize.networks import QuantGenerative, weight_proxies


class NativeDecoder(Decoder):
    """The decoder in the arithmetic ``float-native``.

    Products of the codes of h and W_h are whole numbers, exact; one multiplication makes them
    logits. Token likelihoods differ from the torch decoder's by about 1e-6 nats, and do not depend
    on batch, threads or instruction set. A network without quantizers is scored in float32.
    Raises BadInput without the extension.
    """

    def __init__(self, network: QuantGenerative, *, level: Level | None = None) -> None:
        super().__init__(network)
        weight, self.step, unit = self.hidden_weight, None, None
        if self.quantize is not None:
            quantizer = weight_proxies(network)["decoder"].tensor_quant
            scale = quantizer(network.decoder.weight[:, :1])[1].reshape(-1)
            codes = (weight / scale[:, None]).round_()
            found = quantizer_of(self.quantize)
            assert isinstance(found, Quantizer)
            step, ends = found.scale, (float(found.low), float(found.high))
            largest = max(-ends[0], ends[1]) * float(codes.abs().sum(dim=1).max())
            if largest < EXACT_BELOW and ends[0] >= -128 and ends[1] <= 127:  # bytes hold them
                weight, self.step = codes, step
                unit = (scale.to(torch.float64) * step.to(torch.float64)).expand(len(codes))
        self.scorer = Scorer(weight, self.label_logits, unit=unit, level=level)

    def token_log_probs(self, packed: Tensor, targets: Tensor) -> Tensor:
        """Return log p(target | h, y) of every token and label: float32 (T, K)."""
        h = packed if self.quantize is None else self.quantize(packed)[0]
        rows = h if self.step is None else torch.round(h / self.step)
        return self.scorer(rows, targets)
