"""Studies in the states that a page meets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_study import RECIPE, made_recipe, make_study

from calibkit.recipe import Recipe
from calibkit.store import Store

Made = tuple[Store, Recipe]


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a store without rows."""
    store = Store(tmp_path_factory.mktemp("empty") / "made.duckdb")
    with store.writing():
        pass
    return store.path.read_bytes()


def new_store(folder: Path, empty: bytes) -> Store:
    path = folder / "made.duckdb"
    path.write_bytes(empty)
    return Store(path)


@pytest.fixture
def made(tmp_path: Path, empty: bytes) -> Callable[..., Made]:
    """Make a store with a study; what is given goes to ``make_study``."""

    def make(text: str = RECIPE, draws: int = 6, *args: Any, **options: Any) -> Made:
        store, recipe = new_store(tmp_path, empty), made_recipe(text, draws)
        make_study(store, recipe, *args, **options)
        return store, recipe

    return make


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, empty: bytes) -> Made:
    """A finished study with noise and names that want to be code; never to be changed."""
    store, recipe = new_store(tmp_path_factory.mktemp("whole"), empty), made_recipe()
    make_study(store, recipe)
    return store, recipe


@pytest.fixture(scope="session")
def page(whole: Made) -> str:
    """The page of that study."""
    from calibkit.report.page import make_page

    return make_page(*whole)
