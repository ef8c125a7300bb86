"""The LSTM as C constants: both matrices of its gates, scales, biases and tables."""

from __future__ import annotations

import numpy as np
import torch

from calibkit.engine.integer import IntegerLSTM
from calibkit.engine.integer.fixed_point import Requantizer
from calibkit.engine.integer.grids import bias_codes, grids, weight
from calibkit.engine.mirror import COLUMNS
from calibkit.export.c.literals import array, defines
from calibkit.export.network import Whole, whole
from calibkit.quantize.networks import QuantClassifier, gate_modules

NIBBLE_LANES, BYTE_LANES = 16, 8
"""Rows are filled up to whole vectors of so many columns. Rows of nibbles are as many bytes as they
have columns; two rows of bytes stand one behind the other."""
NIBBLE_ZERO, BYTE_ZERO = 8, 128


def filled(columns: int, lanes: int) -> int:
    """Return how many columns whole vectors have that take so many."""
    return -(-columns // lanes) * lanes


def fits_nibbles(codes: Whole) -> bool:
    """Say whether weights fit four bits."""
    return bool(codes.min() >= -NIBBLE_ZERO and codes.max() < NIBBLE_ZERO)


def fit_bytes(*codes: Whole) -> bool:
    """Say whether codes fit eight bits with a sign."""
    return all(one.min() >= -BYTE_ZERO and one.max() < BYTE_ZERO for one in codes)


def gate_columns(network: QuantClassifier) -> tuple[int, int]:
    """Return how many columns the input's and the hidden state's vectors have in memory."""
    read, recurrent = _matrices(network)
    of_input, of_hidden = read.shape[1], recurrent.shape[1]
    if _in_nibbles(read, recurrent):  # both stand in the same bytes
        both = filled(max(of_input, of_hidden), NIBBLE_LANES)
        return both, both
    return filled(of_input, BYTE_LANES), filled(of_hidden, BYTE_LANES)


def lstm_constants(network: QuantClassifier, lstm: IntegerLSTM, codes: Whole) -> str:
    """Return the definitions of everything that is fixed in the LSTM.

    codes: the words' input codes (words, columns), by which the matrices are held against the
    sums that the engine has of every word.
    """
    read, recurrent = _matrices(network)
    bias = _bias(network)
    sums = torch.from_numpy(codes).to(torch.float64) @ torch.from_numpy(read.T).to(torch.float64)
    if not torch.equal(sums + torch.from_numpy(bias), lstm.inputs.to(torch.float64)):
        raise AssertionError("the matrices do not lead to the sums of the integer engine")
    nibbles = _in_nibbles(read, recurrent)
    zero = NIBBLE_ZERO if nibbles else BYTE_ZERO
    of_input, of_hidden = gate_columns(network)
    sides = [_widened(read + zero, of_input), _widened(recurrent + zero, of_hidden)]
    weights = sides[0] | sides[1] << 4 if nibbles else np.concatenate(sides, axis=1)
    from_input = np.concatenate([whole(gate.from_input) for gate in lstm.gates])
    from_hidden = np.concatenate([whole(gate.from_hidden) for gate in lstm.gates])
    one_scale = np.array_equal(from_input, from_hidden)
    by_gate = (from_input.reshape(4, -1), from_hidden.reshape(4, -1))
    per_row = any((rows != rows[:, :1]).any() for rows in by_gate)
    if not per_row:
        from_input, from_hidden = (rows[:, 0] for rows in by_gate)
    numbers: dict[str, int | str] = {
        "GATE_NIBBLES": int(nibbles),
        "GATE_ZERO": zero,
        "ROW_SCALES": int(per_row),
        "ONE_SCALE": int(one_scale),
        "CODES_FIT_BYTES": int(fit_bytes(codes, np.array([lstm.output.low, lstm.output.high]))),
    }
    return "\n\n".join(
        [
            defines(numbers),
            array("uint8_t", "gate_weights", weights),
            array("int32_t", "gate_bias", bias),
            array("int32_t", "from_input", from_input),
            *([] if one_scale else [array("int32_t", "from_hidden", from_hidden)]),
            *_tables(lstm),
            _ratio("kept", lstm.kept),
            _ratio("fresh", lstm.fresh),
            _ratio("shown", lstm.out),
        ]
    )


def _matrices(network: QuantClassifier) -> tuple[Whole, Whole]:
    """Return the weights of inputs (4 hidden, columns) and of hidden states (4 hidden, hidden)."""
    parts = [
        np.concatenate([whole(weight(network, f"lstm.weight_{g}.{part}").codes) for g in COLUMNS])
        for part in ("input", "hidden")
    ]
    return parts[0], parts[1]


def _bias(network: QuantClassifier) -> Whole:
    grid = grids(network)[network.input_sites[-1]]
    modules = gate_modules(network)
    scales = [weight(network, f"lstm.weight_{g}.input").scale for g in COLUMNS]
    return np.concatenate(
        [
            whole(bias_codes(modules[g].bias, grid, scale))
            for g, scale in zip(COLUMNS, scales, strict=True)
        ]
    )


def _in_nibbles(read: Whole, recurrent: Whole) -> bool:
    return fits_nibbles(read) and fits_nibbles(recurrent)


def _widened(matrix: Whole, columns: int) -> Whole:
    found = np.zeros((len(matrix), columns), dtype=np.int64)
    found[:, : matrix.shape[1]] = matrix
    return found


def _tables(lstm: IntegerLSTM) -> list[str]:
    names = [f"{'tanh' if name == 'cell' else 'sigmoid'}_{name}" for name in COLUMNS]
    found = [
        array("int16_t", name, whole(gate.table))
        for name, gate in zip(names, lstm.gates, strict=True)
    ]
    rows = [
        f"  {{{gate.shift}u, {gate.low}, {gate.high}, ck_{name}}}"
        for name, gate in zip(names, lstm.gates, strict=True)
    ]
    listed = ",\n".join(rows)
    return [
        *found,
        f"static const ck_gate ck_gates[4] = {{\n{listed}}};",
        array("int16_t", "tanh_codes", whole(lstm.squash)),
    ]


def _ratio(name: str, of: Requantizer) -> str:
    values = f"{of.multiplier}, {of.shift}u, {of.low}, {of.high}"
    return f"static const ck_ratio ck_{name} = {{{values}}};"
