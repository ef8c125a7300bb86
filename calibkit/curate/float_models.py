"""Trained float models as the store keeps them, with the checkpoints of their training."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calibkit.curate.encoding import Encoder, Library, artefacts_of
from calibkit.errors import BadInput, StoreDamaged
from calibkit.models.settings import ModelSettings
from calibkit.store.artefacts import Artefact

if TYPE_CHECKING:
    from calibkit.models.networks import Network

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelArtefact:
    """A trained float model: ``key`` names its artefact, ``id`` its content.

    name: what a recipe calls it, such as ``generative 0``, where there is one.
    """

    key: str
    id: str
    settings: ModelSettings
    name: str = field(default="", compare=False)

    @property
    def called(self) -> str:
        """What messages call it."""
        return self.name or f"{self.settings.kind} {self.id}"


def load_model(library: Library, model: ModelArtefact) -> Artefact:
    """Return a model's weights and configuration.

    Raises BadInput for a model that was trained on other text: it reads other token ids.
    """
    found = artefacts_of(library.store).load("model", model.key)
    vocabulary = Encoder.of(library, model.settings).vocabulary
    if vocabulary.id == found.config["vocabulary_id"]:
        return found
    raise BadInput(
        f"the model {model.id} has another vocabulary than corpus {library.corpus.name!r}, "
        f"version {library.corpus.version}, share {library.share:g}: it would read other words "
        "than those that are there; name a model trained on these documents (`calibkit list "
        "models` shows corpus and share), or give the model's --share"
    )


def network_of(found: Artefact) -> Network:
    """Return the float network of a model's artefact."""
    from calibkit.models.checkpoints import from_arrays, network_config

    return from_arrays(found.tensors, network_config(found.config))


def load_checkpoint(library: Library, model: ModelArtefact, epoch: int) -> Artefact:
    """Return a model's weights as they were after an epoch of its training (counted from 1).

    Raises BadInput, saying how to get it back, where the checkpoint is not there or is damaged.
    """
    shelf = artefacts_of(library.store)
    name = checkpoint_name(model.key, epoch)
    problem = f"there is no checkpoint {name} in {shelf.root}"
    if shelf.has("checkpoint", name):
        try:
            return shelf.load("checkpoint", name)
        except StoreDamaged as error:
            problem = str(error)
    raise BadInput(
        f"the weights of {model.called} after epoch {epoch} of {model.settings.epochs} are needed "
        f"to count misses, and {problem}. Training keeps them: move {shelf.root}/model/{model.key}"
        ".json away and evaluate the model's recipe again (`calibkit evaluate RECIPE`), which "
        "trains the same weights anew and keeps the checkpoints that are not there"
    )


def checkpoint_name(model_key: str, epoch: int) -> str:
    """Return the key of the artefact that holds a model's weights after an epoch."""
    return f"{model_key}-{epoch:03d}"
