"""What a float model sees of the documents of a pool, and says about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibkit.curate.encoding import Encoder
from calibkit.curate.features import Features
from calibkit.curate.float_models import ModelArtefact, load_model, network_of
from calibkit.ragged import Ragged
from calibkit.store.artefacts import Artefact

Rows = NDArray[Any]


def hidden(features: Features, model: ModelArtefact) -> Rows:
    """Return the mean hidden state over a document's tokens: float32 (documents, hidden)."""

    def compute(found: Artefact, tokens: Ragged) -> Rows:
        from calibkit.models.scoring import hidden as mean_states

        return mean_states(network_of(found), tokens)

    return looked(features, model, "hidden", compute)


def ranges(features: Features, model: ModelArtefact) -> Rows:
    """Return smallest and largest value at each activation site: float32 (documents, sites, 2).

    See `calibkit.engine.documents.document_ranges`.
    """

    def compute(found: Artefact, tokens: Ragged) -> Rows:
        from calibkit.engine.documents import document_ranges

        return document_ranges(model.settings.kind, found.tensors, tokens)

    return looked(features, model, "ranges", compute)


def moments(features: Features, model: ModelArtefact) -> Rows:
    """Return sums of the values at each activation site: float32 (documents, sites, columns).

    See `calibkit.engine.documents.document_moments`.
    """

    def compute(found: Artefact, tokens: Ragged) -> Rows:
        from calibkit.engine.documents import document_moments

        return document_moments(model.settings.kind, found.tensors, tokens)

    return looked(features, model, "moments", compute)


def grams(features: Features, model: ModelArtefact) -> Rows:
    """Return Gram matrices of the linear layer's inputs: float32 (documents, k, k).

    See `calibkit.engine.document_grams.document_grams`.
    """

    def compute(found: Artefact, tokens: Ragged) -> Rows:
        from calibkit.engine.document_grams import document_grams

        return document_grams(model.settings.kind, found.tensors, tokens)

    return looked(features, model, "gram", compute)


def margins(features: Features, model: ModelArtefact) -> Rows:
    """Return the best minus the second best log score of a label, nats: float32 (documents,)."""

    def compute(found: Artefact, tokens: Ragged) -> Rows:
        from calibkit.models.scoring import score

        best = np.sort(score(network_of(found), tokens).log_scores, axis=1)[:, -2:]
        return (best[:, 1] - best[:, 0]).astype(np.float32)

    return looked(features, model, "margins", compute)


def looked(
    features: Features,
    model: ModelArtefact,
    need: str,
    compute: Callable[[Artefact, Ragged], Rows],
    *,
    also: tuple[object, ...] = (),
) -> Rows:
    """Return what ``compute`` makes of a model and the pool's documents as its tokens, kept.

    also: what the result depends on beside the model's content, the documents and ``need``.
    """

    def make() -> Rows:
        found = load_model(features.library, model)
        tokens = Encoder.of(features.library, model.settings).encode(features.texts)
        with one_thread():
            return compute(found, tokens)

    about = f"through {model.called}: {need}"
    return features.kept([need, model.id, *also], make, about=about)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch and every BLAS compute on one thread: threads change the last digits."""
    from threadpoolctl import threadpool_limits

    from calibkit.models.training import one_thread as of_torch

    with of_torch(), threadpool_limits(limits=1):
        yield
