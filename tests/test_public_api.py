"""What programs and notebooks may rely on."""

from __future__ import annotations

import datetime
import subprocess
import sys
from decimal import Decimal

import pytest

import calibkit
from calibkit import Policy, Recipe, Store
from calibkit.errors import BadInput
from calibkit.store import insert
from calibkit.table import MOST_SHOWN, Table, arrow_table

RECIPE = """\
calibkit: 1
name: tiny
about: <b>bold</b> claims
corpus: {name: toy}
models: {generative: {}}
policies: {random: {use: random}}
grid: {model: [generative], policy: [random], size: [16], seed: [0, 1], bits: [8, 4]}
"""


def test_the_names_are_these_and_no_others():
    assert calibkit.__all__ == ["Policy", "Recipe", "Store", "__version__"]
    assert {name: getattr(calibkit, name).__module__ for name in calibkit.__all__[:3]} == {
        "Policy": "calibkit.policies.base",
        "Recipe": "calibkit.recipe.recipe",
        "Store": "calibkit.store.connection",
    }
    assert set(calibkit.__all__) <= set(dir(calibkit))
    with pytest.raises(AttributeError, match="Stor"):
        calibkit.Stor  # noqa: B018


def test_importing_calibkit_imports_next_to_nothing():
    script = (
        "import sys, calibkit; print(sorted({'duckdb', 'torch', 'numpy', 'pydantic', 'yaml'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path / "s.duckdb")
    with store.writing() as con:
        rows = [dict(corpus_id=f"c1-{n}", name=f"<{n}>", documents=n) for n in range(60)]
        insert(con, "corpora", rows)
    return store


def test_a_query_comes_as_pandas_arrow_rows_and_html(store):
    found = store.sql("SELECT name, documents, 0.5::DOUBLE AS x FROM corpora ORDER BY documents")
    assert len(found) == 60
    assert next(iter(found)) == {"name": "<0>", "documents": 0, "x": 0.5}
    frame = found.df()
    assert list(frame.columns) == ["name", "documents", "x"]
    assert frame["documents"].sum() == sum(range(60))
    assert str(found.arrow().schema.field("documents").type) == "int64"
    shown = found._repr_html_()
    assert shown.count("<tr>") == MOST_SHOWN + 1
    assert "and 10 more rows" in shown
    assert "&lt;0&gt;" in shown
    assert "<0>" not in shown


def test_a_query_can_change_nothing(store):
    with pytest.raises(BadInput):
        store.sql("DELETE FROM corpora")
    assert store.sql("SELECT count(*) AS n FROM corpora").rows == [(60,)]
    assert len(store.sql("FROM corpora", limit=3)) == 3


def test_a_recipe_is_loaded_and_shown(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(RECIPE)
    recipe = Recipe.load(str(file))
    assert recipe == Recipe.load(file)
    assert sum(1 for _ in recipe.cells()) == 4
    shown = recipe._repr_html_()
    assert "tiny: 4 cells" in shown
    assert "&lt;b&gt;bold" in shown
    assert "<b>bold" not in shown


def test_a_policy_is_made_from_the_public_class():
    from calibkit.policies import find_policy

    assert issubclass(find_policy("k-center"), Policy)


def test_arrow_keeps_types_nulls_nested_values_and_names():
    when = datetime.datetime(2026, 1, 2, 3, 4, 5)
    columns = ("a", "a", "list", "sum", "when", "mixed")
    types = ("INTEGER", "DOUBLE", "VARCHAR[]", "HUGEINT", "TIMESTAMP", "UNION(a INT, b VARCHAR)")
    rows = [(1, None, ["x"], 2**62, when, 1), (None, 0.5, None, None, None, "one")]
    table = arrow_table(columns, types, rows)
    assert table.column_names == ["a", "a_1", "list", "sum", "when", "mixed"]
    kinds = [str(field.type) for field in table.schema]
    assert kinds == ["int32", "double", "list<item: string>", "int64", "timestamp[us]", "string"]
    assert table.to_pylist()[0]["when"] == when
    assert table.column("mixed").to_pylist() == ["1", "one"]
    wide = arrow_table(("sum",), ("HUGEINT",), [(2**80,)])
    assert wide.to_pylist() == [{"sum": Decimal(2**80)}]


def test_an_empty_result_keeps_its_columns():
    table = Table(("a", "b"), ("INTEGER", "VARCHAR"), [])
    assert table.df().shape == (0, 2)
    assert "<th>b</th>" in table._repr_html_()
