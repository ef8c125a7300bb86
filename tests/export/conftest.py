"""A store with models, documents chosen from it, and documents that a generator made."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from calibkit.curate.subsets import build_subset
from calibkit.policies import make_policy
from calibkit.store import Store


@pytest.fixture(scope="module")
def modelled(modelled_store: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store, the store that it is a copy of, and the id of a subset of made documents."""
    path = tmp_path_factory.mktemp("export") / "store.duckdb"
    shutil.copyfile(modelled_store.path, path)
    shutil.copytree(f"{modelled_store.path}.d", f"{path}.d")
    store = Store(path)
    made = build_subset(
        store, "made", make_policy("noise-mix", {"level": 0.5}), size=12, seed=3
    ).subset_id
    return store, modelled_store, made


@pytest.fixture
def store(modelled: Any) -> Store:
    return modelled[0]


@pytest.fixture(params=["chosen", "made"])
def subset(modelled: Any, request: pytest.FixtureRequest) -> str:
    """Documents of the training split, and documents that noise-mix made."""
    return modelled[1].subset if request.param == "chosen" else modelled[2]
