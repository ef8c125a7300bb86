"""Exports to C give the integer engine's numbers, or say where they begin to differ."""

import ctypes
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from c_network import (
    LONGEST,
    STRICT,
    answered,
    compiler,
    exported,
    frozen_network,
)

from calibkit.errors import BadInput
from calibkit.export.c.compiling import find_compiler
from calibkit.export.c.source import export_c
from calibkit.export.c.words import input_codes, read_words
from calibkit.ragged import Ragged

KINDS = ("discriminative", "generative")
MIXED = {"preset": "robust-mixed"}
WIDE = {"symmetric": False, "separate_io": True}
OWN = {"separate_io": True, "weights": "per-channel"}


@pytest.fixture(scope="module")
def frozen(make_model, make_documents):
    """Networks and answered documents, each made once."""
    known = {}

    def made(kind, *, bits=4, shape=None, **given):
        key = repr((kind, bits, shape, given))
        if key not in known:
            model = make_model(kind, **(shape or {}))
            documents = make_documents(25, vocabulary=model.config["vocabulary"])
            network = frozen_network(model, documents, bits=bits, **given)
            known[key] = network, answered(network, documents)
        return known[key]

    return made


@pytest.fixture
def make(frozen, tmp_path):
    def made(kind, *, text=False, name="ck", **given):
        network, tested = frozen(kind, **given)
        return exported(tmp_path, network, tested, name=name, text=text)

    return made


# -------------------------------------------------------------------------------------- parity


@pytest.mark.parametrize(("bits", "given"), [(4, {})])
@pytest.mark.parametrize("kind", KINDS)
def test_labels_and_scores_are_those_of_the_integer_engine(make, kind, bits, given):
    if kind == "generative" and "separate_io" in given:
        given = {**given, "separate_hv": True}
    found = make(kind, bits=bits, **given)
    assert len(np.unique(found.tested.scores[:, 0])) > 5
    parity = found.checked((*STRICT, "-O1"))
    assert (parity.documents, parity.texts) == (25, 0)
    assert parity.object_bytes > len(found.frozen.vocabulary) * bits


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
    assert np.array_equal(codes, input_codes(frozen.network).numpy())
    assert words.bits == width and (words.scales is not None) == scaled
    assert words.size == 300 * (40 * width // 8 + 4 * scaled)
