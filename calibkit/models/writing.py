"""Documents that the generative model writes: ancestral sampling, token by token, repeatable.

What a document says depends on the model, its label and its seed alone. Each document has random
numbers of its own, and sums come out the same in any order: products are of whole numbers, small
enough that double precision adds them exactly, and so are probabilities. Batches and threads
therefore change nothing but, very rarely, the last bit of a tanh or sigmoid (torch's vector and
scalar code), and documents that end make room for others in their batch.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from calibkit.errors import BadInput
from calibkit.identity import keyed_generator
from calibkit.models.networks import Generative
from calibkit.models.training import one_thread
from calibkit.ragged import Ragged

PAD, UNK, BOS, EOS = range(4)
"""The ids of what is no word; <eos> alone of them is ever written, as the end."""

_BLOCK = 128  # columns of the vocabulary that are added up before a drawn token is looked for


@torch.no_grad()
def write(
    model: Generative,
    labels: NDArray[np.integer],
    seeds: Sequence[int],
    *,
    most_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    batch: int = 64,
) -> Ragged:
    """Return one document per label id (n,) and seed: <bos>, 1 to ``most_tokens`` tokens, <eos>.

    Token t is drawn from p(x_t | x_<t, y) without <unk>, <pad>, <bos>, at first also without <eos>,
    and ends at <eos> or ``most_tokens``. temperature: the logits are divided by it; the nearer 0,
    the more certain the most probable token. top_p: only tokens of the nucleus are drawn, the
    fewest most probable ones whose probabilities sum to top_p or more (Holtzman et al., "The
    curious case of neural text degeneration", 2020); of equally probable ones the lowest id first.
    batch: documents that are written at one time; it changes the time only.

    Raises BadInput for settings outside their ranges, and for labels that the model does not have.
    """
    _check(model, labels, seeds, most_tokens, temperature, top_p)
    pen = _Pen(model, temperature)
    numbers = [keyed_generator(seed, "write") for seed in seeds]
    written: list[list[int]] = [[] for _ in seeds]
    waiting, begun = deque(range(len(seeds))), list[int]()
    states = pen.fresh(0)
    with one_thread():
        while begun or waiting:
            new = [waiting.popleft() for _ in range(min(batch - len(begun), len(waiting)))]
            begun += new
            last = [written[row][-1] if written[row] else BOS for row in begun]
            states = pen.read(states.followed_by(pen.fresh(len(new))), last)
            first = [not written[row] for row in begun]
            weights = pen.weights(states, labels[begun], first)
            going = []
            for place, token in enumerate(drawn(weights, top_p, [numbers[row] for row in begun])):
                text = written[begun[place]]
                text.append(token)
                if token != EOS and len(text) < most_tokens:
                    going.append(place)
            states, begun = states.at(going), [begun[place] for place in going]
    return Ragged.of([[BOS, *text, *([] if text[-1] == EOS else [EOS])] for text in written])


def drawn(weights: Tensor, top_p: float, numbers: Sequence[np.random.Generator]) -> list[int]:
    """Return one column per row of ``weights``, drawn in proportion to them from the nucleus.

    weights: float64 (B, V), whole numbers whose row sums are below 2^52; numbers: B generators,
    each asked for as many uniforms as its row takes.

    A column drawn from the whole row is kept if it is in the nucleus, that is, if what ranks
    before it is less than top_p of the row. Else what ranks before it is drawn from, which holds
    the whole nucleus: so nothing needs to be sorted.
    """
    padding = -weights.shape[1] % _BLOCK
    left = F.pad(weights, (0, padding)) if padding else weights
    columns = torch.arange(left.shape[1])
    total = left.sum(dim=1)
    enough = top_p * total
    found = torch.empty(len(left), dtype=torch.long)
    rows = torch.arange(len(left))
    while len(rows):
        uniform = [numbers[row].random() for row in rows.tolist()]
        chosen = _at(left, total, torch.tensor(uniform, dtype=torch.float64))
        found[rows] = chosen
        if top_p >= 1:
            break
        weight = left.gather(1, chosen[:, None])
        before, equal = left > weight, left == weight
        if int(equal.sum()) > len(rows):  # not the chosen ones alone
            before |= equal & (columns < chosen[:, None])
        left = left * before
        total = left.sum(dim=1)
        again = (total >= enough[rows]).nonzero()[:, 0]
        rows, left, total = rows[again], left[again], total[again]
    return [int(column) for column in found]


def _at(weights: Tensor, total: Tensor, uniform: Tensor) -> Tensor:
    """Return the column at which the running sum of each row passes ``uniform`` of its total."""
    aim = torch.minimum((uniform * total).floor_(), total - 1)
    blocks = weights.view(len(weights), -1, _BLOCK)
    running = F.pad(blocks.sum(dim=2).cumsum(dim=1), (1, 0))
    block = (running[:, 1:] <= aim[:, None]).sum(dim=1)
    rest = aim - running.gather(1, block[:, None])[:, 0]
    inside = blocks[torch.arange(len(weights)), block].cumsum(dim=1)
    return block * _BLOCK + (inside <= rest[:, None]).sum(dim=1)


class _Product:
    """x -> x W^T, exactly, where x is a whole number of ``step`` and W is put on such a grid.

    largest: no |x| is above it. Grids have as many steps as sums of in_features products of them
    fit into 52 bits: 2^22 up to the largest value for 100 features, the resolution of float32.
    """

    def __init__(self, weight: Tensor, largest: float) -> None:
        bits = (51 - weight.shape[1].bit_length()) // 2
        self.step = 2.0 ** (_exponent(largest) - bits)
        grid = 2.0 ** (_exponent(float(weight.abs().max())) - bits)
        self.weight = (_whole(weight, grid) * grid).t().contiguous()

    def steps(self, values: Tensor) -> Tensor:
        """Return values as the nearest whole multiples of the step."""
        return _whole(values, self.step) * self.step

    def __call__(self, values: Tensor) -> Tensor:
        return values @ self.weight


def _exponent(value: float) -> int:
    return int(np.frexp(value)[1])


def _whole(values: Tensor, step: float) -> Tensor:
    return torch.round(values.double() / step)


@dataclass(frozen=True)
class _States:
    """Hidden and cell state (B, H) of the documents that are being written."""

    hidden: Tensor
    cell: Tensor

    def followed_by(self, more: _States) -> _States:
        hidden, cell = torch.cat([self.hidden, more.hidden]), torch.cat([self.cell, more.cell])
        return _States(hidden, cell)

    def at(self, places: list[int]) -> _States:
        return _States(self.hidden[places], self.cell[places])


class _Pen:
    """The generative model, one step at a time, in exact sums."""

    def __init__(self, model: Generative, temperature: float) -> None:
        words, lstm = model.embedding.weight, dict(model.lstm.named_parameters())
        self.reading = _Product(lstm["weight_ih_l0"], float(words.abs().max()))
        self.recurrence = _Product(lstm["weight_hh_l0"], 1.0)
        self.decoding = _Product(model.state_columns(), 1.0)
        self.words = self.reading.steps(words)
        self.gate_bias = lstm["bias_ih_l0"].double() + lstm["bias_hh_l0"].double()
        vectors = model.label_embedding.weight
        label_columns = model.decoder.weight[:, model.lstm.hidden_size :]
        labelling = _Product(label_columns, float(vectors.abs().max()))
        biases = labelling(labelling.steps(vectors)) + model.decoder.bias.double()
        biases[:, [PAD, UNK, BOS]] = -math.inf
        padding = (0, -biases.shape[1] % _BLOCK)  # columns that are never drawn
        self.decoding.weight = F.pad(self.decoding.weight, padding)
        self.biases = F.pad(biases, padding, value=-math.inf)
        self.temperature = temperature
        self.largest = math.log(2.0) * (51 - self.biases.shape[1].bit_length())

    def fresh(self, count: int) -> _States:
        """Return the states of ``count`` documents of which nothing has been read."""
        none = torch.zeros(count, self.recurrence.weight.shape[0], dtype=torch.float64)
        return _States(none, none)

    def read(self, states: _States, tokens: list[int]) -> _States:
        """Return the states after one more token (B,) of each document."""
        gates = self.reading(self.words[tokens])
        gates.add_(self.recurrence(states.hidden)).add_(self.gate_bias)
        into, keep, new, out = gates.chunk(4, dim=1)
        cell = keep.sigmoid() * states.cell + into.sigmoid() * new.tanh()
        return _States(self.recurrence.steps(out.sigmoid() * cell.tanh()), cell)

    def weights(self, states: _States, labels: NDArray[np.integer], first: list[bool]) -> Tensor:
        """Return the probabilities of the next token as whole numbers, up to a factor.

        float64 (B, V'), V' being V rounded up to whole blocks. The largest is 2^(51 - bits of V'),
        of which smaller ones are a part, rounded down.
        """
        logits = self.decoding(states.hidden)
        logits.add_(self.biases[torch.from_numpy(labels.astype(np.int64))])
        logits[torch.tensor(first), EOS] = -math.inf
        logits.sub_(logits.amax(dim=1, keepdim=True))
        if self.temperature != 1:
            logits.div_(self.temperature)
        return logits.add_(self.largest).exp_().floor_()


def _check(
    model: Generative,
    labels: NDArray[np.integer],
    seeds: Sequence[int],
    most_tokens: int,
    temperature: float,
    top_p: float,
) -> None:
    if len(labels) != len(seeds):
        raise BadInput(f"{len(labels)} labels for {len(seeds)} seeds; give one each")
    known = model.label_embedding.num_embeddings
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < known:
        raise BadInput(
            f"labels run from {labels.min()} to {labels.max()}; the model has 0 to {known - 1}"
        )
    if most_tokens < 1:
        raise BadInput(f"most_tokens: {most_tokens} is not allowed; give 1 or more")
    if not (math.isfinite(temperature) and temperature > 0):
        raise BadInput(f"temperature: {temperature!r} is not allowed; give a number above 0")
    if not 0 < top_p <= 1:
        raise BadInput(f"top_p: {top_p!r} is not allowed; give a number above 0, up to 1")
