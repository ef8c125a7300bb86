"""The text part of an export to C as a program that answers many texts at once."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from calibkit.corpora.vocabulary import SPECIALS, Vocabulary
from calibkit.export.c.text import text_part

LETTERS = "aA1_éßΣσςİı\u0307'.\u00adǅ\U0001d400 \n"
"""Letters whose lower case is special, what a sigma looks past, word signs, others, space."""

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror")
SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")


def vocabulary_of(words: Iterable[str]) -> Vocabulary:
    return Vocabulary((*SPECIALS, *dict.fromkeys(words)))


def compiler(name: str = "cc") -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no C compiler {name} on this machine")
    return found


def source(vocabulary: Vocabulary, most_tokens: int) -> str:
    """The text part in one file, as an export has it."""
    part = text_part(vocabulary, most_tokens)
    return "\n".join(["#include <stddef.h>", "#include <stdint.h>", *part])


@dataclass(frozen=True)
class Reader:
    """A built program. run: what stands before its name on a command line, an emulator say."""

    program: Path
    vocabulary: Vocabulary = field(repr=False)
    most_tokens: int
    run: tuple[str, ...] = field(default=())

    def ids(self, texts: Sequence[bytes], room: int | None = None) -> list[list[int]]:
        """What `ck_tokenize` writes of each text; of its count, see `counts`."""
        return [found[1] for found in self._answers("ids", texts, room)]

    def counts(self, texts: Sequence[bytes], room: int) -> list[int]:
        """What `ck_tokenize` returns for each text."""
        return [found[0] for found in self._answers("ids", texts, room)]

    def characters(self, text: bytes) -> np.ndarray:
        """The lower case of a text and what each character is, as the driver writes it."""
        return self._numbers("characters", [text], None)[1:]

    def expected(self, texts: Sequence[bytes]) -> list[list[int]]:
        """What calibkit makes of these bytes."""
        encoded = self.vocabulary.encode(
            [text.decode("utf-8", "replace") for text in texts], most_tokens=self.most_tokens
        )
        ids, offsets = encoded.ids.tolist(), encoded.offsets.tolist()
        return [ids[start:end] for start, end in pairwise(offsets)]

    def _answers(
        self, mode: str, texts: Sequence[bytes], room: int | None
    ) -> Iterable[tuple[int, list[int]]]:
        numbers = self._numbers(mode, texts, room).tolist()
        at = 0
        for _ in texts:
            count = numbers[at]
            written = count if room is None else min(count, room)
            yield count, numbers[at + 1 : at + 1 + written]
            at += 1 + written
        assert at == len(numbers)

    def _numbers(self, mode: str, texts: Sequence[bytes], room: int | None) -> np.ndarray:
        given = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
        line = [*self.run, str(self.program), mode, *([] if room is None else [str(room)])]
        done = subprocess.run(line, input=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return np.frombuffer(done.stdout, dtype="<u4")


def build(
    folder: Path,
    vocabulary: Vocabulary,
    most_tokens: int = 80,
    *,
    using: str | None = None,
    flags: Sequence[str] = ("-O1",),
    run: tuple[str, ...] = (),
) -> Reader:
    """Compile the text part and the driver; skip the test where there is no compiler."""
    command = using or compiler()
    driver = (Path(__file__).parent / "c_text_driver.c").read_text()
    (folder / "text.c").write_text(f"{source(vocabulary, most_tokens)}\n{driver}")
    line = [command, "-std=c99", *flags, "-o", str(folder / "text"), str(folder / "text.c")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Reader(folder / "text", vocabulary, most_tokens, run)
