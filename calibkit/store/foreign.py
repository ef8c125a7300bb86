"""Fragments of other stores: what another machine measured, merged into this one."""

from __future__ import annotations

from pathlib import Path

from calibkit.errors import BadInput
from calibkit.store.connection import Store
from calibkit.store.fragments import MergeReport, merge
from calibkit.store.opening import folder_of


def fragment_folders(place: Path) -> tuple[Path, ...]:
    """Return the folders below ``place`` that have fragments, or itself.

    place: another store's folder ``FILE.d``, of which ``fragments/`` and ``merged/`` count, or a
    folder with fragments in it. Raises BadInput where there is none.
    """
    if not place.is_dir():
        beside = folder_of(place)
        if place.exists() and beside.is_dir():
            raise BadInput(f"{place} is a file; fragments are in the folder beside it: {beside}")
        raise BadInput(
            f"there is no folder {place}; name a store's folder FILE.d, or a folder of fragments"
        )
    # a live store moves fragments from the first to the second: none is missed in this order
    folders = [place / "fragments", place / "merged", place]
    found = tuple(folder for folder in folders if any(folder.glob("[!.]*.json")))
    if found:
        return found
    stores = sorted(path.name for path in place.glob("*.d") if (path / "merged").is_dir())
    hint = f"; it has the folders {', '.join(stores)} of stores: name one of them" if stores else ""
    raise BadInput(
        f"{place} has no fragments (*.json), neither in it nor in its folders fragments/ and"
        f" merged/{hint}"
    )


def bring_in(store: Store, place: Path) -> MergeReport:
    """Merge the fragments of ``place``, which is left as it is; return what came in.

    Those that wait in the store itself are merged before; of these, only problems are told.
    Raises BadInput where ``place`` has none, and what `merge` raises.
    """
    folders = fragment_folders(place)
    own = merge(store)
    report = MergeReport(conflicts=own.conflicts, quarantined=own.quarantined)
    for folder in folders:
        report += merge(store, folder)
    return report
