"""``calibkit ingest``: labelled text into the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from calibkit.cli.notes import note
from calibkit.cli.session import Session, pass_session

if TYPE_CHECKING:
    from calibkit.corpora.ingest import IngestReport

FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command()
@click.argument("name")
@click.option("--train", metavar="FILE", type=FILE, help="Training documents, one label each.")
@click.option(
    "--valid",
    metavar="FILE",
    type=FILE,
    help="Validation documents; without it, a tenth of the training documents.",
)
@click.option(
    "--test",
    metavar="FILE",
    type=FILE,
    help="Test documents; without it, a fifth of the training documents.",
)
@click.option(
    "--from",
    "source",
    envvar="CALIBKIT_INGEST_FROM",
    metavar="SOURCE",
    help="Instead of files: docstrings (the embedded corpus) or hub:ORG/DATASET[:CONFIG].",
)
@click.option(
    "--text-column", default="text", show_default=True, help="The column that has the text."
)
@click.option(
    "--label-column", default="label", show_default=True, help="The column that has the label."
)
@click.option(
    "--vectors",
    metavar="COLUMN",
    help="A column that has a vector for each document, for policies that take features: given.",
)
@click.option(
    "--strict", is_flag=True, help="Also refuse duplicates and texts that stand in several splits."
)
@click.option(
    "--on-error",
    type=click.Choice(["abort", "skip"]),
    default="abort",
    show_default=True,
    help="What a row that cannot be used does to the rest.",
)
@click.option(
    "--max-rejects",
    metavar="N",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="With --on-error skip: give up beyond N rows.",
)
@pass_session
def ingest(
    session: Session,
    *,
    name: str,
    train: Path | None,
    valid: Path | None,
    test: Path | None,
    source: str | None,
    text_column: str,
    label_column: str,
    vectors: str | None,
    strict: bool,
    on_error: Literal["abort", "skip"],
    max_rejects: int,
) -> None:
    """Put labelled documents into the store as corpus NAME.

    Files are csv, tsv, jsonl or parquet, each also with .gz; the suffix says which. Everything is
    checked first and written at once: a problem is told with its file and line, and then nothing
    is stored. The same data again changes nothing; other data becomes a new version of NAME.
    A vector is a list of numbers; in csv and tsv the text of one, such as [0.1, 0.2].

    \b
    Examples:
      calibkit ingest ag_news --train train.csv --valid valid.csv --test test.csv
      calibkit ingest mails --train mails.jsonl.gz --text-column body --label-column folder
      calibkit ingest news --train news.parquet --vectors embedding
      calibkit ingest docstrings --from docstrings
      calibkit ingest emotion --from hub:dair-ai/emotion
    """
    files = [flag for flag, file in (("--valid", valid), ("--test", test)) if file is not None]
    if source is not None and (train is not None or files):
        raise click.UsageError("--from says where the documents are; leave out the files, or it")
    if source is None and train is None:
        need = f"{' and '.join(files)} without --train" if files else "no documents are named"
        raise click.UsageError(f"{need}; give --train FILE, or --from docstrings | hub:...")

    from calibkit.corpora.ingest import ingest as put

    report = put(
        session.store,
        name,
        train=train,
        valid=valid,
        test=test,
        source=source,
        text_column=text_column,
        label_column=label_column,
        vectors=vectors,
        strict=strict,
        on_error=on_error,
        max_rejects=max_rejects,
    )
    for line in counts(report):
        note(line)


def counts(report: IngestReport) -> list[str]:
    """Return what was ingested, as lines."""
    total = sum(report.documents.values())
    there = "already in the store, nothing was written: " if report.already_there else ""
    lines = [
        f"{there}{report.name} version {report.version} ({report.corpus_id}):"
        f" {total:,} documents, {len(report.labels):,} labels"
    ]
    lines += [f"  {split}  {count:,}" for split, count in report.documents.items()]
    if report.vector_length:
        lines.append(f"  a vector of {report.vector_length:,} numbers with each document")
    if report.duplicates:
        lines.append(f"  {report.duplicates:,} repeat a text of their split (flagged is_duplicate)")
    if report.in_test:
        lines.append(
            f"  {report.in_test:,} have a text that stands in test (flagged in_test; pools leave"
            " them out)"
        )
    if report.skipped:
        what = "row" if report.skipped == 1 else "rows"
        lines.append(f"  skipped {report.skipped:,} {what} that could not be used:")
        lines += [f"    {problem}" for problem in report.problems]
    return lines + [f"  note: {text}" for text in report.notes]
