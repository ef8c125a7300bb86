"""Exports to C, compiled in several ways and held against their networks."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from calibkit.export.c.parity import CParity, check_c
from calibkit.export.c.source import export_c
from calibkit.export.network import Frozen, Tested

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")


@dataclass(frozen=True)
class Exported:
    folder: Path
    frozen: Frozen
    tested: Tested
    name: str
    text: bool

    @property
    def source(self) -> Path:
        return self.folder / f"{self.name}.c"

    def checked(self, flags: Sequence[str] = ("-O1",), **given: Any) -> CParity:
        compiler()
        return check_c(
            self.folder, self.frozen, self.tested, name=self.name, text=self.text, flags=flags,
            **given,
        )  # fmt: skip

    def corrupt(self, pattern: str) -> None:
        """Change the first number of an array, or what a pattern's group finds, by one."""
        source = self.source.read_text()
        found = re.search(pattern, source)
        assert found is not None, pattern
        number = str(int(found[1]) ^ 1)
        self.source.write_text(source[: found.start(1)] + number + source[found.end(1) :])


def exported(
    folder: Path, frozen: Frozen, tested: Tested, *, name: str = "ck", text: bool = False
) -> Exported:
    export_c(frozen, folder, name=name, text=text)
    return Exported(folder, frozen, tested, name, text)


def compiler(name: str = "cc") -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no C compiler {name} on this machine")
    return found


def needs(folder: Path, command: str, *flags: str, run: Sequence[str] = ()) -> None:
    """Skip the test where a compiler cannot build, or this machine not run, a program like this."""
    compiler(command)
    if run:
        compiler(run[0])
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    target = str(folder / "empty")
    built = subprocess.run(
        [command, *flags, str(folder / "empty.c"), "-o", target], capture_output=True, check=False
    )
    if built.returncode:
        pytest.skip(f"{command} {' '.join(flags)} cannot build programs on this machine")
    if subprocess.run([*run, target], capture_output=True, check=False).returncode:
        pytest.skip(f"this machine cannot run programs of {command} {' '.join(flags)}")
