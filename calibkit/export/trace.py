"""What every quantizer of the integer engine gives for one document, in the order of the data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine.integer import IntegerClassifier
from calibkit.engine.integer.fixed_point import rescaled
from calibkit.engine.integer.grids import grids
from calibkit.engine.integer.lstm import SQUASHED, input_codes
from calibkit.engine.mirror import COLUMNS
from calibkit.export.network import Frozen, Whole, whole


def traced_sites(frozen: Frozen) -> tuple[str, ...]:
    """Return the sites in the order of the data; their places are the numbers in driver.c."""
    last = "classifier" if frozen.kind == "discriminative" else "decoder"
    return (
        frozen.network.input_sites[-1],
        *(f"lstm.acc_{gate}" for gate in COLUMNS),
        *(SQUASHED[gate] for gate in COLUMNS),
        "lstm.cell",
        "lstm.tanh_hidden",
        "lstm.io",
        f"{last}.input",
        last,
    )


def trace(frozen: Frozen, ids: NDArray[np.int32]) -> Iterator[tuple[int, int, Whole]]:
    """Yield (step, place of the site, values) of one document <bos> .. <eos>, step by step.

    Values are codes by unit; the last site has a score by label: the logit of a whole document,
    or what the next token adds to each label's score.
    """
    generative = frozen.kind == "generative"
    known = torch.from_numpy(ids.astype(np.int64))
    steps = len(known) - 1 if generative else len(known)
    inputs = whole(input_codes(frozen.network, grids(frozen.network))[known])
    sums = torch.zeros((1, frozen.lstm.width), dtype=torch.int64)
    hidden, cell = torch.zeros_like(sums), torch.zeros_like(sums)
    for step in range(steps):
        yield step, 0, inputs[step]
        codes: list[Tensor] = []
        for at, gate in enumerate(frozen.lstm.gates):
            rows = slice(at * frozen.lstm.width, (at + 1) * frozen.lstm.width)
            of_input = frozen.lstm.inputs[known[step], rows].to(torch.int64)[None]
            of_hidden = frozen.lstm.hidden(hidden, words=rows)
            both = of_input * gate.from_input + of_hidden * gate.from_hidden
            sum_codes = rescaled(both, gate.shift).clamp_(gate.low, gate.high)
            yield step, 1 + at, whole(sum_codes[0])
            codes.append(gate.table[sum_codes - gate.low])
        for at, found in enumerate(codes):
            yield step, 5 + at, whole(found[0])
        taken, forget, shown, candidate = codes
        cell = frozen.lstm.kept(forget * cell) + frozen.lstm.fresh(taken * candidate)
        cell = cell.clamp_(frozen.lstm.cell.low, frozen.lstm.cell.high)
        squashed = frozen.lstm.squash[cell - frozen.lstm.cell.low]
        hidden = frozen.lstm.out(shown * squashed)
        for at, found in enumerate((cell, squashed, hidden)):
            yield step, 9 + at, whole(found[0])
        sums += hidden
        if not isinstance(frozen.head, IntegerClassifier):
            read = frozen.head.read[hidden - frozen.head.output.low]
            yield step, 12, whole(read[0])
            yield step, 13, whole(frozen.head.token_scores(read, known[step + 1 : step + 2])[0])
    if isinstance(frozen.head, IntegerClassifier):
        lengths = torch.tensor([steps])
        yield steps, 12, whole(frozen.head.input_codes(sums, lengths)[0])
        yield steps, 13, whole(frozen.head.logits_of(sums, lengths)[0])
