"""The C compiler of this machine, and what it makes of an exported network."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibkit.errors import BadInput
from calibkit.export.c.literals import part
from calibkit.export.c.source import renamed

FLAGS = ("-O3",)
_COMPILERS = ("cc", "gcc", "clang")


@dataclass(frozen=True)
class Compiler:
    """A C compiler: the words that its command line begins with, and how programs are run."""

    words: tuple[str, ...]
    run: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The first line that it says about itself."""
        said = _done([*self.words, "--version"]).stdout.decode(errors="replace")
        return said.splitlines()[0].strip() if said else self.words[0]

    def compile(self, flags: Sequence[str]) -> None:
        """Run it. Raises BadInput with what it says where it fails."""
        line = [*self.words, "-std=c99", *flags]
        done = _done(line)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise BadInput(f"{shlex.join(line)} failed: {said[-2000:]}")


def find_compiler(command: str | None = None, *, run: Sequence[str] = ()) -> Compiler:
    """Return a C compiler: ``command``, else that of the variable CC, else cc, gcc or clang.

    run: what stands before a program's name to run it, an emulator say. Raises BadInput where
    there is none, with what to install.
    """
    given = command or os.environ.get("CC")
    for candidate in (given,) if given else _COMPILERS:
        words = shlex.split(candidate)
        if words and shutil.which(words[0]):
            return Compiler(tuple(words), tuple(run))
    what = f"the C compiler {given!r} is not there" if given else "there is no C compiler (cc, gcc)"
    raise BadInput(
        f"{what}, and an export to C is only handed out after it has been compiled and held against"
        " calibkit's own numbers; install one (apt install gcc; xcode-select --install), or name it"
        " in the environment variable CC"
    )


def object_bytes(folder: Path, name: str, *, compiler: Compiler, flags: Sequence[str]) -> int:
    """Return the size of a network as an object file, compiled for size: code and constant data."""
    with tempfile.TemporaryDirectory(prefix="calibkit-c-") as made:
        target = Path(made) / "network.o"
        compiler.compile([*flags, "-Os", "-c", str(folder / f"{name}.c"), "-o", str(target)])
        return target.stat().st_size


@dataclass(frozen=True)
class Program:
    """A built program that answers documents (see driver.c)."""

    path: Path
    run: tuple[str, ...]
    labels: int

    def answers(
        self, mode: str, documents: Sequence[bytes], counts: Sequence[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return labels (n,) and scores (n, labels), int64, of documents.

        mode: "ids" or "text". counts: ids or bytes of each document. Raises BadInput where the
        program does not come to its end.
        """
        kind = np.dtype([("label", "<u4"), ("scores", "<i8", (self.labels,))])
        found = np.frombuffer(self._output(mode, documents, counts), dtype=kind)
        if len(found) != len(documents):
            raise BadInput(
                f"the exported program answered {len(found):,} of {len(documents):,} documents"
            )
        return found["label"].astype(np.int64), found["scores"].astype(np.int64)

    def traced(self, ids: bytes, count: int) -> NDArray[np.void]:
        """Return what the quantizers gave of one document: step, site, unit and value of each."""
        kind = np.dtype([("step", "<u4"), ("site", "<u4"), ("unit", "<u4"), ("value", "<i8")])
        return np.frombuffer(self._output("trace", [ids], [count]), dtype=kind)

    def _output(self, mode: str, documents: Sequence[bytes], counts: Sequence[int]) -> bytes:
        given = b"".join(
            count.to_bytes(4, "little") + one for count, one in zip(counts, documents, strict=True)
        )
        done = _done([*self.run, str(self.path), mode], given)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise BadInput(
                f"the exported program ended with status {done.returncode}: {said[-2000:]}"
            )
        return done.stdout


@contextmanager
def built(
    folder: Path, name: str, labels: int, *, compiler: Compiler, flags: Sequence[str]
) -> Iterator[Program]:
    """Yield a program of an exported network, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="calibkit-c-") as made:
        source, target = Path(made) / "driver.c", Path(made) / "driver"
        source.write_text(renamed(part("driver.c"), name), encoding="utf-8", newline="\n")
        sources = [str(source), str(folder / f"{name}.c")]
        compiler.compile([*flags, f"-I{folder}", *sources, "-o", str(target)])
        yield Program(target, compiler.run, labels)


def _done(line: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(list(line), input=given, capture_output=True, check=False)
