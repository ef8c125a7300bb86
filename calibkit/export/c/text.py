"""The part of an export to C that turns text into token ids, as calibkit does."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from string import Template
from typing import NamedTuple

import numpy as np

from calibkit.corpora.vocabulary import BOS, EOS, UNK, Vocabulary
from calibkit.errors import BadInput
from calibkit.export.c.literals import array, part
from calibkit.export.c.text_unicode import Edges, Unicode
from calibkit.export.c.text_words import BLOCK, PackedWords

MOST_ID_BITS = 25
"""Ids of more bits do not fit into the four bytes that one is read from."""


class TextPart(NamedTuple):
    """C99 for a header and for a source: what is declared, constant data, and functions.

    The header needs ``stddef.h`` and ``stdint.h``; the constants stand before the code.
    """

    declarations: str
    constants: str
    code: str


def text_part(vocabulary: Vocabulary, most_tokens: int) -> TextPart:
    """Return C that gives every UTF-8 text the ids that ``vocabulary.encode`` gives it.

    Texts are cut to ``most_tokens`` tokens, <bos> and <eos> not counted. Bytes that are no UTF-8
    are read as ``bytes.decode("utf-8", "replace")`` reads them. Raises BadInput for a vocabulary
    that is too large.
    """
    if (len(vocabulary) - 1).bit_length() > MOST_ID_BITS:
        raise BadInput(
            f"a vocabulary of {len(vocabulary):,} types does not fit into C;"
            f" {1 << MOST_ID_BITS:,} at most"
        )
    return TextPart(
        Template(part("text.h")).substitute(most_ids=most_tokens + 2),
        "\n\n".join([*_words(vocabulary), *_unicode()]) + "\n",
        part("text.c"),
    )


def _words(vocabulary: Vocabulary) -> Iterable[str]:
    """Yield the definitions that say which words there are and what ids they have."""
    packed = PackedWords.of(vocabulary)
    numbers = {
        "UNK": UNK,
        "BOS": BOS,
        "EOS": EOS,
        "WORDS": packed.count,
        "BLOCK": BLOCK,
        "BLOCKS": len(packed.starts),
        "LONGEST": packed.longest,
        "ID_BITS": packed.id_bits,
    }
    yield "/* The words of the vocabulary, in order, and their ids. */"
    yield "\n".join(f"#define CK_TEXT_{name} {number}u" for name, number in numbers.items())
    yield _array("uint8_t", "words", packed.words)
    yield _array("uint32_t", "starts", packed.starts)
    yield _array("uint8_t", "ids", packed.ids)


def _unicode() -> Iterable[str]:
    """Yield the definitions that say what characters are and what their lower case is."""
    here = Unicode.here()
    yield (
        f"/* Unicode {unicodedata.unidata_version}: where sets of characters begin and end, and"
        " lower cases. */"
    )
    sets: dict[str, Edges] = {
        "word": here.word,
        "space": here.space,
        "cased": here.cased,
        "passed": here.passed,
    }
    for name, edges in sets.items():
        yield _array("uint16_t", f"{name}_edges", edges.edges)
        yield _array("uint16_t", f"{name}_planes", edges.planes)
    yield f"#define CK_TEXT_LOWERS {len(here.lowers)}u"
    yield _array("uint32_t", "lower_firsts", [run.first for run in here.lowers])
    yield _array("uint8_t", "lower_spans", [run.span for run in here.lowers])
    yield _array("uint8_t", "lower_steps", [run.step for run in here.lowers])
    yield _array("uint32_t", "lower_shifts", [run.shift % (1 << 32) for run in here.lowers])
    width = 2 + max(map(len, here.severals.values()))
    rows = [(code, *to, *[0] * (width - 1 - len(to))) for code, to in here.severals.items()]
    yield f"#define CK_TEXT_SEVERALS {len(rows)}u"
    listed = ",\n".join(f"    {{{', '.join(f'{code}u' for code in row)}}}" for row in rows)
    yield f"static const uint32_t ck_text_severals[][{width}] = {{\n{listed}\n}};"


def _array(kind: str, name: str, values: Iterable[int]) -> str:
    return array(kind, f"text_{name}", np.fromiter(values, dtype=np.int64))
