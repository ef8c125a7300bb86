"""What Brevitas does and calibkit does not, kept for schemes that are to repeat it."""

from __future__ import annotations

import warnings

from torch import Tensor

from calibkit.engine.batches import Batch
from calibkit.engine.plain import States
from calibkit.quantize.networks import QuantClassifier


def float_pass_states(network: QuantClassifier) -> States:
    """Return the hidden states of Brevitas 0.13's pass with quantization turned off.

    Its ``gpfq_mode`` takes them for those of the float model. Weights, biases and the LSTM's input
    are float indeed; but QuantLSTM's fused cell holds the quantizers themselves and does not see
    that they are disabled, so that gates, cell state and hidden state stay quantized. The network's
    LSTM must still have its float weights, rounded only where they are used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from brevitas.graph.calibrate import quantization_status_manager

    def states(one: Batch) -> Tensor:
        # the fused cell is made at the first call, and is another one if made while disabled
        network.hidden_states(one.ids[:1, :1])
        with quantization_status_manager(
            network,
            disable_act_quant=True,
            disable_weight_quant=True,
            disable_bias_quant=True,
            is_training=False,
        ):
            return one.pack(network.hidden_states(one.ids))

    return states
