"""An export to C answers whatever bytes it is given, as its header says.

Ten minutes of libFuzzer for each network: `pytest -n0 -m long tests/export/test_c_fuzz.py`.
"""

from __future__ import annotations

import dataclasses
import random
import subprocess
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from c_network import SANITIZED, STRICT, compiler
from c_text import LETTERS
from made_network import frozen_network

from calibkit.corpora.vocabulary import SPECIALS, Vocabulary
from calibkit.export.c.source import export_c
from calibkit.export.network import Frozen

HARNESS = Path(__file__).parent / "fuzz_c.c"
FUZZED = ("-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
SETTINGS = {
    "plain": {"bits": 4},
    "wide": {"bits": 8, "symmetric": False, "separate_io": True},
    "own": {"bits": 3, "weights": "per-channel"},
}
"""What differs in the C that comes of it: nibbles or bytes, one scale or many, zero-points; the
first has more words than a decoder sums in one go."""


def _words(count: int) -> list[str]:
    """Words that are near each other, long, of one sign, and of several alphabets."""
    hostile = [
        *"ab.'é中ßσς",
        "i\u0307",
        "ab",
        "abc",
        "aς",
        "aσ",
        "𐐨",
        "x" * 30,
        "x" * 31,
        "x" * 200,
    ]
    return [*hostile, *(f"w{number}" for number in range(count))][:count]


@pytest.fixture
def frozen(make_model: Any, make_documents: Any, request: pytest.FixtureRequest) -> Frozen:
    """A small network of the kind and settings that a test asks for."""
    kind, settings = request.param
    size = 900 if settings == "plain" else 60
    model = make_model(kind, vocabulary=size)
    found = frozen_network(model, make_documents(25, vocabulary=size), **SETTINGS[settings])
    vocabulary = Vocabulary((*SPECIALS, *_words(size - len(SPECIALS))))
    return dataclasses.replace(found, vocabulary=vocabulary)


def _networks(*asked: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("frozen", asked, ids="-".join, indirect=True)


EVERY = list(product(("discriminative", "generative"), SETTINGS))


def _program(folder: Path, frozen: Frozen, command: str, flags: Sequence[str]) -> Path:
    export_c(frozen, folder, name="ck", text=True)
    target = folder / "fuzz"
    sources = [str(HARNESS), str(folder / "ck.c")]
    line = [command, *flags, f"-I{folder}", *sources, "-o", str(target)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def _seeds(folder: Path) -> list[Path]:
    """Texts and ids to begin with: broken, empty, over-long, unknown."""
    draw = random.Random(5)
    texts = ["", " ", "a b c", "A" * 700, "x" * 201, "ΑΣ' ΣΑ İ", "\0", *(_words(60))]
    texts += ["".join(draw.choices(LETTERS, k=draw.randrange(60))) for _ in range(30)]
    broken = [b"\xff", b"\xc0\x80", b"a\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f"]
    ids = [b"", b"\2\0\3\0", b"\4\0" * 100, b"\1\0\0\0", b"\xff" * 40, bytes(range(256))]
    found = [bytes([room]) + text for room in (0, 6, 254)
             for text in (*(text.encode() for text in texts), *broken)]  # fmt: skip
    found += [bytes([wide]) + one for wide in (1, 3) for one in ids]
    found += [b"", *(bytes([draw.randrange(256)]) + draw.randbytes(90) for _ in range(50))]
    folder.mkdir()
    for number, seed in enumerate(found):
        (folder / f"{number:03}").write_bytes(seed)
    return sorted(folder.iterdir())


def _fuzzed(folder: Path, frozen: Frozen, *limits: str) -> None:
    clang = compiler("clang")
    (folder / "none.c").write_text(
        "#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *data,"
        " size_t size) { (void)data; return size == 1u << 30; }\n"
    )
    line = [clang, "-fsanitize=fuzzer", str(folder / "none.c"), "-o", str(folder / "none")]
    if subprocess.run(line, capture_output=True, check=False).returncode:
        pytest.skip("clang has no libFuzzer on this machine")
    program = _program(folder, frozen, clang, FUZZED)
    _seeds(folder / "seeds")
    done = subprocess.run(
        [str(program), "-seed=1", "-max_len=2048", *limits, "seeds"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    print(done.stderr[-300:])


@_networks(("discriminative", "plain"), ("generative", "wide"), ("generative", "own"))
def test_hostile_texts_and_ids_are_answered_as_documented(tmp_path: Path, frozen: Frozen) -> None:
    program = _program(
        tmp_path, frozen, compiler(), ("-O1", *STRICT, *SANITIZED, "-DCK_FUZZ_FILES")
    )
    seeds = [str(path) for path in _seeds(tmp_path / "seeds")]
    done = subprocess.run([str(program), *seeds], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_harness_sees_what_contradicts_the_header(
    tmp_path: Path, make_model: Any, make_documents: Any
) -> None:
    model = make_model("discriminative")
    size = model.config["vocabulary"]
    frozen = frozen_network(model, make_documents(25, vocabulary=size), bits=4)
    flags = ("-DCK_FUZZ_FILES", "-O1")
    program = _program(tmp_path, frozen, compiler(), flags)
    seeds = [str(path) for path in _seeds(tmp_path / "seeds")]
    source = tmp_path / "ck.c"
    right = source.read_text()
    for before, after in (
        ("id == CK_BOS || ", ""),
        ("scores[label] > scores", "scores[label] >= scores"),
    ):
        assert before in right
        source.write_text(right.replace(before, after))
        line = [compiler(), *flags, f"-I{tmp_path}", str(HARNESS), str(source), "-o", str(program)]
        subprocess.run(line, check=True)
        done = subprocess.run([str(program), *seeds], capture_output=True, text=True, check=False)
        assert done.stderr.startswith("not so: ")


@_networks(("discriminative", "wide"), ("generative", "plain"))
def test_a_fuzzer_finds_nothing_soon(tmp_path: Path, frozen: Frozen) -> None:
    _fuzzed(tmp_path, frozen, "-runs=600", "-max_total_time=20")


@pytest.mark.long
@_networks(*EVERY)
def test_a_fuzzer_finds_nothing_in_ten_minutes(tmp_path: Path, frozen: Frozen) -> None:
    _fuzzed(tmp_path, frozen, "-max_total_time=600")
