"""The cases: the reference is the reference, fast ways are right, and wrong ones are found out."""

import numpy as np
import pytest
import torch

from calibkit.bench import cell, inputs, integer, noise_loop, plain_path
from calibkit.bench.engine import forward, quantized, same_scores, sample_of, scoring
from calibkit.bench.ks import distances
from calibkit.bench.noise import all_levels, kind_of_noise
from calibkit.bench.timing import Stages
from calibkit.bench.train import generative
from calibkit.corpora.noise import corrupt, noise_kinds
from calibkit.engine import native
from calibkit.engine.plain import evaluate

ENGINES = ["torch"] + (["native"] if native.available() else [])


def outcomes(case, engines):
    return {name: case.works[name](Stages()) for name in ("plain", *engines)}


# ------------------------------------------------------------------------------------- inputs


def test_documents_are_as_long_as_news_and_some_words_are_frequent():
    made = inputs.documents(400, 1_000)
    assert len(made) == 400 and 44 <= float((made.lengths - 2).mean()) <= 48
    assert made.lengths.min() >= 6 and made.lengths.max() <= 82
    assert all(one[0] == 2 and one[-1] == 3 for one in (made[row] for row in range(400)))
    counts = np.bincount(made.ids, minlength=1_000)[4:]
    assert counts[0] > 5 * counts[200:300].mean() and len(made.ids) > 0 and made.ids.max() < 1_000
    assert np.array_equal(made.ids, inputs.documents(400, 1_000).ids)


def test_noisy_documents_keep_their_shape():
    clean = inputs.documents(50, 200)
    noisy = inputs.with_noise(clean, 0.2)
    changed = noisy.ids != clean.ids
    assert 0.15 < changed.mean() < 0.25 and (noisy.ids[changed] == 1).all()
    assert np.array_equal(noisy.offsets, clean.offsets)


def test_texts_have_capitals_digits_and_full_stops():
    made = inputs.texts(30, types=500)
    joined = " ".join(made)
    assert any(c.isupper() for c in joined) and any(c.isdigit() for c in joined)
    assert all(text.endswith(".") for text in made) and made == inputs.texts(30, types=500)


# ---------------------------------------------------------------------------------- plain path


@pytest.mark.parametrize("kind", ["discriminative", "generative"])
def test_the_plain_path_scores_as_the_plain_engine_does(kind):
    network = quantized(kind, 150, 3, 8).network
    tokens = inputs.documents(70, 150)  # two batches
    with torch.inference_mode():
        found = plain_path.scores(network, tokens)
    expected = evaluate(network, tokens, inputs.label_ids(70, 3)).scores
    assert same_scores(expected, found)


@pytest.mark.parametrize("kind", ["discriminative", "generative"])
def test_the_plain_path_sees_every_real_value_of_every_site_once(kind):
    from calibkit.engine.statistics import values_per_site

    network = quantized(kind, 120, 2, 8).network
    tokens = inputs.documents(70, 120)
    arrays = inputs.float_weights(kind, 120, 2).arrays
    expected = values_per_site(kind, arrays, tokens)
    if kind == "generative":  # its h half alone
        expected["decoder.input"] //= 2 * 2
    found = plain_path.site_values(network, tokens)
    assert {site: len(values) for site, values in found.items()} == expected


# ------------------------------------------------------------------------------------- engines


@pytest.mark.parametrize("bits", [8, 3])
def test_hidden_states_are_compared_bit_by_bit(bits):
    case = forward(kind="discriminative", documents=70, vocabulary=150, bits=bits)
    done = outcomes(case, ENGINES)
    for engine in ENGINES:
        assert case.right(done["plain"], done[engine]) == {"forward": True}
    (batch, states), *others = done["torch"]
    moved = states.clone()
    moved[3, 5] = torch.nextafter(moved[3, 5], torch.tensor(2.0))
    assert case.right(done["plain"], [(batch, moved), *others]) == {"forward": False}


def test_generative_scores_are_compared_within_float_noise():
    case = scoring(documents=20, vocabulary=150, labels=5, bits=8)
    assert case.what == "generative scoring, V 0.15k, 5 labels"
    done = outcomes(case, ENGINES)
    for engine in ENGINES:
        assert case.right(done["plain"], done[engine]) == {"scoring": True}
    assert case.right(done["plain"], done["torch"] * 1.001) == {"scoring": False}


def test_integer_states_are_compared_with_the_torch_implementation():
    case = integer.forward(documents=70, vocabulary=150, bits=8)
    done = outcomes(case, ENGINES)
    for engine in ENGINES:
        assert case.right(done["plain"], done[engine]) == {"forward": True}
        told = case.told(done["plain"], done[engine])
        assert 0.99 < told["codes_agree"] <= 1 and told["argmax_agree"] > 0.95
    (batch, states), *others = done["torch"]
    moved = states.clone()
    moved[3, 5] += float(states.abs().max()) / 2
    assert case.right(done["plain"], [(batch, moved), *others]) == {"forward": False}
    before = case.told(done["plain"], done["torch"])["codes_agree"]
    after = case.told(done["plain"], [(batch, moved), *others])["codes_agree"]
    assert after < before


