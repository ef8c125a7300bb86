"""Exports to C give the integer engine's numbers, or say where they begin to differ."""

import ctypes
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from c_network import SANITIZED, STRICT, compiler, exported, needs
from made_network import LONGEST, answered, frozen_network

from calibkit.engine.integer.decoder import BLOCK, LEAST_TOTAL
from calibkit.errors import Infeasible
from calibkit.export.c.source import export_c

KINDS = ("discriminative", "generative")
MIXED = {"preset": "robust-mixed"}
WIDE = {"symmetric": False, "separate_io": True}
OWN = {"separate_io": True, "weights": "per-channel"}


# -------------------------------------------------------------------------------------- parity


@pytest.mark.parametrize(
    ("bits", "given"),
    [
        (8, {}),
        (8, WIDE),
        (4, {}),
        (4, OWN),
        (4, MIXED),
        (3, {}),
        (3, {"preset": "robust", **WIDE}),
        (3, {"site_bits": {"embedding": 5, "lstm.weight_*": 6}}),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_labels_and_scores_are_those_of_the_integer_engine(make, kind, bits, given):
    if kind == "generative" and "separate_io" in given:
        given = {**given, "separate_hv": True}
    found = make(kind, bits=bits, **given)
    assert len(np.unique(found.tested.scores[:, 0])) > 5
    parity = found.checked((*STRICT, "-O1"))
    assert (parity.documents, parity.texts) == (25, 0)
    assert parity.object_bytes > len(found.frozen.vocabulary) * bits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [8, 4])
def test_kernels_of_this_very_machine_give_the_same_numbers(make, kind, bits):
    """Some multiply bytes, others pairs of them: what the compiler chooses changes nothing."""
    make(kind, bits=bits, preset="robust").checked(("-O3", "-march=native"))


@pytest.mark.parametrize("kind", KINDS)
def test_texts_lead_to_the_same_numbers(make, kind):
    parity = make(kind, text=True, name="reader").checked((*STRICT, "-O1"))
    assert (parity.documents, parity.texts) == (25, 25)


SEVERAL_BLOCKS = {"vocabulary": 2 * BLOCK + 100, "hidden": 21, "embedding": 30, "labels": 5}


@pytest.mark.parametrize("group", [1, 3, 8])
def test_a_vocabulary_of_several_blocks(make, group):
    found = make("generative", bits=8, shape=SEVERAL_BLOCKS)
    found.checked((*STRICT, "-O1", f"-DCK_GROUP={group}"))


def test_labels_far_below_the_others_are_summed_for_themselves(
    make_model, make_documents, tmp_path
):
    model, documents = make_model("generative"), make_documents(12)
    model.arrays["label_embedding.weight"] *= np.array([[8.0], [-8.0], [0.1]], dtype=np.float32)
    model.arrays["log_prior"][1] = -np.inf
    frozen = frozen_network(model, documents, bits=8)
    _, totals = frozen.head.sums(frozen.head.read[:1, None].expand(1, 16).clone())
    assert 0 < int((totals < LEAST_TOTAL).sum()) < totals.numel()
    exported(tmp_path, frozen, answered(frozen, documents)).checked()


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_sanitizers_find_nothing(make, tmp_path, kind, text):
    needs(tmp_path, "cc", *SANITIZED)
    make(kind, text=text, bits=4 if text else 8).checked(("-O1", *SANITIZED))


@pytest.mark.parametrize("command", ["gcc", "clang"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_compilers_build_it_without_a_warning(make, tmp_path, kind, command):
    needs(tmp_path, command)
    make(kind, text=True, **OWN).checked((*STRICT, "-O2"), compiler=command)


ELSEWHERE = {
    "32 bits": ("gcc", ("-m32",), ()),
    "arm": ("arm-linux-gnueabihf-gcc", (), ("qemu-arm", "-L", "/usr/arm-linux-gnueabihf")),
    "big-endian": ("s390x-linux-gnu-gcc", (), ("qemu-s390x", "-L", "/usr/s390x-linux-gnu")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("machine", ELSEWHERE)
def test_other_machines_give_the_same_numbers(make, tmp_path, kind, machine):
    command, flags, run = ELSEWHERE[machine]
    needs(tmp_path, command, *flags, run=run)
    found = make(kind, text=True, **MIXED)
    found.checked((*STRICT, "-O1", *flags), compiler=command, run=run)


# ---------------------------------------------------------------------------------- differences


def corrupted(found, name, value):
    """Put one number all over an array."""
    source = found.source.read_text()
    head, rest = source.split(f"ck_{name}[", 1)
    size, rest = rest.split("] = {", 1)
    body, rest = rest.split("};", 1)
    listed = ",".join([str(value)] * (body.count(",") + 1))
    found.source.write_text(f"{head}ck_{name}[{size}] = {{{listed}}};{rest}")


@pytest.mark.parametrize(
    ("kind", "array", "value", "site"),
    [
        ("discriminative", "words", 0, "lstm.io"),
        ("discriminative", "gate_weights", 1, "lstm.acc_input"),
        ("discriminative", "sigmoid_forget", 1, "lstm.sigmoid_forget"),
        ("discriminative", "tanh_codes", 1, "lstm.tanh_hidden"),
        ("discriminative", "label_weights", 1, "classifier"),
        ("generative", "decoder_codes", 1, r"decoder\.input"),
        ("generative", "label_logits", 1, "decoder"),
        ("generative", "powers", 1000000000, "decoder"),
    ],
)
def test_what_differs_is_named_with_its_site(make, kind, array, value, site):
    found = make(kind)
    corrupted(found, array, value)
    with pytest.raises(Infeasible) as raised:
        found.checked()
    told = str(raised.value)
    assert f"differs first at {site}, step".replace("\\", "") in told, told
    assert "of 25 documents, read as ids; document 0" in told and "expected" in told


@pytest.mark.parametrize(
    ("ratio", "site"), [("kept", "lstm.cell"), ("fresh", "lstm.cell"), ("shown", "lstm.io")]
)
def test_a_wrong_ratio_is_named_with_its_site(make, ratio, site):
    found = make("discriminative", bits=8)
    found.corrupt(rf"ck_ratio ck_{ratio} = {{\d+, (\d+)u")
    with pytest.raises(Infeasible, match=rf"differs first at {site}, step \d+, unit \d+: "):
        found.checked()


def test_a_wrong_mean_is_named_with_its_site(make):
    found = make("discriminative", bits=8)
    found.corrupt(r"CK_MEAN_SHIFT (\d+)u")
    with pytest.raises(Infeasible, match=r"first at classifier\.input, step 2, unit \d+: "):
        found.checked()


def test_a_wrong_tokenizer_is_told_from_a_wrong_network(make):
    found = make("discriminative", text=True)
    corrupted(found, "text_ids", 7)
    with pytest.raises(Infeasible, match="read as text; document .* the tokenizer differs"):
        found.checked()


def test_scores_of_another_network_are_told_from_a_wrong_export(make):
    found = make("discriminative")
    scores = found.tested.scores.copy()
    scores[3] += 0.5
    found = replace(found, tested=replace(found.tested, scores=scores))
    with pytest.raises(Infeasible, match="1 of 25 documents.* document 3 has every number"):
        found.checked()


# ---------------------------------------------------------------------------------- how it is used


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
def test_documents_can_be_read_side_by_side_and_token_by_token(make, kind):
    library = Library(make(kind))
    documents = [[5, 6, 7] * 6, [40, 8, 9, 10, 11, 30, 31, 32, 33, 34]]
    states = [(ctypes.c_uint64 * 4096)() for _ in documents]
    for _ in range(2):  # a state can be used again
        for state in states:
            library.begin(state)
        for step in range(LONGEST):
            for state, ids in zip(states, documents, strict=True):
                if step < len(ids):
                    assert library.token(state, ids[step]) == 1
        for state, ids in zip(states, documents, strict=True):
            scores = (ctypes.c_int64 * library.labels)()
            assert library.token(state, 3) == 0
            assert (library.end(state, scores), list(scores)) == library.classify(ids)


def test_two_networks_go_into_one_program(make, tmp_path):
    first = make("discriminative", name="topic", text=True)
    other = tmp_path / "other"
    other.mkdir()
    export_c(make("generative").frozen, other, name="mood", text=True)
    library = Library(first, other / "mood.c")
    assert library.classify([5])[1] != [0, 0, 0] and library.of.mood_classify_ids is not None
    macros = (first.folder / "topic.h").read_text()
    assert "#define TOPIC_LABELS 3u" in macros and "CK_" not in macros and "ck_" not in macros


def test_labels_keep_their_names(frozen, tmp_path):
    network, tested = frozen("discriminative")
    names = ('a "b" \\ ??/ %s\n7', "größe 量", "")
    library = Library(exported(tmp_path, replace(network, labels=names), tested))
    library.label_name.restype = ctypes.c_char_p
    assert [library.label_name(n).decode() for n in (0, 1, 2, 3)] == [*names, ""]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_kept_and_nothing_is_called(make, tmp_path, kind):
    compiler("nm")
    found = make(kind, text=True)
    target = tmp_path / "network.o"
    subprocess.run([compiler(), "-std=c99", "-O2", "-c", found.source, "-o", target], check=True)
    listed = subprocess.run(["nm", target], check=True, capture_output=True, text=True).stdout
    symbols = [line.split()[-2:] for line in listed.splitlines()]
    assert not [name for kind, name in symbols if kind in "bBC"]  # nothing that could change
    moved = ("names", "gates")  # constant, but for the addresses in them
    assert all(name.split(".")[0].endswith(moved) for kind, name in symbols if kind in "dD")
    outside = {name.lstrip("_") for kind, name in symbols if kind == "U"}
    # what compilers themselves call
    assert outside <= {"memset", "memcpy", "memmove", "memcmp", "GLOBAL_OFFSET_TABLE_"}
    assert "float" not in found.source.read_text() and "double" not in found.source.read_text()


@pytest.mark.parametrize("text", [False, True])
def test_the_folder_builds_by_itself_and_its_example_answers(make, tmp_path, text):
    if shutil.which("cmake") is None:
        pytest.skip("no cmake on this machine")
    compiler()
    found = make("discriminative", name="topic", text=text)
    made = tmp_path / "made"
    for line in (["-S", tmp_path, "-B", made], ["--build", made]):
        subprocess.run(["cmake", *map(str, line)], check=True, capture_output=True)
    row = 1
    document = found.tested.texts[row] if text else " ".join(map(str, found.tested.tokens[row]))
    expected = found.frozen.labels[found.tested.predicted[row]]
    for given, stdin in (([document] if text else document.split(), ""), ([], document)):
        done = subprocess.run(
            [made / "example", *given], input=stdin, check=True, capture_output=True, text=True
        )
        lines = done.stdout.splitlines()
        assert lines[0] == expected and len(lines) == 4
        scores = np.array([float(line.split()[0]) for line in lines[1:]])
        nats = scores - np.log(np.exp(scores).sum())
        np.testing.assert_allclose(nats, found.tested.scores[row], atol=1e-5)
