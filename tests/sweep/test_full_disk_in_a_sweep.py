"""A disk that fills up in the middle of a sweep: told, nothing half-written; then it goes on."""

from __future__ import annotations

import errno
import os

import pytest

from calibkit.errors import StoreError
from calibkit.store import files

FULL = ["vocabulary", "tokens", "checkpoint", "model", "fragments"]
"""Folders that have no room left, one after the other, in one study."""


def test_wherever_room_ends_the_next_run_completes_the_study(
    fresh, finished, everything_measured, monkeypatch, told
):
    real = files._written
    refused = []
    for folder in FULL:

        def full(path, data, *, folder=folder, **how):
            if path.parent.name == folder:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return real(path, data, **how)

        monkeypatch.setattr(files, "_written", full)
        with pytest.raises(StoreError, match=r"No space left on device.*make room") as error:
            report = fresh.run()
            assert report.done == 0  # what workers could not keep are failures, with the reason
            message = fresh.rows("SELECT message FROM failed ORDER BY ALL")[0]
            raise StoreError(message[0])
        refused.append(str(error.value))
        assert not list(fresh.store.folder.rglob(".*.tmp"))
    monkeypatch.undo()
    report = fresh.run()
    assert (report.done, report.failed, report.missing) == (8, 0, 0)
    assert everything_measured(fresh) == everything_measured(finished)
    told(f"a sweep: no room {len(refused)} times ({', '.join(FULL)}), told, then completed")
