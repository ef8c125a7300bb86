"""The Gram matrix of every document's inputs to the linear layer, in a few whitened directions.

What GPFQ and its kin read of the calibration documents is the Gram matrix of a layer's inputs
(`calibkit.engine.gram`), and that of a subset is the sum of those of its documents. In whitened
directions the pool's is a multiple of the identity, so that a subset's tells at a glance which
directions it neglects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calibkit.engine.batches import BATCH, Batch, batches
from calibkit.engine.float_pass import FloatModel
from calibkit.engine.gram import Sums
from calibkit.quantize.networks import Arrays
from calibkit.ragged import Ragged

DIRECTIONS = 32
"""The most directions that Gram matrices are projected on."""

MOST_NUMBERS = 1 << 26
"""Numbers in all matrices together (256 MB); more documents get fewer directions."""

FAINTEST = 1e-9
"""Directions with less of the strongest one's energy are rounding noise of float32."""


@dataclass(frozen=True)
class Whitening:
    """The map from inputs of the linear layer to the leading whitened directions of a pool.

    matrix: float64 (input, k); over the rows that it was made of, the mean of z z^T is the identity
    for z = matrix^T x. rows: how many these were. tokens: positions that the model read.
    """

    matrix: Tensor
    rows: int
    tokens: int


def document_grams(
    kind: str,
    arrays: Arrays,
    tokens: Ragged,
    *,
    most: int = DIRECTIONS,
    batch: int = BATCH,
    white: Whitening | None = None,
) -> NDArray[np.float32]:
    """Return the projected Gram matrix of each document: float32 (documents, k, k).

    The inputs are those of `calibkit.engine.gram.linear_gram`, float side. Generative: [h_t ; v_y]
    at every position t, with the mean over all labels y. Discriminative: the pooled vector, one a
    document, times the pool's mean number of tokens a document. So in both cases the matrices of
    all documents sum to the identity times the number of positions that the model reads (the last
    token of a document, which a language model only predicts, left out).

    k is at most ``most``, less for fewer directions than that or for very many documents
    (`MOST_NUMBERS`). Directions are those of most energy first. Two passes; independent of the
    documents' order, and of ``batch`` up to the rounding of float32 matrix products.

    white: the directions, by `directions`, where they are those of other documents.
    """
    white = white or directions(kind, arrays, tokens, most=most, batch=batch)
    model = FloatModel.of(kind, arrays)
    with torch.inference_mode():
        width = model.hidden_weight.shape[1]
        weight, shift = white.matrix[:width], _label_part(model, white.matrix[width:])
        k = white.matrix.shape[1]
        found = np.empty((len(tokens), k, k), dtype=np.float32)
        for one in batches(tokens, drop_last=model.label_vectors is not None, size=batch):
            inputs = _inputs(model, one).to(torch.float64) @ weight
            if shift is None:
                grams = inputs[:, :, None] * inputs[:, None, :] * (white.tokens / white.rows)
            else:
                grams = _beside(one, inputs, *shift)
            found[one.rows] = grams.numpy()
    return found


def directions(
    kind: str, arrays: Arrays, tokens: Ragged, *, most: int = DIRECTIONS, batch: int = BATCH
) -> Whitening:
    """Return the directions that `document_grams` projects on for a pool of documents."""
    room = max(1, math.isqrt(MOST_NUMBERS // max(1, len(tokens))))
    with torch.inference_mode():
        model = FloatModel.of(kind, arrays)
        return whitening(model, tokens, most=min(most, room), batch=batch)


def whitening(model: FloatModel, tokens: Ragged, *, most: int, batch: int = BATCH) -> Whitening:
    """Return the leading whitened directions of the linear layer's inputs over all documents."""
    sums, positions = Sums(), 0
    for one in batches(tokens, drop_last=model.label_vectors is not None, size=batch):
        inputs = _inputs(model, one)
        sums.add(inputs, inputs)
        positions += one.total
    vectors = model.label_vectors
    gram = sums.gram() if vectors is None else sums.beside(vectors, vectors)
    energy, directions = np.linalg.eigh(gram.quantized.numpy())
    energy, directions = energy[::-1][:most], directions[:, ::-1][:, :most]
    kept = energy > FAINTEST * energy[0]
    energy, directions = energy[kept], directions[:, kept]
    # an eigenvector's sign is anybody's choice
    peaks = directions[np.abs(directions).argmax(axis=0), np.arange(len(energy))]
    matrix = directions * (np.sign(peaks) / np.sqrt(energy))
    return Whitening(torch.from_numpy(np.ascontiguousarray(matrix)), sums.count, positions)


def _inputs(model: FloatModel, one: Batch) -> Tensor:
    """Return the h part of the linear layer's inputs: of every position, or pooled."""
    hidden = model.hidden(one)
    return hidden if model.label_vectors is not None else one.mean(hidden)


def _label_part(model: FloatModel, matrix: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return mean (k,) and mean Gram matrix (k, k) of the projected label vectors, if any."""
    if model.label_vectors is None:
        return None
    projected = model.label_vectors.to(torch.float64) @ matrix
    return projected.mean(0), projected.T @ projected / len(projected)


def _beside(one: Batch, inputs: Tensor, mean: Tensor, gram: Tensor) -> Tensor:
    """Return the sums over positions, means over labels, of z z^T, z = projected h + label part.

    inputs: projected h, packed (total, k). Returns (documents, k, k).
    """
    padded = one.pad(inputs)
    crossed = padded.sum(dim=1)[:, :, None] * mean
    return (
        padded.transpose(1, 2) @ padded
        + crossed
        + crossed.transpose(1, 2)
        + one.lengths[:, None, None] * gram
    )
