"""The integer engine by the native kernels: the numbers of `calibkit.engine.integer`, sooner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from calibkit.engine.batches import Batch
from calibkit.engine.integer.decoder import IntegerDecoder
from calibkit.engine.integer.lstm import IntegerLSTM
from calibkit.engine.integer.powers import power_table
from calibkit.engine.native.layout import LANES, packed_matrix, packed_rows, whole_vectors
from calibkit.engine.native.library import Level, address, check_memory, levels, library

_GROUP = 8  # tokens per cache block, as in kernels.h
_FAR_BELOW = -(1 << 30)  # the logit of words that only fill up a vector


@dataclass(frozen=True)
class NativeIntegerLSTM(IntegerLSTM):
    """The integer LSTM; equal to its parent bit for bit. Raises BadInput without the extension.

    level: the instruction set, the fastest if not given.
    """

    level: Level | None = None

    @cached_property
    def _level(self) -> Level:
        return self.level or levels()[0]

    @cached_property
    def _matrix(self) -> tuple[Tensor, Tensor]:
        low = self.output.low
        return packed_matrix(self.hidden.codes, low=low, as_bytes=self._level.codes)

    @cached_property
    def _inputs(self) -> Tensor:
        """The table of input sums, flat, with a vector's overhang."""
        return _with_overhang(self.inputs.flatten())

    @cached_property
    def _multipliers(self) -> tuple[Tensor, Tensor]:
        """What units of both sums are worth, of all gates side by side."""
        of_inputs = torch.cat([gate.from_input for gate in self.gates])
        of_hidden = torch.cat([gate.from_hidden for gate in self.gates])
        return _with_overhang(of_inputs), _with_overhang(of_hidden)

    @cached_property
    def _tables(self) -> tuple[Tensor, ...]:
        tables = (*(gate.table for gate in self.gates), self.squash)
        return tuple(table.to(torch.int32) for table in tables)

    @cached_property
    def _numbers(self) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """Shifts and ranges in the order of `calibkit_integer_states`."""
        found = [n for gate in self.gates for n in (gate.shift, gate.low, gate.high)]
        found += [
            n for one in (self.kept, self.fresh, self.out) for n in (one.multiplier, one.shift)
        ]
        found += [self.cell.low, self.cell.high, self.out.low, self.out.high]
        return np.array(found, dtype=np.int32)

    def states(self, batch: Batch) -> Tensor:
        """Return the hidden states (total, hidden) of the batch's packed positions."""
        ids = batch.pack(batch.ids[:, :, None])[:, 0].contiguous()
        words = len(self.inputs)
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < words:
            raise IndexError(f"a token is outside the vocabulary of {words} words")
        active = np.array(batch.active, dtype=np.int64)
        found = torch.empty((batch.total, self.width), dtype=torch.float32)
        weights, start = self._matrix
        of_inputs, of_hidden = self._multipliers
        status = library().calibkit_integer_states(
            self._level.place,
            len(batch.rows),
            len(active),
            self.width,
            len(start),
            int(torch.equal(of_inputs, of_hidden)),
            address(active),
            address(ids),
            address(self._inputs),
            address(weights),
            address(start),
            address(of_inputs),
            address(of_hidden),
            address(self._numbers),
            *(address(table) for table in self._tables),
            self.output.step,
            address(found),
        )
        check_memory(status)
        return found


@dataclass(frozen=True)
class NativeIntegerDecoder(IntegerDecoder):
    """The integer decoder; equal to its parent bit for bit. Raises BadInput without the extension.

    level: the instruction set, the fastest if not given.
    """

    level: Level | None = None

    @cached_property
    def _level(self) -> Level:
        return self.level or levels()[0]

    @cached_property
    def _matrix(self) -> tuple[Tensor, Tensor]:
        return packed_matrix(self.matrix.codes, low=self._low, as_bytes=self._level.codes)

    @property
    def _low(self) -> int:
        return int(self.read.min())

    @cached_property
    def _by_word(self) -> tuple[Tensor, Tensor, Tensor]:
        """Units, tops and factors, filled up to whole vectors."""
        units = whole_vectors(self.units.values.to(torch.int32)[None])
        tops = whole_vectors(self.tops[None])
        tops[:, len(self.tops) :] = _FAR_BELOW
        return units, tops, whole_vectors(self.factors)

    @cached_property
    def _powers(self) -> Tensor:
        return torch.tensor(power_table(), dtype=torch.int32)

    def sums(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return (peaks (T,), totals (T, labels)), int64: sums of powers over the vocabulary."""
        count, labels = len(codes), len(self.factors)
        words, hidden = self.matrix.codes.shape
        filled = codes.new_full((-(-count // _GROUP) * _GROUP, hidden), self._low)
        filled[:count] = codes
        rows = packed_rows(filled, low=self._low, as_bytes=self._level.codes)
        peaks = torch.empty(len(rows), dtype=torch.int32)
        totals = torch.empty((len(rows), labels), dtype=torch.int64)
        weights, start = self._matrix
        library().calibkit_integer_sums(
            self._level.place,
            len(rows),
            hidden,
            words,
            labels,
            address(rows),
            address(weights),
            address(start),
            address(self._by_word[0]),
            self.units.shift,
            *(address(values) for values in self._by_word[1:]),
            address(self._powers),
            address(peaks),
            address(totals),
        )
        return peaks[:count].to(torch.int64), totals[:count]


def _with_overhang(values: Tensor) -> Tensor:
    """Return flat values as int32 with a vector of zeros behind, which kernels may read."""
    found = torch.zeros(len(values) + LANES, dtype=torch.int32)
    found[: len(values)] = values
    return found