def test_integer_scores_are_compared_with_the_torch_implementation():
    case = integer.scoring(documents=20, vocabulary=150, labels=5, bits=8)
    assert case.what == "integer scoring, V 0.15k, 5 labels"
    done = outcomes(case, ENGINES)
    for engine in ENGINES:
        assert case.right(done["plain"], done[engine]) == {"scoring": True}
        assert case.told(done["plain"], done[engine]) == {"argmax_agree": 1.0}
        assert same_scores(done["plain"], done[engine])
    assert case.right(done["plain"], np.nextafter(done["torch"], 0)) == {"scoring": False}
    assert case.told(done["plain"], -done["torch"])["argmax_agree"] < 0.5


def test_only_clear_predictions_must_agree():
    a = np.array([[-100.0, -100.001], [-50.0, -70.0]])
    assert same_scores(a, a[:, :] + np.array([[-0.002, 0.0], [0.0, 0.0]]))
    assert not same_scores(a, a[:, ::-1])


def test_a_sample_is_spread_evenly_and_no_larger_than_what_there_is():
    tokens = inputs.documents(10, 50)
    assert sample_of(tokens, 4).tolist() == [0, 3, 6, 9]
    assert sample_of(tokens, 99).tolist() == list(range(10))


# --------------------------------------------------------------------------------------- cells

SIZES = {"documents": 40, "vocabulary": 200, "labels": 3, "bits": 8}


@pytest.mark.parametrize("kind", ["discriminative", "generative"])
def test_a_whole_cell_is_right_stage_by_stage(kind):
    case = cell.cell(kind=kind, subset=24, sample=16, **SIZES)
    assert case.what == f"{kind} cell" and case.facts["plain_documents"] == 16
    stages = ["ranges", "rounding", "evaluate", "statistics"]
    clocks = {name: Stages() for name in ("plain", "torch")}
    done = {name: case.works[name](clock) for name, clock in clocks.items()}
    assert [list(clock.seconds) for clock in clocks.values()] == [stages, stages]
    assert case.right(done["plain"], done["torch"]) == dict.fromkeys(stages, True)
    found = done["torch"]
    site = next(iter(found.shifts))
    moved = cell.Outcome(found.scores - 1.0, found.shifts | {site: found.shifts[site] + 1e-6})
    judged = case.right(done["plain"], moved)
    assert not judged["evaluate"] and not judged["statistics"]


def test_a_second_bit_width_is_the_same_with_shared_statistics():
    case = cell.second_bits(kind="generative", subset=20, **SIZES)
    done = outcomes(case, ["torch"])
    assert case.right(done["plain"], done["torch"]) == {"calibrate": True}


def test_workers_are_compared_by_the_scores_they_found():
    case = cell.evaluation(kind="discriminative", **SIZES)
    first, again = (case.works["torch"](Stages()) for _ in range(2))
    assert case.right(first, again) == {"evaluate": True}
    assert first.fingerprint != cell.Outcome(first.scores + 1e-12, {}).fingerprint


# ------------------------------------------------------------------ distances, noise, training


def test_distances_are_those_of_scipy():
    case = distances(values=3_000, bits=[8, 2])
    done = outcomes(case, ["numpy"])
    assert case.right(done["plain"], done["numpy"]) == {"distance": True}
    assert 0 < done["numpy"][0] < done["numpy"][1] < 1
    assert case.right(done["plain"], [d + 1e-6 for d in done["numpy"]]) == {"distance": False}


@pytest.mark.parametrize("kind", noise_kinds())
def test_the_loop_over_characters_does_what_the_arrays_do(kind):
    case = kind_of_noise(kind=kind, documents=30, sample=20, level=0.3)
    done = outcomes(case, ["numpy"])
    assert case.right(done["plain"], done["numpy"]) == {"noise": True}
    assert done["plain"] != kind_of_noise(kind=kind, documents=30, sample=20, level=0.0).works[
        "plain"
    ](Stages())


def test_the_loop_agrees_on_texts_nobody_would_choose():
    texts = ["", " ", "ab", "rnrn clri", "Ünïcödé ΑΒΓ 123_x", "a_b  c\t d", "illicit cl", "ıİß"]
    ids = [f"d1-{n}" for n in range(len(texts))]
    for kind in (*noise_loop.CHOICES, *noise_loop.WORD_KINDS):
        for level in (0.2, 0.7, 1.0):
            expected = list(corrupt(texts, ids, kind, level, 3).texts)
            assert noise_loop.corrupt(texts, ids, kind, level, 3) == expected, kind


def test_all_levels_are_encoded_alike():
    case = all_levels(documents=20, sample=10, levels=(0.05, 0.3))
    done = outcomes(case, ["numpy"])
    assert case.right(done["plain"], done["numpy"]) == {"noise": True}
    assert len(done["numpy"]) == 2 and len(done["numpy"][0]) == 20


def test_an_epoch_of_training_ends_with_the_same_loss():
    case = generative(documents=70, vocabulary=100, labels=3)
    done = outcomes(case, ["torch"])
    assert case.right(done["plain"], done["torch"]) == {"epoch": True}
    assert case.right(done["plain"], done["torch"] * 1.001) == {"epoch": False}
