"""Stores with models and subsets, and networks made by hand with documents that they answered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from c_network import Exported, exported
from made_network import answered, frozen_network

from calibkit.curate.subsets import build_subset
from calibkit.export.network import Frozen, Tested
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


@pytest.fixture(scope="module")
def frozen(make_model: Any, make_documents: Any) -> Callable[..., tuple[Frozen, Tested]]:
    """Networks and answered documents, each made once."""
    known: dict[str, tuple[Frozen, Tested]] = {}

    def made(kind: str, *, bits: int = 4, shape: Any = None, **given: Any) -> tuple[Frozen, Tested]:
        key = repr((kind, bits, shape, given))
        if key not in known:
            model = make_model(kind, **(shape or {}))
            documents = make_documents(25, vocabulary=model.config["vocabulary"])
            network = frozen_network(model, documents, bits=bits, **given)
            known[key] = network, answered(network, documents)
        return known[key]

    return made


@pytest.fixture
def make(frozen: Callable[..., tuple[Frozen, Tested]], tmp_path: Path) -> Callable[..., Exported]:
    """Exports to C of such networks."""

    def made(kind: str, *, text: bool = False, name: str = "ck", **given: Any) -> Exported:
        network, tested = frozen(kind, **given)
        return exported(tmp_path, network, tested, name=name, text=text)

    return made
