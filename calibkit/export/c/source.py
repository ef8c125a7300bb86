"""A frozen network as C99: one header, one source, a CMakeLists.txt and an example."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from calibkit.corpora.vocabulary import BOS, EOS, UNK
from calibkit.engine.integer import IntegerClassifier, IntegerDecoder
from calibkit.engine.integer.classifier import MOST_TOKENS
from calibkit.engine.integer.powers import ONE
from calibkit.engine.integer.scores import LN2
from calibkit.errors import BadInput
from calibkit.export.c.heads import classifier_constants, decoder_constants
from calibkit.export.c.literals import defines, part, quoted
from calibkit.export.c.recurrent import gate_columns, lstm_constants
from calibkit.export.c.text import TextPart, text_part
from calibkit.export.c.words import read_words
from calibkit.export.network import Frozen

MOST_COLUMNS = 1 << 14
"""Widest layer: sums of so many products of two bytes fit 32 bits."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

_STATE = """typedef struct {
  uint32_t steps; /* words read */
  int16_t cell[CK_HIDDEN], hidden[CK_HIDDEN_COLUMNS];
"""
_SUMS = """  int32_t sums[CK_HIDDEN]; /* of hidden states */
} ck_state;"""
_WAITING = """  uint32_t waiting; /* words that are not scored yet, and what follows each */
  uint32_t targets[CK_GROUP];
  int16_t codes[CK_GROUP][CK_HIDDEN];
  int64_t scores[CK_LABELS];
} ck_state;"""
_GROUP = """
/* So many words are scored at one time. With 1, the least memory is needed; 8 are up to three times
   as fast. It has to be the same wherever this header is read. */
#ifndef CK_GROUP
#define CK_GROUP 8
#endif"""

_LOGITS = """ * A score is log p(label | text), but for what all labels have in common, in nats
 * times 2^CK_SCORE_BITS; ck_nats makes a number of nats of it."""
_JOINT = """ * A score is log2 p(text, label) times 65536; ck_nats makes a number of nats of it.
 * Words are scored CK_GROUP at a time, which takes about CK_GROUP * (3072 + 3 * CK_HIDDEN + 8 *
 * CK_LABELS) + 8192 bytes of the stack."""

_NATS = """/* A score in nats; not used by any of the others. */
static inline double ck_nats(int64_t score) { return (double)score * CK_NAT; }"""

_CLASSIFY_HEADER = """
/* All of a whole text: its label, and the score of every label. */
uint32_t ck_classify(const char *utf8, size_t bytes, int64_t scores[CK_LABELS]);
"""
_CLASSIFY = """/* A whole text. */

static void ck_take(void *state, uint32_t id) { ck_token((ck_state *)state, id); }

uint32_t ck_classify(const char *utf8, size_t bytes, int64_t scores[CK_LABELS]) {
  ck_state state;
  ck_begin(&state);
  ck_read_text(utf8, bytes, ck_take, &state);
  return ck_end(&state, scores);
}
"""


def export_c(frozen: Frozen, folder: Path, *, name: str, text: bool) -> tuple[str, ...]:
    """Write a network as C99 into an existing folder; return the names of the files.

    ``<name>.h``, ``<name>.c``, ``CMakeLists.txt`` and ``example.c``. All that a program sees
    begins with ``name``, so that several networks go into one. text: whether the tokenizer and the
    vocabulary come along; without them a program reads token ids.

    Raises BadInput for a name that C does not take, and for a network that is too large.
    """
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} is no name for C; it starts with a small letter and has small letters,"
            " digits and underscores, 32 at most"
        )
    tokens = text_part(frozen.vocabulary, frozen.most_tokens) if text else None
    found = {
        f"{name}.h": _header(frozen, tokens),
        f"{name}.c": _source(frozen, tokens),
        "example.c": part("example_text.c" if text else "example_ids.c"),
        "CMakeLists.txt": part("CMakeLists.txt"),
    }
    for file, content in found.items():
        (folder / file).write_text(renamed(content, name), encoding="utf-8", newline="\n")
    return tuple(found)


def renamed(source: str, name: str) -> str:
    """Return C in which what starts with ``ck_`` starts with a network's name."""
    found = re.sub(r"\bck_", f"{name}_", source)
    found = re.sub(r"\bCK_", f"{name.upper()}_", found)
    return re.sub(r'"ck\.([ch])"', rf'"{name}.\1"', found)


def _header(frozen: Frozen, tokens: TextPart | None) -> str:
    generative = frozen.kind == "generative"
    state = _STATE + (_WAITING if generative else _SUMS)
    return Template(part("network.h")).substitute(
        title=f"A {frozen.kind} text classifier: {len(frozen.labels)} labels,"
        f" {len(frozen.vocabulary):,} words.",
        scores=_JOINT if generative else _LOGITS,
        constants=_sizes(frozen) + (_GROUP if generative else ""),
        state=state,
        nats=_NATS,
        text="" if tokens is None else tokens.declarations + _CLASSIFY_HEADER,
    )


def _sizes(frozen: Frozen) -> str:
    """Return the definitions of what a program may want to know."""
    rows, columns = frozen.arrays["embedding.weight"].shape
    hidden = frozen.lstm.width
    most = frozen.most_tokens
    if max(columns, hidden) > MOST_COLUMNS:
        raise BadInput(f"a layer is {max(columns, hidden)} wide; {MOST_COLUMNS} at most in C")
    if not 0 < most < MOST_TOKENS - 2:
        raise BadInput(f"documents of {most} tokens do not fit; 1 to {MOST_TOKENS - 3} do")
    of_input, of_hidden = gate_columns(frozen.network)
    numbers: dict[str, int | str] = {
        "GENERATIVE": int(frozen.kind == "generative"),
        "LABELS": f"{len(frozen.labels)}u",
        "WORDS": f"{rows}u /* ids are below it */",
        "MOST_TOKENS": f"{most}u",
        "UNK": f"{UNK}u",
        "BOS": f"{BOS}u",
        "EOS": f"{EOS}u",
        "EMBEDDING": f"{columns}u",
        "HIDDEN": f"{hidden}u",
        "INPUT_COLUMNS": f"{of_input}u",
        "HIDDEN_COLUMNS": f"{of_hidden}u",
    }
    if isinstance(frozen.head, IntegerClassifier):
        numbers["SCORE_BITS"] = frozen.head.logits.shift
        numbers["NAT"] = f"{2.0**-frozen.head.logits.shift!r} /* 2^-CK_SCORE_BITS */"
    else:
        numbers["NAT"] = f"{LN2 / ONE!r} /* ln 2 / 65536 */"
    return defines(numbers)


def _source(frozen: Frozen, tokens: TextPart | None) -> str:
    words, codes = read_words(frozen.network)
    lstm = f"{words.constants()}\n\n{lstm_constants(frozen.network, frozen.lstm, codes)}"
    if isinstance(frozen.head, IntegerDecoder):
        head = Template(part("decoder.c")).substitute(constants=decoder_constants(frozen.head))
    else:
        head = Template(part("classifier.c")).substitute(
            constants=classifier_constants(frozen.head)
        )
    names = ", ".join(map(quoted, frozen.labels))
    found = [
        "/* Written by calibkit; what it does stands in the header. */\n",
        '#include "ck.h"\n',
        Template(part("lstm.c")).substitute(constants=lstm),
        head,
        Template(part("calls.c")).substitute(names=names),
    ]
    if tokens is not None:
        found += [tokens.constants, tokens.code, _CLASSIFY]
    return "\n".join(found)
