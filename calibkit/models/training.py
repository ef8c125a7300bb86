"""Training of a float classifier: the one place where torch is seeded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from calibkit.errors import BadInput
from calibkit.identity import keyed_generator
from calibkit.models.batches import Batch, checked, padded, shuffled
from calibkit.models.checkpoints import load_arrays, to_arrays
from calibkit.models.likelihood import grouped_token_loss
from calibkit.models.networks import Discriminative, Generative, Network, build
from calibkit.models.scoring import score
from calibkit.models.settings import ModelSettings
from calibkit.ragged import Ragged

MOST_CHECKPOINTS = 12


@dataclass(frozen=True)
class EpochReport:
    """One pass over the training documents.

    epoch counts from 1; train_loss in nats a document (discriminative) or a token (generative),
    with dropout on; valid_nll in nats a document, of the true label; seconds of wall time,
    validation included.
    """

    epoch: int
    epochs: int
    train_loss: float
    valid_accuracy: float
    valid_nll: float
    seconds: float


@dataclass(frozen=True)
class Trained:
    """A trained classifier (on the CPU, evaluation mode) and how it came to be.

    best_epoch counts from 1. checkpoints[i] holds the weights after epoch checkpoint_epochs[i]:
    every epoch, or 12 evenly spaced ones, first and last included, where there were more.
    """

    model: Network
    epochs: list[EpochReport]
    best_epoch: int
    checkpoints: list[dict[str, NDArray[np.float32]]]
    checkpoint_epochs: tuple[int, ...]


def train(
    settings: ModelSettings,
    tokens: Ragged,
    labels: NDArray[np.integer],
    valid_tokens: Ragged,
    valid_labels: NDArray[np.integer],
    labels_count: int,
    vocabulary_size: int,
    seed: int,
    *,
    device: str = "cpu",
    progress: Callable[[EpochReport], None] | None = None,
) -> Trained:
    """Return a classifier trained on (tokens, labels), the epoch chosen on the valid documents.

    Chosen is the epoch of highest valid accuracy (then lowest NLL, then the earliest) for a
    discriminative model, of lowest valid NLL for a generative one, whose loss it is.

    Adam, gradient norm clipped, batches of documents of similar length in an order keyed by the
    seed and the epoch. Runs on one thread and draws from a generator of its own, so the same input
    gives the same weights on one machine; torch's thread count and random state are left as they
    were. On CUDA equal weights are not promised.

    Raises BadInput for fewer than two labels, a label without training documents, no valid
    documents, or token ids outside the vocabulary.
    """
    _check(tokens, labels, labels_count, vocabulary_size, "training")
    _check(valid_tokens, valid_labels, labels_count, vocabulary_size, "valid")
    counts = np.bincount(labels, minlength=labels_count)
    if (counts == 0).any():
        raise BadInput(
            f"label {int(counts.argmin())} (of 0 to {labels_count - 1}) has no training document; "
            "add documents of that label, leave the label out, or take a larger share"
        )
    kept = kept_epochs(settings.epochs)
    best: tuple[tuple[float, ...], int, dict[str, NDArray[np.float32]]] | None = None
    reports: list[EpochReport] = []
    checkpoints: list[dict[str, NDArray[np.float32]]] = []
    with torch.enable_grad(), one_thread(), _seeded(seed, device):
        model = build(settings, vocabulary_size, labels_count)
        if isinstance(model, Generative):
            _start(model, tokens, counts if settings.prior == "train" else None)
        model.to(device)
        adam = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)
        for epoch in range(1, settings.epochs + 1):
            started = time.perf_counter()
            order = keyed_generator(seed, "training", f"epoch {epoch}")
            loss = _epoch(model, adam, settings, tokens, labels, order)
            scores = score(model, valid_tokens)
            report = EpochReport(
                epoch=epoch,
                epochs=settings.epochs,
                train_loss=loss,
                valid_accuracy=float((scores.predicted == valid_labels).mean()),
                valid_nll=float(scores.nll(valid_labels).mean()),
                seconds=time.perf_counter() - started,
            )
            reports.append(report)
            arrays = to_arrays(model)[0]
            if epoch in kept:
                checkpoints.append(arrays)
            rank = _rank(model, report)
            if best is None or rank < best[0]:
                best = (rank, epoch, arrays)
            if progress is not None:
                progress(report)
    assert best is not None  # settings.epochs is at least 1
    model.to("cpu").eval()
    load_arrays(model, best[2])
    return Trained(model, reports, best[1], checkpoints, kept)


@torch.no_grad()
def _start(model: Generative, tokens: Ragged, counts: NDArray[np.integer] | None) -> None:
    """Set the label prior, and the decoder's bias to the log frequencies of the words.

    Starting from the unigram distribution saves the steps that would go into learning it.
    """
    if counts is not None:
        model.log_prior.copy_(torch.from_numpy(np.log(counts / counts.sum())))
    words = np.bincount(tokens.ids, minlength=model.decoder.out_features) + 1.0
    words[tokens.ids[tokens.offsets[:-1]]] = 1.0  # <bos> is read, never predicted
    model.decoder.bias.copy_(torch.from_numpy(np.log(words / words.sum())))


def _rank(model: Network, report: EpochReport) -> tuple[float, ...]:
    if isinstance(model, Generative):
        return (report.valid_nll,)
    return (-report.valid_accuracy, report.valid_nll)


def kept_epochs(epochs: int) -> tuple[int, ...]:
    """Return the epochs, counted from 1, after which a training of so many keeps its weights."""
    if epochs <= MOST_CHECKPOINTS:
        return tuple(range(1, epochs + 1))
    return tuple(int(e) for e in np.linspace(1, epochs, MOST_CHECKPOINTS).round())


def _epoch(
    model: Network,
    adam: torch.optim.Adam,
    settings: ModelSettings,
    tokens: Ragged,
    labels: NDArray[np.integer],
    order: np.random.Generator,
) -> float:
    """Run one pass over the training documents and return the mean loss."""
    model.train()
    total, count = 0.0, 0
    for part in shuffled(tokens, settings.batch, order):
        adam.zero_grad(set_to_none=True)
        if isinstance(model, Discriminative):
            loss, size = _label_loss(model, part, labels)
        else:
            loss, size = _token_loss(model, tokens, part, labels)
        (loss / size).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        adam.step()
        total += float(loss.detach())
        count += size
    return total / count


def _label_loss(
    model: Discriminative, part: Batch, labels: NDArray[np.integer]
) -> tuple[Tensor, int]:
    """Return the summed cross-entropy of the labels, and the number of documents."""
    device = model.embedding.weight.device
    logits = model(torch.from_numpy(part.ids).to(device), torch.from_numpy(part.lengths).to(device))
    wanted = torch.from_numpy(labels[part.rows].astype(np.int64)).to(device)
    return F.cross_entropy(logits, wanted, reduction="sum"), len(part.rows)


def _token_loss(
    model: Generative, tokens: Ragged, part: Batch, labels: NDArray[np.integer]
) -> tuple[Tensor, int]:
    """Return the summed cross-entropy of the tokens under their labels, and their number."""
    device = model.embedding.weight.device
    grouped = padded(tokens, part.rows[np.argsort(labels[part.rows], kind="stable")])
    positions = grouped.positions(last=False)
    states = model.dropout(model.states(torch.from_numpy(grouped.ids[:, :-1]).to(device)))
    rows, columns = np.divmod(positions, grouped.ids.shape[1])
    flat = torch.from_numpy(rows * states.shape[1] + columns).to(device)
    real = states.reshape(-1, states.shape[2]).index_select(0, flat)
    present, inverse = np.unique(labels[grouped.rows], return_inverse=True)
    sizes = np.bincount(inverse, weights=grouped.lengths - 1).astype(int)
    loss = grouped_token_loss(
        real,
        model.state_columns(),
        model.label_biases(),
        torch.from_numpy(grouped.ids.reshape(-1)[positions + 1]).to(device),
        tuple(zip(present.tolist(), sizes.tolist(), strict=True)),
    )
    return loss, len(positions)


def _check(
    tokens: Ragged, labels: NDArray[np.integer], labels_count: int, vocabulary_size: int, what: str
) -> None:
    if labels_count < 2:
        raise BadInput(f"{labels_count} label: a classifier needs at least 2 labels")
    if len(tokens) == 0:
        raise BadInput(f"there is no {what} document; a model needs at least one")
    if len(labels) != len(tokens):
        raise BadInput(f"{len(labels)} labels for {len(tokens)} {what} documents; give one each")
    if not 0 <= int(labels.min()) <= int(labels.max()) < labels_count:
        raise BadInput(
            f"{what} labels run from {labels.min()} to {labels.max()}; "
            f"allowed are 0 to {labels_count - 1}"
        )
    checked(tokens, vocabulary_size)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread: sums shared out among threads differ in their last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """Draw initial weights and dropout from the seed; restore torch's random state afterwards."""
    on_cuda = torch.device(device).type == "cuda"
    state = int(keyed_generator(seed, "training", "weights").integers(2**62))
    with torch.random.fork_rng(devices=[torch.device(device)] if on_cuda else []):
        torch.default_generator.manual_seed(state)
        if on_cuda:
            torch.cuda.manual_seed_all(state)
        yield
