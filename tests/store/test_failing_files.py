"""The n-th file operation fails, n = 1, 2, 3, ...: what is seen is before or after, never between.

Of each action every file operation fails once, with all others going well, and once with every
later one failing too that needs room, as when the disk is full.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from acts_on_disk import CASES, Material, files_of
from failing_files import failing

from calibkit.errors import CalibkitError

STEPS = {"merge": 5, "merge of a folder": 10, "backup": 10, "older store": 5, "ingest": 4}
LASTING = pytest.mark.parametrize("lasting", [False, True], ids=["one fails", "the disk is full"])


@LASTING
@pytest.mark.parametrize("name", CASES)
def test_every_file_operation_may_fail(tmp_path, material, name, lasting, told):
    """Of what takes long, here only some."""
    step = STEPS.get(name, 1)
    told(fail_at(range(1, 400, step), name, tmp_path, material, lasting=lasting))


@pytest.mark.long
@LASTING
@pytest.mark.parametrize("name", STEPS)
def test_every_single_file_operation_may_fail(tmp_path, material, name, lasting, told):
    told(fail_at(range(1, 400), name, tmp_path, material, lasting=lasting))


def fail_at(numbers: range, name: str, tmp_path: Path, material: Material, *, lasting: bool) -> str:
    """Let the operations of these numbers fail, one at a time; return what was counted."""
    case = CASES[name]
    start, after = tmp_path / "start", tmp_path / "after"
    start.mkdir()
    case.prepare(start, material)
    shutil.copytree(start, after)
    before = case.state(start)
    case.act(after, material)
    expected = case.state(after)
    files = {Path(name).name for name in files_of(after)}
    refused = failed = 0
    for n in numbers:
        folder = tmp_path / "failing"
        shutil.copytree(start, folder)
        with failing(folder, n, lasting=lasting) as fault:
            try:
                case.act(folder, material)
            except CalibkitError as error:
                refused += 1
                assert len(str(error)) > 40  # a sentence with the next step
        seen = case.state(folder)
        assert seen in (before, expected), (n, fault.seen)
        if not fault.happened:
            break
        failed += 1
        left = {path.name for path in map(Path, files_of(folder)) if path.suffix == ".json"}
        assert left <= files, (n, fault.seen)  # nothing half-written has a name
        if name != "backup" or seen == before:  # a backup that is there is not made again
            case.act(folder, material)
        assert case.state(folder) == expected, (n, fault.seen)
        shutil.rmtree(folder)
    else:
        raise AssertionError("it never came to an end")
    assert refused
    how = "and all later ones that need room" if lasting else "alone"
    return (
        f"{name}: {failed} of {n - 1} file operations failed, each {how}; {refused} were told, the"
        f" others made up for; before or after each time, and right the next time"
    )
