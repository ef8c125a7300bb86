from collections.abc import Callable
from pathlib import Path

import pytest

from calibkit.corpora.ingest import ingest
from calibkit.store.connection import Store


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
