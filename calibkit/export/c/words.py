"""What is stored of every word: the codes that the LSTM reads, in as few bits as they take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from calibkit.engine.integer.fixed_point import LARGEST_RATIO, Multipliers, rescaled
from calibkit.engine.integer.grids import grids, weight
from calibkit.engine.integer.lstm import input_codes
from calibkit.export.c.literals import array, defines, stream, width_of
from calibkit.export.network import Whole, whole
from calibkit.quantize.networks import QuantClassifier

_SCALE_BYTES = 4


@dataclass(frozen=True)
class Words:
    """Symbols (words, columns) of ``bits`` each, and how they become codes.

    Symbol s of a word is the code ``codes[s]``; with scales it is the weight s + low, which times
    the word's scale / 2^shift is a place in codes, counted from ``first``.
    """

    symbols: Whole
    bits: int
    codes: Whole
    scales: Whole | None = None
    shift: int = 0
    low: int = 0
    first: int = 0

    @property
    def size(self) -> int:
        """Bytes that the symbols and scales take."""
        words, columns = self.symbols.shape
        packed: int = -(-columns * self.bits // 8)
        return int(words) * (packed + _SCALE_BYTES * (self.scales is not None))

    def decoded(self) -> Whole:
        """Return the codes (words, columns), as the C finds them."""
        if self.scales is None:
            codes: Whole = self.codes[self.symbols]
            return codes
        products = torch.from_numpy((self.symbols + self.low) * self.scales[:, None])
        places = rescaled(products, self.shift).numpy() - self.first
        found: Whole = self.codes[np.clip(places, 0, len(self.codes) - 1)]
        return found

    def constants(self) -> str:
        """Return the definitions that the C reads words by."""
        rows, row_bytes = stream([(self.symbols, self.bits)])
        numbers: dict[str, int | str] = {
            "SYMBOL_BITS": f"{self.bits}u",
            "WORD_BYTES": f"{row_bytes}u",
            "WORD_SCALES": int(self.scales is not None),
        }
        found = [array("uint8_t", "words", rows), array("int16_t", "input_codes", self.codes)]
        if self.scales is not None:
            numbers |= {"SYMBOL_LOW": self.low, "WORD_SHIFT": f"{self.shift}u"}
            numbers |= {"WORD_LOW": self.first, "WORD_HIGH": self.first + len(self.codes) - 1}
            found.append(array("int32_t", "word_scales", self.scales))
        return "\n\n".join([defines(numbers), *found])


def read_words(network: QuantClassifier) -> tuple[Words, Whole]:
    """Return what to store of a network's words, and their input codes (words, columns).

    The codes themselves, numbered by how many different ones there are; or, where that is
    smaller and gives the very same codes, the embedding's weights with a scale a word.
    """
    codes = whole(input_codes(network, grids(network)))
    different, symbols = np.unique(codes, return_inverse=True)
    symbols = symbols.reshape(codes.shape).astype(np.int64)
    found = Words(symbols, width_of(symbols), different)
    scaled = _by_scales(network, codes)
    if scaled is not None and scaled.size < found.size:
        found = scaled
    return found, codes


def _by_scales(network: QuantClassifier, codes: Whole) -> Words | None:
    """Return the embedding's weights with a scale a word, if they lead to exactly these codes."""
    first, *then = (grids(network)[name] for name in network.input_sites)
    table = torch.arange(first.low, first.high + 1)
    for grid, before in zip(then, (first, *then), strict=False):
        table = grid.codes(table.to(torch.float32) * before.scale)
    layer = weight(network, "embedding")
    ratios = np.minimum(layer.steps / first.step, LARGEST_RATIO)
    scales = Multipliers.of(ratios, "input")
    weights = whole(layer.codes)
    low = int(weights.min())
    symbols = weights - low
    found = Words(
        symbols, width_of(symbols), whole(table), whole(scales.values), scales.shift, low, first.low
    )
    return found if np.array_equal(found.decoded(), codes) else None
