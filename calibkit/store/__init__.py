"""One DuckDB file with everything that was measured, and the rules that keep it whole."""

from calibkit.store.artefacts import Artefact, Artefacts
from calibkit.store.catalog import Column, Relation, relation, row_counts, tables, views
from calibkit.store.connection import Store, store_path
from calibkit.store.fragments import MergeReport, merge, write_fragment
from calibkit.store.rows import insert, pack_predictions, unpack_predictions
from calibkit.store.sandbox import query
from calibkit.table import Table

__all__ = [
    "Artefact",
    "Artefacts",
    "Column",
    "MergeReport",
    "Relation",
    "Store",
    "Table",
    "insert",
    "merge",
    "pack_predictions",
    "query",
    "relation",
    "row_counts",
    "store_path",
    "tables",
    "unpack_predictions",
    "views",
    "write_fragment",
]
