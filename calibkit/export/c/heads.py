"""Both heads as C constants, and what a state of theirs has beside the LSTM's."""

from __future__ import annotations

import numpy as np

from calibkit.engine.integer import IntegerClassifier, IntegerDecoder
from calibkit.engine.integer.powers import log_table, power_table
from calibkit.export.c.literals import array, defines, stream, width_of
from calibkit.export.c.recurrent import BYTE_ZERO, NIBBLE_ZERO, filled, fit_bytes, fits_nibbles
from calibkit.export.network import Whole, whole

LANES = 16
"""The bytes of a decoder's weights are read in vectors of so many."""


def classifier_constants(head: IntegerClassifier) -> str:
    """Return the definitions of everything that is fixed in the classifier."""
    numbers: dict[str, int | str] = {
        "MEAN_MULTIPLIER": int(head.pooled.values),
        "MEAN_SHIFT": f"{head.pooled.shift}u",
        "READ_LOW": head.input.low,
        "READ_HIGH": head.input.high,
    }
    return "\n\n".join(
        [
            defines(numbers),
            array("int8_t", "label_weights", whole(head.matrix.codes)),
            array("int32_t", "label_bias", whole(head.bias)),
            array("int32_t", "label_scales", whole(head.logits.values)),
        ]
    )


def decoder_constants(head: IntegerDecoder) -> str:
    """Return the definitions of everything that is fixed in the decoder.

    Of labels every word has its largest logit, counted from the lowest of these, and how far each
    label stays below it.
    """
    tops = whole(head.tops)
    below = (tops - whole(head.label_logits)).T
    bits = (width_of(tops - tops.min()), width_of(below))
    logits, logit_bytes = stream([((tops - tops.min())[:, None], bits[0]), (below, bits[1])])
    codes = whole(head.matrix.codes)
    nibbles = fits_nibbles(codes)
    zero = NIBBLE_ZERO if nibbles else BYTE_ZERO
    weights = _halves(codes + zero) if nibbles else codes + zero
    read = filled(weights.shape[1], LANES)
    overhang = np.zeros(read - weights.shape[1], dtype=np.int64)
    units = whole(head.units.values)
    if (units == units[0]).all():
        units = units[:1]
    numbers: dict[str, int | str] = {
        "TOP_BITS": f"{bits[0]}u",
        "TOP_LOW": int(tops.min()),
        "BELOW_BITS": f"{bits[1]}u",
        "LOGIT_BYTES": f"{logit_bytes}u",
        "DECODER_NIBBLES": int(nibbles),
        "DECODER_ZERO": zero,
        "DECODER_BYTES": f"{weights.shape[1]}u",
        "DECODER_READ": f"{read}u",
        "SEEN_FIT_BYTES": int(fit_bytes(whole(head.read))),
        "UNITS": f"{len(units)}u",
        "UNIT_SHIFT": f"{head.units.shift}u",
    }
    return "\n\n".join(
        [
            defines(numbers),
            array("uint8_t", "decoder_weights", np.concatenate([weights.ravel(), overhang])),
            array("int32_t", "word_units", units),
            array("uint8_t", "label_logits", logits),
            array("int64_t", "log_prior", whole(head.prior)),
            array("int16_t", "decoder_codes", whole(head.read)),
            array("uint32_t", "powers", np.array(power_table())),
            array("uint32_t", "logs", np.array(log_table())),
        ]
    )


def _halves(rows: Whole) -> Whole:
    """Return rows of nibbles as bytes: the first half of the columns in the low bits."""
    half = -(-rows.shape[1] // 2)
    found = rows[:, :half].copy()
    found[:, : rows.shape[1] - half] |= rows[:, half:] << 4
    return found
