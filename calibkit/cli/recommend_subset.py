"""The documents of a recommended subset, written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from calibkit.cli.output import SUFFIXES, Output
from calibkit.cli.table import Table
from calibkit.errors import BadInput

if TYPE_CHECKING:
    from calibkit.store import Store

IDS = ".txt"

_DOCUMENTS = """
    SELECT chosen.doc_id AS id, any_value(labels.label) AS label, any_value(d.text) AS text
    FROM subset_documents AS chosen
    JOIN subsets USING (subset_id)
    JOIN documents AS d ON d.corpus_id = subsets.corpus_id AND d.doc_id = chosen.doc_id
    JOIN labels ON labels.corpus_id = d.corpus_id AND labels.label_id = d.label_id
    WHERE chosen.subset_id = ?
    GROUP BY chosen.position, chosen.doc_id ORDER BY chosen.position
"""


def check_form(file: Path) -> None:
    """Raise BadInput for a file whose suffix says no format."""
    if file.suffix.lower() not in (*SUFFIXES, IDS):
        raise BadInput(
            f"--subset-out {file}: the suffix says the format; use one of"
            f" {', '.join((*SUFFIXES, IDS))}"
        )


def write_subset(store: Store, subset_id: str, file: Path) -> None:
    """Write a stored subset's documents in calibration order."""
    with store.reading() as con:
        table = Table.fetched(con.execute(_DOCUMENTS, [subset_id]))
    if not table.rows:
        raise BadInput(f"the store has no documents of the subset {subset_id}")
    if file.suffix.lower() == IDS:
        Output("table", file).text("".join(f"{row[0]}\n" for row in table.rows))
    else:
        Output(SUFFIXES[file.suffix.lower()], file).table(table)
