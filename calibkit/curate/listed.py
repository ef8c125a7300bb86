"""Subsets that the user has chosen: document ids in a file, in calibration order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibkit.corpora.reading import SPLITS, find_corpus
from calibkit.corpora.validation import SHOWN
from calibkit.curate.encoding import Library
from calibkit.curate.subsets import BuiltSubset, Request, SubsetBuilder
from calibkit.errors import BadInput
from calibkit.identity import sha256_hex
from calibkit.store.connection import Store

IDS = "ids"
"""The policy that the store names for such a subset."""
MOST_BYTES = 64 << 20
"""Largest file of ids."""


@dataclass(frozen=True)
class ListedIds:
    """Document ids in the order of the file at ``place``, and the line of each."""

    place: str
    ids: tuple[str, ...]
    lines: tuple[int, ...]

    @property
    def sha256(self) -> str:
        """The sha256 of the ids, one a line: that of the file if it has nothing else."""
        return sha256_hex("".join(f"{doc_id}\n" for doc_id in self.ids).encode())


def read_ids(content: bytes, place: str) -> ListedIds:
    """Return the document ids of a file: one a line; blank lines and ``# comments`` are skipped.

    place: what messages call the file. Raises BadInput, with the lines, for repeated ids, several
    on a line, no ids at all, what is no UTF-8, and more than `MOST_BYTES`.
    """
    if len(content) > MOST_BYTES:
        raise BadInput(f"{place}: larger than {MOST_BYTES >> 20} MiB, which no list of ids is")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{place}: this is no UTF-8 text: byte {error.start + 1}") from None
    first: dict[str, int] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.partition("#")[0].split()
        if len(words) > 1:
            problems.append((number, f"{len(words)} words; write one document id a line"))
        elif words and words[0] in first:
            problems.append(
                (
                    number,
                    f"document {words[0]!r} is on line {first[words[0]]} already; "
                    "leave out one of them",
                )
            )
        elif words:
            first[words[0]] = number
    _settle(place, problems)
    if not first:
        raise BadInput(f"{place}: there is no document id in it; write one a line")
    return ListedIds(place, tuple(first), tuple(first.values()))


def subset_of_ids(
    store: Store, corpus_name: str, listed: ListedIds, *, pool: str = "train", share: float = 1.0
) -> BuiltSubset:
    """Put the listed documents of a pool into the store as a subset (or find it there).

    Raises BadInput, with the lines, for documents that the corpus or the pool does not have, and
    for those that stand in the test split.
    """
    with store.reading() as con:
        corpus = find_corpus(con, corpus_name)
    builder = SubsetBuilder(Library(store, corpus, share), pool)
    _settle(listed.place, _outside(builder, listed))
    params = {"sha256": listed.sha256}
    request = Request(IDS, 1, params, size=len(listed.ids), seed=0, uses_seed=False)
    return builder.found(request) or builder.keep(request, listed.ids)


def _outside(builder: SubsetBuilder, listed: ListedIds) -> list[tuple[int, str]]:
    """Return line and reason for every document that may not be chosen."""
    library, pool = builder.library, builder.pool_split
    corpus = library.corpus
    with library.store.reading() as con:
        rows = con.execute(
            "SELECT doc_id, split, in_test FROM documents"
            " WHERE corpus_id = ? AND doc_id IN (SELECT unnest(?::VARCHAR[]))",
            [corpus.corpus_id, list(listed.ids)],
        ).fetchall()
    known = {doc_id: (split, in_test) for doc_id, split, in_test in rows}
    shared = frozenset(library.index(pool).ids)

    def reason(doc_id: str) -> str:
        if doc_id not in known:
            return (
                f"corpus {corpus.name!r}, version {corpus.version}, has no document {doc_id!r}; "
                "the view documents lists its doc_id"
            )
        split, in_test = known[doc_id]
        if split == "test" or in_test:
            what = f"document {doc_id!r}" if split == "test" else f"the text of {doc_id!r}"
            return f"{what} stands in the test split, on which results are measured; leave it out"
        if split != pool:
            other = f", or list documents of that split alone and give --pool {split}"
            return (
                f"document {doc_id!r} is in the split {split!r}, the pool is {pool!r}; leave it out"
                f"{other if split in SPLITS else ''}"
            )
        if doc_id not in shared:
            return (
                f"document {doc_id!r} is not in the share {library.share:g} of the corpus; "
                "give a larger --share"
            )
        return ""

    found = ((line, reason(i)) for line, i in zip(listed.lines, listed.ids, strict=True))
    return [(line, what) for line, what in found if what]


def _settle(place: str, problems: Sequence[tuple[int, str]]) -> None:
    """Raise BadInput with the first problems, if there are any."""
    if not problems:
        return
    lines = [f"{place}:{line}: {what}" for line, what in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"... and {len(problems) - SHOWN:,} more")
    raise BadInput("\n".join(lines))
