from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from calibkit.corpora import docstrings
from calibkit.corpora.docstrings import (
    file_docstrings,
    library_paragraphs,
    library_versions,
    mask,
    source_folder,
    usable_paragraphs,
)
from calibkit.errors import BadInput

DOCSTRING = """
    Return the sum of the elements over the given axis of the array.

    The result has one dimension less than ``a``, unless ``keepdims`` is set, in which case
    it is broadcast by NumPy against the input.

    Parameters
    ----------
    a : array_like
        Input data that is converted to an array if it is not one yet.
    axis : None or int or tuple of ints, optional

    Args:
        input (Tensor): The tensor whose elements are added up along all of its axes.

    Notes
    -----
    Arithmetic is modular for integers, and no error is raised on overflow here.

    - An item of a list is too often a fragment, so it is left out altogether.

    .. versionadded:: 1.7 where this directive has many words but is no prose at all

    >>> numpy.sum([0.5, 1.5]) and a few more words that belong to a doctest

    x = these + are + all + operands, and the line has enough words to count

    Copyright (c) 2001 by somebody who reserves all of the rights in this text.

    Too short to keep.
"""


def test_prose_is_kept_and_everything_else_left_out():
    assert list(usable_paragraphs(DOCSTRING)) == [
        "Return the sum of the elements over the given axis of the array.",
        "The result has one dimension less than ``a``, unless ``keepdims`` is set, in which case"
        " it is broadcast by library against the input.",
        "Input data that is converted to an array if it is not one yet.",
        "The tensor whose elements are added up along all of its axes.",
        "Arithmetic is modular for integers, and no error is raised on overflow here.",
    ]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Use np.sum of NumPy or numpy_array", "Use library.sum of library or library_array"),
        ("PyTorch, torch.nn, torchvision", "library, library.nn, library"),
        ("scikit-learn (sklearn), SciPy's sp.f", "library (library), library's library.f"),
        ("an input inp, a stored tensor, sp", "an input inp, a stored tensor, sp"),
    ],
)
def test_the_names_of_the_libraries_are_masked(text, masked):
    assert mask(text) == masked


def test_docstrings_of_every_kind_are_found_and_other_strings_are_not():
    source = b'''"""module"""
class A:
    """class"""
    def f(self):
        """method"""
        "not a docstring"
if True:
    async def g():
        """nested"""
else:
    add_docstr(f, r"""call \\d""" + "tail")
x = """no docstring"""
'''
    assert [text for _, text in file_docstrings(source)] == [
        *("module", "class", "method", "nested", "call \\d", "tail")
    ]
    assert list(file_docstrings(b"def broken(:")) == []
    assert list(file_docstrings(b'"""an invalid \\d escape"""')) == [(1, "an invalid \\d escape")]


def test_tests_and_vendored_code_are_passed_over(tmp_path):
    text = '"""A sentence with more than eight words stands in this file: {}."""\n'
    names = ("b.py", "a.py", "tests/c.py", "externals/d.py", "deep/_vendor/e.py", "test_f.py")
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(name[0]))
    found = list(library_paragraphs("numpy", tmp_path))
    assert [(one.library, one.file, one.line) for one in found] == [
        ("numpy", "a.py", 1),
        ("numpy", "b.py", 1),
    ]


def test_repeats_are_dropped_and_texts_of_two_libraries_belong_to_none(tmp_path, monkeypatch):
    both = "A sentence that two of the libraries have in common, by chance."
    own = "A sentence that only the one library has, and has it twice."
    for label, texts in {"numpy": [both, own, own.upper()], "scipy": [both], "sklearn": []}.items():
        (tmp_path / label).mkdir()
        for number, text in enumerate(texts):
            (tmp_path / label / f"{number}.py").write_text(f'"""{text}"""')
    monkeypatch.setattr(docstrings, "LIBRARIES", {"numpy": "", "scipy": "", "sklearn": ""})
    monkeypatch.setattr(docstrings, "source_folder", lambda label: tmp_path / label)
    assert [(p.library, p.text) for p in docstrings.docstring_paragraphs()] == [("numpy", own)]


def test_the_smallest_library_gives_thousands_of_clean_paragraphs():
    found = list(library_paragraphs("numpy", source_folder("numpy")))
    assert len({one.text for one in found}) > 3_000
    lengths = [len(one.text.split()) for one in found]
    assert 8 <= min(lengths) <= max(lengths) <= 80
    words = Counter(word.lower() for one in found for word in one.text.split())
    assert not {"numpy", "np", "scipy", "torch", "sklearn", ">>>"} & words.keys()
    assert found == list(library_paragraphs("numpy", source_folder("numpy")))


def test_versions_are_known_and_a_missing_library_is_named(monkeypatch):
    assert library_versions().keys() == {"numpy", "scipy", "sklearn", "torch"}
    monkeypatch.setattr(docstrings, "LIBRARIES", {"nowhere": "no-such-distribution"})
    with pytest.raises(BadInput, match="pip install no-such-distribution"):
        library_versions()


def test_neither_the_corpora_nor_their_sources_import_heavy_libraries():
    code = (
        "import sys, calibkit.corpora\n"
        "from calibkit.corpora.docstrings import library_versions, source_folder\n"
        "library_versions(); source_folder('torch'); source_folder('sklearn')\n"
        "heavy = {'torch', 'brevitas', 'sklearn', 'scipy', 'datasets', 'pyarrow', 'pandas',"
        " 'matplotlib'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
