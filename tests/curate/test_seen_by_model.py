"""Arrays about a pool's documents: right rows, computed once, and told about."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from calibkit.curate import seen_by_model
from calibkit.curate.encoding import Encoder, artefacts_of
from calibkit.curate.float_models import load_model, network_of
from calibkit.curate.needs import MAKERS, pool_with
from calibkit.engine.documents import document_ranges
from calibkit.errors import BadInput, UnknownName
from calibkit.identity import content_id
from calibkit.models.scoring import score
from calibkit.policies import Pool, find_policy, policy_names
from calibkit.policies.candidates import ARRAYS, FeaturePolicy
from calibkit.policies.pool import MODEL_NEEDS, REMEDIES
from calibkit.quantize.sites import ACTIVATION_SITES

KINDS = ("discriminative", "generative")
LOOKED = ("hidden", "ranges", "moments", "gram", "margins")


@pytest.fixture
def pool(features):
    return Pool(features.doc_ids, ("any",) * 151, np.ones(151))


def looked_at(need, pool, features, model, **how):
    found = pool_with([need], pool, features.library, features.pool_split, model, **how)
    return found.arrays[need]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("need", LOOKED)
def test_what_is_there_is_not_computed_again(kind, need, features, trained, pool, monkeypatch):
    told = []
    first = looked_at(need, pool, features, trained[kind], tell=told.append)
    assert told == [f"looking at 151 documents through {kind} 0: {need}"]
    monkeypatch.delattr(seen_by_model, "load_model")  # whoever looks fails
    again = looked_at(need, pool, features, trained[kind], tell=told.append)
    assert np.array_equal(first, again)
    assert len(told) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_each_row_is_that_document_s(kind, features, trained, pool):
    model = trained[kind]
    found = load_model(features.library, model)
    tokens = Encoder.of(features.library, model.settings).encode(features.texts)
    alone = document_ranges(kind, found.tensors, tokens.take([77]))[0]
    ranges = looked_at("ranges", pool, features, model)
    assert ranges.shape == (151, len(ACTIVATION_SITES[kind]), 2)
    np.testing.assert_allclose(ranges[77], alone, rtol=1e-5, atol=1e-6)
    moments = looked_at("moments", pool, features, model)
    read = tokens.lengths - (kind == "generative")
    assert moments[:, 0, 0].tolist() == (read * 6).tolist()  # 6 numbers a word vector
    grams = looked_at("gram", pool, features, model).sum(axis=0, dtype=np.float64)
    expected = np.eye(len(grams)) * read.sum()
    np.testing.assert_allclose(grams, expected, atol=1e-3 * expected.max())
    scores = np.sort(score(network_of(found), tokens).log_scores, axis=1)
    margins = looked_at("margins", pool, features, model)
    np.testing.assert_allclose(margins, scores[:, -1] - scores[:, -2], rtol=1e-4, atol=1e-5)
    assert (margins >= 0).all()


def test_arrays_of_models_pools_and_shares_are_kept_apart(features, trained, pool, store):
    one = looked_at("ranges", pool, features, trained["generative"])
    other = looked_at("ranges", pool, features, trained["discriminative"])
    assert one.shape[1] == other.shape[1]
    assert not np.array_equal(one, other)
    few = replace(features, pool_split="valid")
    valid = Pool(few.doc_ids, ("any",) * 30, np.ones(30))
    assert len(looked_at("ranges", valid, few, trained["generative"])) == 30


def test_the_number_of_threads_makes_no_difference(features, trained, pool, monkeypatch):
    """Also where the caller lets torch have several."""
    before = torch.get_num_threads()
    seen = []
    real = network_of
    monkeypatch.setattr(
        seen_by_model,
        "network_of",
        lambda found: seen.append(torch.get_num_threads()) or real(found),
    )
    try:
        torch.set_num_threads(2)
        looked_at("margins", pool, features, trained["generative"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1]


def test_who_comes_second_waits_and_reads_what_the_first_computed(features, monkeypatch):
    """The second one asks while the first one computes; it may not begin to compute as well."""
    from threading import Event, Thread

    began, go_on, computed, told = Event(), Event(), [], []
    patient = replace(features, tell=told.append)

    def compute():
        computed.append(1)
        began.set()
        assert go_on.wait(30)
        return np.zeros((151, 2), dtype=np.float32)

    def ask():
        found.append(patient.kept(["slow"], compute, about="slowly"))

    found = []
    threads = [Thread(target=ask) for _ in range(2)]
    threads[0].start()
    assert began.wait(30)
    threads[1].start()
    threads[1].join(0.2)
    assert threads[1].is_alive()
    threads[1].join(1.5)
    assert told == [
        "looking at 151 documents slowly",
        "another process is looking at documents slowly; waiting for it",
    ]
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(found) == 2
    assert computed == [1]


def test_a_damaged_array_is_computed_anew(features, trained, pool, caplog):
    first = looked_at("margins", pool, features, trained["generative"])
    corpus = features.library.corpus.corpus_id
    key = content_id("artefact", ["feature", 1, "margins", "m1-generative", corpus, 1.0, "train"])
    shelf = artefacts_of(features.library.store)
    (note,) = (shelf.root / "feature").glob(f"{key}.json")
    note.chmod(0o644)
    note.write_text("{")
    assert np.array_equal(looked_at("margins", pool, features, trained["generative"]), first)
    assert "made anew" in caplog.text


def test_a_model_of_other_words_is_refused(features, trained, pool):
    other = replace(
        trained["generative"], settings=replace(trained["generative"].settings, min_count=3)
    )
    with pytest.raises(BadInput, match="another vocabulary than corpus 'made'.*--share"):
        looked_at("ranges", pool, features, other)


def test_a_model_must_be_named_and_the_need_must_be_known(features, pool):
    with pytest.raises(BadInput, match="ranges is looked up through a float model; name one"):
        looked_at("ranges", pool, features, None)
    with pytest.raises(UnknownName, match="'range'; did you mean 'ranges'"):
        looked_at("range", pool, features, None)


def test_every_need_of_every_policy_can_be_met():
    known = {*MAKERS, "tokens", "writer"}
    for name in policy_names():
        policy = find_policy(name)
        needs = set(policy.example().every_need)
        if issubclass(policy, FeaturePolicy):
            needs |= set(ARRAYS.values())
        unmet = {need for need in needs if need.partition(":")[0] not in known}
        assert not unmet, f"{name} needs {unmet}, which nothing makes"
    assert set(REMEDIES) <= known
    assert known >= MODEL_NEEDS
