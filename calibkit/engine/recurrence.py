"""The hidden states of a quantized LSTM, and their gradients written out.

The numbers of `calibkit.engine.straight_through.StraightThrough`, and its gradients up to the
order of float32 sums. Its step loop lets torch keep a record of every operation; here a step keeps
its values in place, all slopes are found at once after the last step, and what is left of a step
backward are ten operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from calibkit.engine.batches import Batch
from calibkit.engine.mirror import COLUMNS
from calibkit.engine.quantizers import Quantizer
from calibkit.engine.straight_through import StraightThrough, fake_quantized


@dataclass(frozen=True)
class Grids:
    """The quantizers of one LSTM layer; accumulators and sigmoids side by side, in `COLUMNS`."""

    accumulator: Quantizer
    sigmoid: Quantizer
    tanh_cell: Quantizer
    cell: Quantizer
    tanh_hidden: Quantizer
    hidden: Quantizer


class Recurrence(torch.autograd.Function):
    """Packed hidden states from the input's part of the gates; see the module."""

    @staticmethod
    def forward(
        ctx: Any, products: Tensor, recurrent: Tensor, bias: Tensor, batch: Batch, grids: Grids
    ) -> Tensor:
        """Return the hidden states (total, width) of a batch's packed positions.

        products: (total, 4 width), what the input adds to the gates; recurrent: (4 width, width);
        bias: (4 width,). All on their grids.
        """
        width = recurrent.shape[1]
        total = batch.total
        sums, gates = products.new_empty((2, total, 4 * width)).unbind()
        names = ("fc", "ig", "c", "t", "h", "cq", "tq", "hq")
        room = products.new_empty((len(names), total, width))
        kept = dict(zip(names, room.unbind(), strict=True))
        opened = products.new_empty((total, 4 * width))
        hidden = cell = products.new_zeros((batch.active[0], width))
        columns, start = recurrent.t(), 0
        for count in batch.active:
            at = slice(start, start + count)
            start += count
            here = torch.mm(hidden[:count], columns, out=sums[at])
            here.add_(products[at]).add_(bias)
            here = _put(grids.accumulator, here, torch.empty_like(here))
            raw, on = opened[at], gates[at]
            torch.sigmoid(here[:, : 3 * width], out=raw[:, : 3 * width])
            torch.tanh(here[:, 3 * width :], out=raw[:, 3 * width :])
            _put(grids.sigmoid, raw[:, : 3 * width], on[:, : 3 * width])
            _put(grids.tanh_cell, raw[:, 3 * width :], on[:, 3 * width :])
            take, forget, show, candidate = on.chunk(4, dim=1)
            one = {name: value[at] for name, value in kept.items()}
            torch.mul(forget, cell[:count], out=one["fc"])
            torch.mul(candidate, take, out=one["ig"])
            kept_cell = _put(grids.cell, one["fc"], torch.empty_like(one["fc"]))
            new_cell = _put(grids.cell, one["ig"], torch.empty_like(one["ig"]))
            torch.add(kept_cell, new_cell, out=one["c"])
            cell = _put(grids.cell, one["c"], one["cq"])
            torch.tanh(cell, out=one["t"])
            squashed = _put(grids.tanh_hidden, one["t"], one["tq"])
            torch.mul(squashed, show, out=one["h"])
            hidden = _put(grids.hidden, one["h"], one["hq"])
        ctx.batch, ctx.grids, ctx.recurrent = batch, grids, recurrent
        ctx.sums, ctx.opened, ctx.gates, ctx.kept = sums, opened, gates, kept
        return kept["hq"].clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of products, recurrent weights and bias."""
        batch, recurrent = ctx.batch, ctx.recurrent
        of_gates, of_hidden, of_kept, of_cell = _slopes(ctx)
        outer = upstream[0]
        found = torch.empty_like(ctx.sums)
        width, start = recurrent.shape[1], batch.total
        to_hidden = to_cell = outer.new_zeros((0, width))
        for count in reversed(batch.active):
            start -= count
            at = slice(start, start + count)
            later = len(to_hidden)
            here = outer[at].clone()
            here[:later] += to_hidden
            cell = here * of_hidden[at]
            cell[:later] += to_cell
            cell *= of_cell[at]
            slopes, gates = of_gates[at], found[at].view(count, 4, width)
            torch.mul(slopes, cell[:, None], out=gates)
            torch.mul(slopes[:, 2], here, out=gates[:, 2])  # the output gate acts on h alone
            to_hidden = found[at] @ recurrent
            to_cell = cell * of_kept[at]
        to_recurrent = found.t() @ batch.before(ctx.kept["hq"])
        return found, to_recurrent, found.sum(dim=0), None, None


def _slopes(ctx: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what a step multiplies gradients with, for all positions.

    of_gates (total, 4, width): from the cell state (the output gate: from h) to the accumulators;
    of_hidden: from h to the cell state; of_kept: from the cell state to the one before; of_cell:
    of its quantizer. (total, width) each.
    """
    grids, kept, opened, gates = ctx.grids, ctx.kept, ctx.opened, ctx.gates
    width = kept["h"].shape[1]
    take, forget, show, candidate = gates.chunk(4, dim=1)
    sigmoids, tanh = opened[:, : 3 * width], opened[:, 3 * width :]
    slopes = _inside(grids.accumulator, ctx.sums)
    slopes[:, : 3 * width] *= _inside(grids.sigmoid, sigmoids) * (sigmoids * (1 - sigmoids))
    slopes[:, 3 * width :] *= _inside(grids.tanh_cell, tanh) * (1 - tanh * tanh)
    slopes = slopes.view(-1, 4, width)
    in_new, in_kept = _inside(grids.cell, kept["ig"]), _inside(grids.cell, kept["fc"])
    in_hidden = _inside(grids.hidden, kept["h"])
    slopes[:, 0] *= in_new * candidate
    slopes[:, 1] *= in_kept * ctx.batch.before(kept["cq"])
    slopes[:, 2] *= in_hidden * kept["tq"]
    slopes[:, 3] *= in_new * take
    squashed = kept["t"]
    of_squashed = _inside(grids.tanh_hidden, squashed) * (1 - squashed * squashed)
    return slopes, in_hidden * show * of_squashed, in_kept * forget, _inside(grids.cell, kept["c"])


