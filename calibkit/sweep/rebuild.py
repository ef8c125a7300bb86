"""Measure a cell once more, from nothing but its documents and its float model's weights.

Everything else (vocabulary, token lists, noise, ranges) is made anew in a scratch folder, so what
the store keeps of it has no part in the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numpy.typing import NDArray

from calibkit.corpora.noise import corrupt_tokens
from calibkit.corpora.reading import Documents, documents, documents_by_id
from calibkit.corpora.vocabulary import Vocabulary
from calibkit.curate.encoding import artefacts_of
from calibkit.errors import StoreDamaged
from calibkit.ragged import Ragged
from calibkit.store.artefacts import Artefact, Artefacts
from calibkit.store.connection import Store
from calibkit.sweep.content import arithmetic_of
from calibkit.sweep.jobs import CellJob, Engine, ModelRef, NoiseLevel, Places, TestSet
from calibkit.sweep.origin import CellOrigin, Training

Tables = dict[str, list[dict[str, Any]]]
"""Rows by table, as they stand in a fragment."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Ingredients:
    """What a cell is made from: float model, vocabulary, test and calibration documents in order.

    model: the artefact with the float model's weights, which are those of its id.
    """

    training: Training
    model: Artefact
    vocabulary: Vocabulary
    tested: Documents
    subset: Documents


def measure_again(store: Store, origin: CellOrigin, *, engine: Engine, tell: Tell) -> Tables:
    """Return the rows that measuring a cell gives now; nothing in the store changes.

    tell: is told what is being done. Raises StoreDamaged where the float model's weights are lost
    or are not those that the cell was measured with, or the documents are not the same.
    """
    from calibkit.sweep.worker import work

    parts = ingredients(store, origin, tell=tell)
    with TemporaryDirectory(prefix="calibkit-verify-") as folder:
        places = Places(Path(folder) / "artefacts", Path(folder) / "fragments")
        shelf = Artefacts(places.artefacts)
        shelf.save("model", parts.training.key, parts.model.tensors, parts.model.config)
        job = _job(origin, parts, places, engine)
        tell(f"measuring {len(origin.test.doc_ids):,} documents, {len(origin.levels)} times")
        work(job, lambda facts: None)
        (fragment,) = places.fragments.glob("*.json")
        rows: Tables = json.loads(fragment.read_bytes())["rows"]
        return rows


def ingredients(store: Store, origin: CellOrigin, *, tell: Tell) -> Ingredients:
    """Return what a cell was made from, held against its ids.

    Raises StoreDamaged where the float model's weights are lost or are not those that the cell was
    measured with, or the documents are not the same.
    """
    training, model = _float_model(store, origin)
    tell(f"reading the documents of {origin.corpus.name}")
    with store.reading() as con:
        texts = documents(con, origin.corpus, "train", share=training.share).texts
        tested = documents_by_id(con, origin.corpus, origin.test.doc_ids)
        subset = documents_by_id(con, origin.corpus, origin.subset)
    settings = training.settings
    vocabulary = Vocabulary.build(texts, min_count=settings.min_count, most=settings.most_types)
    if vocabulary.id != training.vocabulary_id or tested.label_ids.tolist() != list(
        origin.test.label_ids
    ):
        raise StoreDamaged(
            f"the documents of corpus {origin.corpus.name!r}, version {origin.corpus.version}, are"
            f" not those that the cell {origin.cell_id} was measured with: rows of the table"
            " documents were changed. Put a backup of the store back"
        )
    return Ingredients(training, model, vocabulary, tested, subset)


def _float_model(store: Store, origin: CellOrigin) -> tuple[Training, Artefact]:
    """Return the weights of the float model, held against its id, and how they were trained."""
    from calibkit.models.checkpoints import model_id

    shelf = artefacts_of(store)
    for training in origin.trainings:
        if not shelf.has("model", training.key):
            continue
        found = shelf.load("model", training.key)
        config = {k: v for k, v in found.config.items() if k not in ("model_id", "row")}
        identity = model_id({name: array for name, array in found.tensors.items()}, config)
        if identity == origin.model_id:
            return training, found
        raise StoreDamaged(
            f"the artefact {training.key} in {shelf.root} holds the float model {identity}, and the"
            f" cell {origin.cell_id} was measured with {origin.model_id}; put that one back"
        )
    keys = " or ".join(training.key for training in origin.trainings)
    raise StoreDamaged(
        f"the weights of the float model {origin.model_id} are lost: {shelf.root}/model has no"
        f" {keys}, and without them the cell {origin.cell_id} cannot be measured again. Put them"
        " back from a backup, or evaluate the cell's recipe, which trains them anew when another"
        f" cell needs them (`calibkit recipe {origin.cell_id}` prints the recipe)"
    )


def _job(origin: CellOrigin, parts: Ingredients, places: Places, engine: Engine) -> CellJob:
    training, tested, settings = parts.training, parts.tested, parts.training.settings
    shelf = Artefacts(places.artefacts)

    def noisy(kind: str, level: float, seed: int) -> Ragged:
        found = corrupt_tokens(
            tested.texts,
            tested.ids,
            kind,
            level,
            seed,
            parts.vocabulary,
            most_tokens=settings.most_tokens,
        )
        return found.tokens

    levels = tuple(
        NoiseLevel(*level, _kept(shelf, f"test-{number}", noisy(*level), tested))
        for number, level in enumerate(origin.levels)
    )
    clean = _kept(shelf, "test-clean", noisy("none", 0.0, 0), tested)
    encoded = parts.vocabulary.encode(parts.subset.texts, most_tokens=settings.most_tokens)
    return CellJob(
        places=places,
        cell_id=origin.cell_id,
        model=ModelRef(training.key, origin.model_id, settings.kind),
        corpus_id=origin.corpus.corpus_id,
        subset_id=origin.subset_id,
        subset_tokens=_kept(shelf, "subset", encoded, parts.subset),
        scheme=origin.scheme.as_dict(),
        arithmetic=arithmetic_of(origin.scheme),
        test=TestSet(origin.test.id, len(origin.corpus.labels), levels, clean),
        distributions=origin.distributions,
        engine=engine,
        run_id="verify",
        host="",
    )


def _kept(shelf: Artefacts, key: str, tokens: Ragged, found: Documents) -> str:
    """Keep documents as a worker reads them; return their key."""
    flat: dict[str, NDArray[Any]] = {"ids": tokens.ids, "offsets": tokens.offsets}
    shelf.save("tokens", key, flat | {"labels": found.label_ids}, {})
    return key
