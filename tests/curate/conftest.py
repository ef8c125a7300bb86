from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from calibkit.corpora.ingest import ingest
from calibkit.corpora.reading import find_corpus
from calibkit.curate.encoding import Encoder, Library, artefacts_of
from calibkit.curate.features import Features
from calibkit.curate.float_models import ModelArtefact, checkpoint_name
from calibkit.models.settings import settings_from
from calibkit.store.connection import Store

if TYPE_CHECKING:
    from tests.conftest import HandMade


@pytest.fixture(scope="session")
def corpus_store(
    tmp_path_factory: pytest.TempPathFactory, make_corpus_files: Callable[..., dict[str, Path]]
) -> Path:
    """A store with the corpus ``made``; some training documents also stand in test."""
    folder = tmp_path_factory.mktemp("curate")
    files = make_corpus_files(folder, {"train": 150, "valid": 30, "test": 45})
    leaked = files["test"].read_text().splitlines()[1:4]
    with files["train"].open("a") as file:
        file.write("\n".join([*leaked, '"' + "long " * 200 + '",sky', ""]))
    ingest(Store(folder / "store.duckdb"), "made", **files)
    return folder / "store.duckdb"


@pytest.fixture
def store(corpus_store: Path, tmp_path: Path) -> Store:
    """A store of this test's own."""
    copy = tmp_path / "store.duckdb"
    copy.write_bytes(corpus_store.read_bytes())
    return Store(copy)


EPOCHS = 3


@pytest.fixture
def trained(store: Store, make_model: Callable[..., HandMade]) -> dict[str, ModelArtefact]:
    """Models of both kinds with their checkpoints, as if trained for three epochs, by kind."""
    with store.reading() as con:
        library = Library(store, find_corpus(con, "made"), 1.0)
    shelf, found = artefacts_of(store), {}
    sizes = {"hidden": 8, "embedding": 6, "min_count": 1, "epochs": EPOCHS}
    for kind in ("discriminative", "generative"):
        settings = settings_from(kind, sizes)
        words = Encoder.of(library, settings).vocabulary
        told = {"vocabulary_id": words.id, "labels_in_order": list(library.corpus.labels)}
        key = f"k1-{kind}"
        for epoch in range(1, EPOCHS + 1):
            made = make_model(
                kind, seed=epoch, vocabulary=len(words), hidden=8, embedding=6, gain=1.0
            )
            name = checkpoint_name(key, epoch)
            shelf.save("checkpoint", name, made.arrays, made.config | told | {"epoch": epoch})
        shelf.save("model", key, made.arrays, made.config | told)
        found[kind] = ModelArtefact(key, f"m1-{kind}", settings, f"{kind} 0")
    return found


@pytest.fixture
def features(store: Store) -> Features:
    """The training documents of the corpus."""
    with store.reading() as con:
        return Features(Library(store, find_corpus(con, "made"), 1.0), "train")
