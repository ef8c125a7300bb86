"""What exports to C refuse, and what documents and words at the limits become in them."""

import ctypes
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from c_network import compiler
from made_network import LONGEST, answered, frozen_network

from calibkit.engine.integer.grids import grids
from calibkit.engine.integer.lstm import input_codes
from calibkit.errors import BadInput
from calibkit.export.c.compiling import find_compiler
from calibkit.export.c.source import export_c
from calibkit.export.c.words import read_words
from calibkit.ragged import Ragged

KINDS = ("discriminative", "generative")
OWN = {"separate_io": True, "weights": "per-channel"}


# ------------------------------------------------------------------------------------- refusals


def test_a_compiler_that_is_not_there(monkeypatch, tmp_path, make):
    monkeypatch.setenv("CC", "no-such-compiler -m32")
    with pytest.raises(BadInput, match=r"'no-such-compiler -m32' is not there.*install one.*CC"):
        find_compiler()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match=r"there is no C compiler \(cc, gcc\).*apt install gcc"):
        find_compiler()


def test_a_compiler_that_fails(make):
    found = make("discriminative")
    found.source.write_text("nothing of C")
    with pytest.raises(BadInput, match=r"cc -std=c99 .* failed: (.|\n)*error"):
        found.checked()


def test_documents_that_no_text_leads_to(make):
    found = make("discriminative")
    compiler()
    for ids in ([2, 5], [3], [2, 5, 2, 6, 3], [2, *[5] * (LONGEST + 1), 3]):
        other = answered(found.frozen, Ragged.of([[2, 3], ids]))
        with pytest.raises(BadInput, match=f"document 1 is not <bos>, up to {LONGEST} tokens"):
            replace(found, tested=other).checked()


@pytest.mark.parametrize("name", ["", "1st", "Model", "a-b", "x" * 33, "größe"])
def test_names_that_c_does_not_take(make, tmp_path, name):
    with pytest.raises(BadInput, match="is no name for C; it starts with a small letter"):
        export_c(make("discriminative").frozen, tmp_path, name=name, text=False)


class Library:
    """An export as a shared library."""

    def __init__(self, found, *sources):
        target = found.folder / "network.so"
        line = [compiler(), "-std=c99", "-O1", "-shared", "-fPIC", found.source, *sources]
        subprocess.run([*line, "-o", target], check=True)
        self.of, self.name = ctypes.CDLL(str(target)), found.name
        self.labels = len(found.frozen.labels)

    def __getattr__(self, called):
        return getattr(self.of, f"{self.name}_{called}")

    def classify(self, ids):
        scores = (ctypes.c_int64 * self.labels)()
        given = (ctypes.c_uint32 * len(ids))(*ids) if len(ids) else None
        return self.classify_ids(given, ctypes.c_size_t(len(ids)), scores), list(scores)


@pytest.mark.parametrize("kind", KINDS)
def test_documents_at_the_limits(make, kind):
    library = Library(make(kind))
    words = list(range(4, 4 + LONGEST))
    assert library.classify([]) == library.classify([2, 3]) == library.classify([2])
    assert library.classify([]) != library.classify([5])
    assert library.classify(words) == library.classify([*words, 50, 51])
    assert library.classify(words) != library.classify([*words[:-1], 50])
    assert library.classify([2, *words, 3]) == library.classify(words)
    assert library.classify([7, 60, 2**32 - 1]) == library.classify([7, 1, 1])
    assert library.classify([7, 59]) != library.classify([7, 1])


# --------------------------------------------------------------------------------- what is stored


@pytest.mark.parametrize(
    ("bits", "given", "width", "scaled"),
    [
        (3, {}, 3, False),
        (4, OWN, 4, False),
        (8, {}, 8, False),
        (4, {**OWN, "site_bits": {"input": 8}}, 4, True),
        (4, {"preset": "robust-mixed", "site_bits": {"input": 8, "lstm.*": 8}}, 4, True),
        (3, {"site_bits": {"input": 8, "lstm.io": 8}}, 3, False),
    ],
)
def test_words_take_as_many_bits_as_their_codes(make_model, wrapped, bits, given, width, scaled):
    shape = {"vocabulary": 300, "embedding": 40}
    model = make_model("discriminative", **shape)
    frozen = frozen_network(model, wrapped, bits=bits, **given)
    words, codes = read_words(frozen.network)
    assert np.array_equal(words.decoded(), codes)
    assert np.array_equal(codes, input_codes(frozen.network, grids(frozen.network)).numpy())
    assert words.bits == width and (words.scales is not None) == scaled
    assert words.size == 300 * (40 * width // 8 + 4 * scaled)
