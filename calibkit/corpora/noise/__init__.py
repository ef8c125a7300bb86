"""Noise on test documents: corruption kinds with coupled levels.

A kind says once, whatever the level, what would become of every position of a text (`Edits`). A
level p then takes the places whose uniform u is below p. Every document has one Philox stream per
(seed, document, kind), which draws u for ALL positions, and after them one more number for all
positions, from which replacements are chosen. So

- levels are coupled: what a level corrupts, every higher level corrupts, in the same way;
- neither the order of the documents nor the others among them nor the number of processes matters;
- level 0 is the identity, exactly;
- every model and every calibration subset is measured on the same noisy text.

Kinds (rates are per eligible place; a place is a character unless said otherwise):

===============  =========================================  ========================================
kind             eligible                                   what happens
===============  =========================================  ========================================
keyboard         ASCII letters and digits                   a key beside it (qwerty), case kept
substitute       letters and digits                         another Latin letter of its case, digit
delete           letters and digits                         left out
insert           letters and digits                         followed by a random one of its sort
repeat           letters and digits                         typed twice
case             letters with another case                  the other case
swap             pairs of neighbours within a word          the two change places
scramble-middle  words with two different inner characters  inner characters in another order
ocr              characters that scanners misread, rn ...   a character or two of the same shape
homoglyph        Latin letters with a foreign double        a Cyrillic, Greek or Armenian letter
space            white space; gaps inside a word            dropped; a space put in
word-drop        words                                      left out, with the space behind it
unk-match        tokens in the vocabulary                   ``<unk>`` (see below)
===============  =========================================  ========================================

Nothing overlaps: pairs of ``swap`` are disjoint (a keyed draw per word says whether they start at
its first or second character), and so are the one- and two-character places of ``ocr``; therefore
rates are binomial and levels nested place by place, not only in the number of errors.

``case`` cannot be seen by a tokenizer that lower-cases: it must change no score, which makes it a
check of the whole path.

``unk-match`` is the control for what noise does by making words unknown and by nothing else. In
each document it puts ``<unk>`` in the place of known words, in a keyed order, until the share of
unknown tokens is what ``keyboard`` with the same seed produces in that document at that level
(rounded to whole tokens; never below the clean share). Its levels are therefore keyboard's levels.
``unk-match-KIND`` does the same for another kind: ``unk-match-ocr`` at 0.10 has the unknown tokens
of ``ocr`` at 0.10. All controls share one order per document, so of two of them in one document
the one with more unknown tokens contains the other. They work on tokens (`corrupt_tokens`),
because no text can contain ``<unk>``.

A level that leaves every document as it was, which ``case`` does for the models, is not scored
again. One that leaves some (of AG News a quarter to a third at 0.01 per character, under 2 % at
0.05) is scored whole: batches are made by content, a document in another batch can differ in the
last bits of its float sums (measured for the float models and for the generative decoder), and so
sparing single documents would let the levels that a recipe lists move its numbers.
"""

from calibkit.corpora.noise.kinds import LEVELS, noise_kinds, noise_version
from calibkit.corpora.noise.texts import NoisyTexts, corrupt
from calibkit.corpora.noise.tokens import NoisyTokens, corrupt_tokens

__all__ = [
    "LEVELS",
    "NoisyTexts",
    "NoisyTokens",
    "corrupt",
    "corrupt_tokens",
    "noise_kinds",
    "noise_version",
]
