"""The embedded corpus: documentation paragraphs of libraries that every installation has.

The sources of numpy, scipy, scikit-learn and torch are read as text and parsed with ``ast``;
nothing is imported or executed. The label of a paragraph is the library it came from, and the
libraries' own names are masked, so that a classifier must read the rest.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from calibkit.errors import BadInput

LIBRARIES = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn", "torch": "torch"}
"""Label (and import name) -> distribution, which knows the version."""

FEWEST_WORDS = 8
MOST_WORDS = 80

MASK = "library"
"""What stands in the place of every name of one of the libraries."""

_NAMES = re.compile(
    r"""(?<![A-Za-z])(?:
        numpy[A-Za-z]* | np(?![A-Za-z])
      | scipy[A-Za-z]* | sp(?=\.)
      | scikits?(?:[-_\s]?learn)? | sk-?learn[A-Za-z]*
      | (?:py|lib)?torch[A-Za-z]*
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_FOREIGN_FOLDERS = frozenset(
    {
        "_numpy",  # torch's copy of numpy's interface, documented in numpy's words
        "_vendor",
        "array_api_compat",
        "array_api_extra",
        "cobyqa",
        "extern",
        "externals",
        "pyprima",
        "src",
        "test",
        "testing",
        "tests",
        "third_party",
        "vendor",
        "vendored",
    }
)
_FOREIGN_FILES = re.compile(r"^(?:conftest|test_.*|.*_test|_?tests?|.*decomp_.*|_uarray.*|doccer)$")
_DOCSTRING_CALLS = frozenset({"add_docstr", "add_docstr_all", "add_newdoc"})
_LICENCE = re.compile(
    r"copyright|licen[cs]e[ds]?\b|all rights reserved|spdx|\bredistributions? (?:of|and)\b"
    r"|\bwarrant(?:y|ies)\b",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r"^\s*([=\-~^\"'`*+#.])\1{2,}\s*$")
_ROW = re.compile(  # ``name : type`` of numpydoc, ``name (type): text`` of Google's style
    r"^\s*[*`]*[\w.\[\]]+[*`]*(?:, ?[*`]*[\w.\[\]]+[*`]*)*"
    r"(\s*\([^)]*\))?(\s*):(?:\s+(?P<rest>.*))?$"
)
_ITEM = re.compile(r"^\s*(?:[-*+•]|\(?\d+[.)])\s")
_SENTENCE = re.compile(r"`|[\"'(]*[A-Z]")
_NO_PROSE = re.compile(
    r"^\s*(?:\.\. |:\w[\w ]*:(?!`)|@|\.\.\. |\$ |In \[|\||\[\d+\]|import \w+|from [\w.]+ import"
    r"|def \w+\(|class \w+[(:]|for .* in .*:$|if .*:$)"
    r"|>>>|---|===|\s={1,2}\s|->|[{};]\s*$",
    re.MULTILINE,
)
_INLINE = re.compile(r"``.*?``|(?::[\w:]+:)?`[^`]*`")


@dataclass(frozen=True)
class Paragraph:
    """One masked paragraph: the library, the file within it, the line of its docstring."""

    library: str
    file: str
    line: int
    text: str


def library_versions() -> dict[str, str]:
    """Return the installed version of each library, by label.

    Raises BadInput naming a library that is not installed.
    """
    versions = {}
    for label, distribution in LIBRARIES.items():
        try:
            versions[label] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            raise BadInput(
                f"docstrings: {distribution} is not installed, and its documentation is part of "
                f"this corpus; install it with: pip install {distribution}"
            ) from None
    return versions


def source_folder(label: str) -> Path:
    """Return the folder of a library's sources, found without importing it."""
    spec = importlib.util.find_spec(label)
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(f"docstrings: the sources of {label} are nowhere on the import path")
    return Path(next(iter(spec.submodule_search_locations)))


def docstring_paragraphs() -> list[Paragraph]:
    """Return the corpus: unique paragraphs of 8 to 80 words, in order of library, file and line.

    A text that stands in two libraries is left out of both, since it has no one label. The same
    versions of the libraries give the same list on every machine.
    """
    first: dict[str, Paragraph | None] = {}
    for label in LIBRARIES:
        for paragraph in library_paragraphs(label, source_folder(label)):
            key = paragraph.text.casefold()
            seen = first.setdefault(key, paragraph)
            if seen is not None and seen.library != label:
                first[key] = None
    return [paragraph for paragraph in first.values() if paragraph is not None]


def library_paragraphs(label: str, folder: Path) -> Iterator[Paragraph]:
    """Yield the usable paragraphs of every documented source file below ``folder``."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.py")}
    for name in sorted(files):
        parts = name.removesuffix(".py").split("/")
        if _FOREIGN_FILES.match(parts[-1]) or not _FOREIGN_FOLDERS.isdisjoint(parts[:-1]):
            continue
        for line, docstring in file_docstrings(files[name].read_bytes()):
            for text in usable_paragraphs(docstring):
                yield Paragraph(label, name, line, text)


def file_docstrings(source: bytes) -> Iterator[tuple[int, str]]:
    """Yield (line, docstring) of a module, its classes and functions, and of add_docstr calls.

    A file that this Python cannot parse has no docstrings.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the libraries' own invalid escapes
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    yield from _docstrings(tree)


def _docstrings(node: ast.AST) -> Iterator[tuple[int, str]]:
    body: list[ast.stmt] = getattr(node, "body", [])
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        first = body[0] if body else None
        value = first.value if isinstance(first, ast.Expr) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.lineno, value.value
    for name in ("body", "orelse", "finalbody", "handlers"):
        for child in getattr(node, name, ()):
            if isinstance(child, ast.Expr):
                yield from _call_docstrings(child.value)
            else:
                yield from _docstrings(child)


def _call_docstrings(value: ast.expr) -> Iterator[tuple[int, str]]:
    if not isinstance(value, ast.Call):
        return
    called = value.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name not in _DOCSTRING_CALLS:
        return
    for node in value.args:
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield part.lineno, part.value


def usable_paragraphs(docstring: str) -> Iterator[str]:
    """Yield the prose of a docstring, paragraph by paragraph, spaces collapsed and names masked.

    Every description in a parameter table is a paragraph of its own. The names and types of the
    table, headings, lists, directives, doctests, code, licences and fragments are left out.
    """
    block: list[str] = []
    for line in [*inspect.cleandoc(docstring).splitlines(), ""]:
        if line.strip():
            block.append(line)
            continue
        for piece in _pieces(block):
            if _is_prose("\n".join(piece)):
                text = mask(" ".join(" ".join(piece).split()))
                if FEWEST_WORDS <= text.count(" ") + 1 <= MOST_WORDS:
                    yield text
        block = []


def _pieces(block: list[str]) -> list[list[str]]:
    """Cut the lines between two blank lines where a table row or a list item begins."""
    has_heading = len(block) > 1 and _UNDERLINE.match(block[1]) is not None
    lines = block[2:] if has_heading else block
    pieces: list[list[str]] = [[]]
    for number, line in enumerate(lines):
        row = _ROW.match(line)
        if _ITEM.match(line):
            pieces.append([line])
        elif row and (row[2] or (has_heading and _is_deeper(lines, number))) and not row[1]:
            pieces.append([])  # numpydoc: the line is a name and a type, the text follows it
        elif row:
            pieces.append([row["rest"] or ""])
        else:
            pieces[-1].append(line)
    return [piece for piece in pieces if piece]


def _is_deeper(lines: list[str], number: int) -> bool:
    if number + 1 == len(lines):
        return False
    here, below = lines[number], lines[number + 1]
    return len(below) - len(below.lstrip()) > len(here) - len(here.lstrip())


def _is_prose(text: str) -> bool:
    """Whether a piece reads as sentences; names in backticks count as words."""
    start = text.lstrip()
    if not _SENTENCE.match(start) or _ITEM.match(start):
        return False
    if ">>>" in text or _LICENCE.search(text):
        return False
    words = _INLINE.sub("name", text)
    if _NO_PROSE.search(words):
        return False
    plain = sum(map(str.isalpha, words)) + words.count(" ") + words.count("\n")
    return plain >= 0.8 * len(words)


def mask(text: str) -> str:
    """Return the text with every name of one of the libraries replaced by ``library``."""
    return _NAMES.sub(MASK, text)