def _put(grid: Quantizer, values: Tensor, out: Tensor) -> Tensor:
    """Quantize and dequantize values into another tensor, which is returned."""
    torch.div(values, grid.scale, out=out)
    return out.round_().clamp_(grid.low, grid.high).mul_(grid.scale)  # type: ignore[arg-type]


def _inside(grid: Quantizer, values: Tensor) -> Tensor:
    """Return 1 where a value is in a quantizer's range, else 0."""
    units = values / grid.scale
    return ((units >= grid.low - 0.5) & (units <= grid.high + 0.5)).to(values.dtype)


class FastStraightThrough(StraightThrough):
    """`StraightThrough` with `Recurrence` for its step loop.

    Not in its place: what was fine-tuned on streams with the one loop stays what it was.
    """

    def states(self, batch: Batch) -> Tensor:
        """Return the hidden states (total, hidden) of the batch's packed positions."""
        ids = batch.pack(batch.ids[:, :, None])[:, 0]
        words, places = torch.unique(ids, return_inverse=True)
        scale, top = self.scales["embedding"], self.top["embedding"]
        steps = scale[words] if scale.ndim else scale
        rows = fake_quantized(self.weights["embedding"][words], steps, -top, top)
        for site in self.input_sites:  # on the few words that there are
            rows = self._on(site, rows)
        weight = torch.cat([self._weight(f"lstm.weight_{gate}") for gate in COLUMNS])
        read = self.input_sites[-1]
        bias = torch.cat([self._bias(f"lstm.weight_{gate}", read) for gate in COLUMNS])
        products = (rows @ weight[:, : self.embedding_width].T)[places]
        grids = Grids(
            self.accumulator,
            self.sigmoid,
            self.quantizers["lstm.tanh_cell"],
            self.quantizers["lstm.cell"],
            self.quantizers["lstm.tanh_hidden"],
            self.quantizers["lstm.io"],
        )
        recurrent = weight[:, self.embedding_width :]
        found: Tensor = Recurrence.apply(  # type: ignore[no-untyped-call]
            products, recurrent, bias, batch, grids
        )
        return found
