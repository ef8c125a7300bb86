"""The text part of an export to C builds anywhere without a warning, and does nothing undefined."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from c_text import SANITIZED, STRICT, Reader, build, compiler, source, vocabulary_of

OTHERS = {
    "32 bits": ("gcc", ("-m32",), ()),
    "big-endian, 64 bits": ("s390x-linux-gnu-gcc", ("-static",), ("qemu-s390x",)),
    "big-endian, 32 bits": ("powerpc-linux-gnu-gcc", ("-static",), ("qemu-ppc",)),
    "microcontrollers' instructions": ("arm-linux-gnueabi-gcc", ("-static",), ("qemu-arm",)),
}
"""What else it should run on: the compiler, its flags, and what runs its programs here."""

WORDS = ["a", "ab", "abc", "é", "ός", "οσ", "σ", "中", "x" * 200, "x" * 201, "i", "\u0307", "."]


def answers_hostile_texts(reader: Reader) -> None:
    draw = random.Random(7)
    parts = [*(word.encode() for word in WORDS), "ΟΣ Σ'Σ İA".encode(), b" ", b"\n", b"\0", b"\xff"]
    parts += ["\U0001d400".encode(), b"\xf0\x9d", b"\xe2", b"\xed\xa0\x80", b"X" * 500, b"\x80"]
    texts = [b"".join(draw.choices(parts, k=draw.randrange(12))) for _ in range(2000)]
    texts += [draw.randbytes(draw.randrange(40)) for _ in range(2000)]
    expected = reader.expected(texts)
    assert reader.ids(texts) == expected
    assert reader.ids(texts, 3) == [ids[:3] for ids in expected]


@pytest.mark.parametrize("optimized", ["-O0", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_no_compiler_warns(tmp_path: Path, name: str, optimized: str) -> None:
    (tmp_path / "text.c").write_text(source(vocabulary_of(WORDS), 80))
    line = [compiler(name), *STRICT, optimized, "-c", "text.c", "-o", "text.o"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", [WORDS, []], ids=["words", "no words"])
@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_nothing_undefined_is_done(tmp_path: Path, name: str, words: list[str]) -> None:
    answers_hostile_texts(
        build(tmp_path, vocabulary_of(words), 20, using=compiler(name), flags=SANITIZED)
    )


@pytest.mark.parametrize("other", OTHERS)
def test_other_machines_read_texts_alike(tmp_path: Path, other: str) -> None:
    name, flags, run = OTHERS[other]
    command = compiler(name)
    if not _links(tmp_path, command, flags):
        pytest.skip(f"{name} {' '.join(flags)} links no program on this machine")
    if run and shutil.which(run[0]) is None:
        pytest.skip(f"no emulator {run[0]} on this machine")
    answers_hostile_texts(
        build(tmp_path, vocabulary_of(WORDS), 20, using=command, flags=flags, run=run)
    )


def _links(folder: Path, command: str, flags: tuple[str, ...]) -> bool:
    (folder / "empty.c").write_text('#include <stdio.h>\nint main(void) { return puts(""); }\n')
    line = [command, *flags, "-o", "empty", "empty.c"]
    return subprocess.run(line, cwd=folder, capture_output=True, check=False).returncode == 0
