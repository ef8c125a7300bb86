"""What every kind of noise on text keeps: coupling, independence, identity, rates."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.corpora.noise import LEVELS, corrupt, noise_kinds, noise_version
from calibkit.corpora.noise import texts as noise_texts
from calibkit.corpora.noise.kinds import KINDS
from calibkit.errors import BadInput, UnknownName

KIND = st.sampled_from(sorted(KINDS))
CHARACTERS = st.one_of(
    st.sampled_from("the clarinet, ri rn cl MO01 __ 9"),
    st.characters(max_codepoint=0x1FFFF),  # unpaired surrogates too
)
TEXTS = st.lists(st.text(CHARACTERS, max_size=60), max_size=8)
LEVEL = st.floats(0, 1)
ODD = [
    "",
    " ",
    "a",
    "é",
    "a b c",
    "1",
    "_",
    "ß ﬁ ǆ",
    "東京",
    "𝔘nicode 🙂",
    "\ud800",
    "  two  gaps ",
]


def ids_of(texts):
    return [f"d1-{number:020x}" for number in range(len(texts))]


def test_all_kinds_are_there():
    assert set(KINDS) == {
        *("keyboard", "substitute", "delete", "insert", "repeat", "swap", "scramble-middle"),
        *("ocr", "case", "space", "homoglyph", "word-drop"),
    }
    assert {*KINDS, "unk-match", "unk-match-ocr"} < set(noise_kinds())
    assert noise_kinds() == tuple(sorted(noise_kinds()))
    assert LEVELS == (0.01, 0.02, 0.05, 0.10, 0.15, 0.20, 0.30)


# Another result would change every stored noise row: raise the version of the kind then.
GOLDEN = {
    "case": "MoDErn sCAnneRs record 10 criMinal cLaIms, Only 32 faiL.",
    "delete": "Mern scars reord 1 criminal caims, oly 3 al.",
    "homoglyph": "\u041c\u03bfdern s\u03f2an\u0578er\u0455 r\u0435\u0441ord 10 \u0441rim\u0456na\u04cf cla\u0456ms, \u043enly 32 fail.",  # noqa: E501
    "insert": "MYodern scaxnners refcorwd 105 crimitnali claims, onlyc 362 fvail.",
    "keyboard": "Moderh scwnnwrs reclrd 1o crjm9nap claima, obly 33 fail.",
    "ocr": "Maclem scanners reeorcl 10 crirninol claims, anly 32 tail.",
    "repeat": "MModernn sccaannneers rreecorrd 10 crimminnal claims, oonlly 32 fail.",
    "scramble-middle": "Modern scanners record 10 criminal caimls, olny 32 fial.",
    "space": "Mo d ern scan nersre cord 10 cr iminal c l aims, o n ly 32f ail.",
    "substitute": "Modern mcanfers rkcogd 10 yriminab blazms, only 32 rail.",
    "swap": "oMdern csannesr rceord 10 rcimnial cliams, only 32 afil.",
    "word-drop": "Modern scanners record 10 claims, 32 fail.",
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_noise_is_this_one(kind):
    text = "Modern scanners record 10 criminal claims, only 32 fail."
    assert corrupt([text], ["d1-0"], kind, 0.3, 0).texts == (GOLDEN[kind],)
    assert noise_version(kind) == 1


@pytest.mark.parametrize(
    ("level", "digest", "changed"),
    [
        (0.01, "964e18ab08c7199096fde5efcd59cde8", 57),
        (0.05, "840c21bd2867ce5b448e14f362ad1b19", 257),
        (0.3, "efb2bd969d81994511c521a4657c8ea3", 1503),
        (1.0, "b6d3d97abda613fcb584133d14259c98", 4916),
    ],
)
def test_keyboard_noise_of_many_documents_is_this_one(level, digest, changed):
    texts = [
        (
            f"Number {n}: The Quick brown fox, naïve café 東京 {n * 7919} jumps over THE lazy "
            "dog's Ωmega; ß x. "
        )
        * (n % 5)
        for n in range(40)
    ]
    noisy = corrupt(texts, ids_of(texts), "keyboard", level, 7)
    assert hashlib.md5("\n".join(noisy.texts).encode()).hexdigest() == digest
    assert (noisy.eligible, noisy.changed) == (4916, changed)


@given(KIND, TEXTS, LEVEL, st.randoms(), st.integers(0, 9))
def test_noise_depends_on_a_document_and_not_on_the_others(kind, texts, level, random, seed):
    ids = ids_of(texts)
    straight = corrupt(texts, ids, kind, level, seed)
    some = random.sample(range(len(texts)), random.randint(0, len(texts)))
    mixed = corrupt([texts[i] for i in some], [ids[i] for i in some], kind, level, seed)
    assert mixed.texts == tuple(straight.texts[i] for i in some)
    alone = [corrupt([t], [i], kind, level, seed) for t, i in zip(texts, ids, strict=True)]
    assert straight.texts == tuple(one.texts[0] for one in alone)
    assert straight.changed == sum(one.changed for one in alone)
    assert straight.eligible == sum(one.eligible for one in alone)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_noise_does_not_depend_on_how_much_is_corrupted_together(kind, monkeypatch):
    texts = ["rn in words", "", "one more, with claims", "x", "a b", " "] * 3
    at_once = corrupt(texts, ids_of(texts), kind, 0.4, 1)
    for block in (1, 12, 30):
        monkeypatch.setattr(noise_texts, "AT_ONCE", block)
        assert corrupt(texts, ids_of(texts), kind, 0.4, 1) == at_once


@given(KIND, TEXTS, st.integers(0, 9))
def test_level_zero_is_the_identity(kind, texts, seed):
    noisy = corrupt(texts, ids_of(texts), kind, 0.0, seed)
    assert noisy.texts == tuple(texts)
    assert noisy.changed == 0
    assert noisy.realised_rate == noisy.length_drift == 0.0


@given(KIND, TEXTS, LEVEL, LEVEL, st.integers(0, 9))
def test_a_higher_level_corrupts_as_many_of_the_same_places(kind, texts, one, other, seed):
    low, high = sorted((one, other))
    less = corrupt(texts, ids_of(texts), kind, low, seed)
    more = corrupt(texts, ids_of(texts), kind, high, seed)
    assert less.changed <= more.changed <= more.eligible == less.eligible
    for clean, slightly, heavily in zip(texts, less.texts, more.texts, strict=True):
        if heavily == clean:
            assert slightly == clean


@given(KIND, TEXTS, st.integers(0, 9))
def test_level_one_changes_every_document_with_an_eligible_place(kind, texts, seed):
    for text in [*texts, *ODD]:
        noisy = corrupt([text], ["d"], kind, 1.0, seed)
        assert noisy.changed == noisy.eligible
        assert (noisy.texts[0] != text) == (noisy.eligible > 0)
        assert len(noisy.texts[0]) == pytest.approx(len(text) * (1 + noisy.length_drift))


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("level", LEVELS)
def test_the_realised_rate_is_the_level(kind, level):
    texts = [f"Plain letters and {n} digits, claims of modern horn players" for n in range(1500)]
    noisy = corrupt(texts, ids_of(texts), kind, level, 0)
    sigma = np.sqrt(level * (1 - level) / noisy.eligible)
    assert noisy.eligible > 5_000
    assert abs(noisy.realised_rate - level) < 4.5 * sigma
    assert noisy.changed == round(noisy.realised_rate * noisy.eligible)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_seeds_and_documents_have_streams_of_their_own(kind):
    text = "the same claims of horn players " * 5
    one = corrupt([text, text], ["d1-a", "d1-b"], kind, 0.3, 0).texts
    assert one[0] != one[1]
    assert corrupt([text], ["d1-a"], kind, 0.3, 1).texts[0] != one[0]


def test_none_is_a_kind_with_one_level():
    assert corrupt(["a"], ["d"], "none", 0.0, 0).texts == ("a",)
    with pytest.raises(BadInput, match="only level is 0"):
        corrupt(["a"], ["d"], "none", 0.1, 0)


def test_no_documents_are_no_problem():
    for kind in KINDS:
        noisy = corrupt([], [], kind, 0.5, 0)
        assert (noisy.texts, noisy.realised_rate, noisy.length_drift) == ((), 0.0, 0.0)


def test_unknown_kinds_and_impossible_levels_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'keyboard'"):
        corrupt([], [], "keybord", 0.1, 0)
    for level in (-0.1, 1.5, float("nan")):
        with pytest.raises(BadInput, match="between 0 and 1"):
            corrupt([], [], "keyboard", level, 0)
    with pytest.raises(BadInput, match="2 texts but 1 document ids"):
        corrupt(["a", "b"], ["d"], "keyboard", 0.1, 0)
    with pytest.raises(BadInput, match="unk-match-ocr: .* use corrupt_tokens"):
        corrupt(["a"], ["d"], "unk-match-ocr", 0.1, 0)
