"""Subsets of documents that generators make, on the command line's path."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.corpora.reading import find_corpus
from calibkit.corpora.text import clean, tokenize
from calibkit.corpora.vocabulary import EOS, Vocabulary
from calibkit.curate.encoding import Encoder, Library, artefacts_of
from calibkit.curate.subsets import SubsetBuilder, build_subset, find_model, read_subset
from calibkit.curate.synthetic import LibrarySource
from calibkit.errors import BadInput, Infeasible
from calibkit.models.checkpoints import from_arrays
from calibkit.models.writing import write
from calibkit.policies import make_policy
from calibkit.store import Store, insert


@pytest.fixture(scope="module")
def modelled(modelled_store, tmp_path_factory):
    """A store with untrained models of both kinds that know their vocabulary."""
    folder = tmp_path_factory.mktemp("made")
    path = folder / modelled_store.path.name
    shutil.copyfile(modelled_store.path, path)
    shutil.copytree(f"{modelled_store.path}.d", f"{path}.d")
    store, models, rows = Store(path), {}, []
    with store.reading() as con:
        corpus = find_corpus(con, "made")
        old = {kind: find_model(con, name) for kind, name in modelled_store.models.items()}
    for number, (kind, model) in enumerate(old.items()):
        found = artefacts_of(store).load("model", model.key)
        vocabulary = Encoder.of(Library(store, corpus, 1.0), model.settings).vocabulary
        key, models[kind] = f"k1-{number + 8:016x}", f"m1-{number + 8:016x}"
        config = {**found.config, "vocabulary_id": vocabulary.id}
        tensors = dict(found.tensors)
        if kind == "generative":  # an end now and then
            tensors["decoder.bias"] = tensors["decoder.bias"] + np.float32(2.0) * (
                np.arange(len(vocabulary)) == EOS
            )
        artefacts_of(store).save("model", key, tensors, config)
        rows.append(
            {"model_key": key, "model_id": models[kind], "kind": kind, "share": 1.0, "seed": 0}
            | {"corpus_id": corpus.corpus_id, "settings": model.settings.as_dict()}
        )
    with store.writing() as con:
        insert(con, "models", rows)
    return store, models


@pytest.fixture
def own(modelled, tmp_path):
    """The same store, of this test's own."""
    store, models = modelled
    path = tmp_path / store.path.name
    shutil.copyfile(store.path, path)
    shutil.copytree(f"{store.path}.d", f"{path}.d")
    return Store(path), models


def rows(store, query):
    with store.reading() as con:
        return con.execute(query).fetchall()


def test_a_written_subset_is_stored_whole_and_found_again(own):
    store, models = own
    writer = make_policy("self-calibration", {"top_p": 0.9})
    first = build_subset(store, "made", writer, size=24, seed=1, model=models["generative"])
    again = build_subset(store, "made", writer, size=24, seed=1, model=models["generative"])
    assert (first.existed, again.existed) == (False, True)
    assert again.doc_ids == first.doc_ids
    assert again.profile == first.profile
    assert first.profile.documents == 24
    assert first.profile.label_mix == pytest.approx({"art": 1 / 3, "sea": 1 / 3, "sky": 1 / 3})
    assert rows(store, "SELECT count(*) FROM documents WHERE split = 'synthetic'") == [(24,)]
    asked = rows(store, "SELECT policy, model_id FROM subset_requests WHERE policy LIKE 'self%'")
    assert asked == [("self-calibration", models["generative"])]
    told = rows(store, "SELECT subset_id, position, doc_id FROM synthetic ORDER BY position")
    assert told == [(first.subset_id, i, doc_id) for i, doc_id in enumerate(first.doc_ids)]


def test_a_larger_written_subset_begins_with_the_smaller_one(own):
    """And shares its documents in the store: they are the same ones."""
    store, models = own
    writer = make_policy("self-calibration")
    how = {"seed": 0, "model": models["generative"]}
    small = build_subset(store, "made", writer, size=9, **how)
    large = build_subset(store, "made", writer, size=30, **how)
    assert large.doc_ids[:9] == small.doc_ids
    assert rows(store, "SELECT count(*) FROM documents WHERE split = 'synthetic'") == [(30,)]
    assert rows(store, "SELECT count(*) FROM synthetic") == [(39,)]
    other = build_subset(store, "made", writer, size=9, seed=1, model=models["generative"])
    assert not set(other.doc_ids) & set(large.doc_ids)


def test_stored_texts_are_read_as_the_tokens_that_the_model_wrote(own):
    store, models = own
    with store.reading() as con:
        corpus, model = find_corpus(con, "made"), find_model(con, models["generative"])
    library = Library(store, corpus, 1.0)
    builder = SubsetBuilder(library)
    built = builder.build(make_policy("self-calibration"), 15, 4, model=model)
    found = artefacts_of(store).load("model", model.key)
    names = ("kind", "vocabulary", "labels", "embedding", "hidden", "label_dim")
    network = from_arrays(found.tensors, {name: found.config[name] for name in names})
    asked = {}

    class Listening(LibrarySource):
        def write(self, labels, seeds, **how):
            asked.update(labels=labels, seeds=seeds)
            return super().write(labels, seeds, **how)

    from calibkit.policies import Draw, make

    pool = builder._plain_pool
    made = make(
        make_policy("self-calibration"), pool, 15, Draw(4), Listening(library, "here", model)
    )
    number = {label: place for place, label in enumerate(corpus.labels)}
    written = write(
        network,
        np.array([number[label] for label in asked["labels"]]),
        asked["seeds"],
        most_tokens=model.settings.most_tokens,
    )
    stored = library.by_id(built.doc_ids)
    assert [document.text for document in made] == list(stored.texts)
    read = Encoder.of(library, model.settings).encode(stored.texts)
    assert read.ids.tolist() == written.ids.tolist()
    assert read.offsets.tolist() == written.offsets.tolist()
    assert max(read.lengths) <= model.settings.most_tokens + 2


WORDS = st.lists(
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8), max_size=12
)


@given(WORDS)
def test_any_type_of_any_text_survives_being_written(texts):
    """Whatever tokens a corpus has: joined, brought to normal form and read, they are the same."""
    types = sorted({token for text in texts for token in tokenize(clean(text))})
    source = LibrarySource.__new__(LibrarySource)
    text = source.text(types)
    assert tokenize(clean(text)) == types
    vocabulary = Vocabulary(("<pad>", "<unk>", "<bos>", "<eos>", *types))
    assert vocabulary.decode(vocabulary.encode([clean(text)])[0])[1:-1] == types


def test_noisy_copies_stand_beside_documents_of_the_pool(own):
    store, _ = own
    plain = build_subset(store, "made", make_policy("random"), size=20, seed=2)
    mix = make_policy("noise-mix", {"share": 0.4, "level": 1.0})
    built = build_subset(store, "made", mix, size=20, seed=2)
    made = dict(rows(store, "SELECT position, made_from FROM synthetic"))
    assert len(made) == 8
    for place, (doc_id, original) in enumerate(zip(built.doc_ids, plain.doc_ids, strict=True)):
        if place in made:
            assert made[place] == original != doc_id
        else:
            assert doc_id == original
    assert built.profile.label_mix == plain.profile.label_mix


def test_a_random_tokens_subset_knows_every_word(own):
    store, _ = own
    for draw in ("uniform", "unigram"):
        generator = make_policy("random-tokens", {"draw": draw})
        built = build_subset(store, "made", generator, size=12, seed=0)
        assert built.profile.oov_share == 0
        lengths = {length for (length,) in rows(store, "SELECT tokens FROM synthetic")}
        assert lengths <= {length for (length,) in rows(store, "SELECT tokens FROM documents")}


def test_the_prior_decides_the_mix_where_it_is_asked_to(own):
    """That of the hand-made model rises with the label's number: 1/6, 2/6, 3/6."""
    store, models = own
    writer = make_policy("self-calibration", {"mix": "prior"})
    built = build_subset(store, "made", writer, size=60, seed=0, model=models["generative"])
    shares = [built.profile.label_mix[label] for label in ("art", "sea", "sky")]
    assert shares == pytest.approx([1 / 6, 2 / 6, 3 / 6], abs=0.02)


def test_who_cannot_write_is_told_apart(own):
    store, models = own
    writer = make_policy("self-calibration")
    with pytest.raises(Infeasible, match=f"discriminative {models['discriminative']} cannot write"):
        build_subset(store, "made", writer, size=4, seed=0, model=models["discriminative"])
    with pytest.raises(BadInput, match="lets a generative float model write.*--model ID"):
        build_subset(store, "made", writer, size=4, seed=0)
    with pytest.raises(BadInput, match="leave --model out"):
        build_subset(
            store, "made", make_policy("noise-mix"), size=4, seed=0, model=models["generative"]
        )
    with pytest.raises(BadInput, match="has another vocabulary than corpus 'made'"):
        build_subset(store, "made", writer, size=4, seed=0, share=0.5, model=models["generative"])
    with pytest.raises(Infeasible, match="asked for 500 documents, the pool has"):
        build_subset(store, "made", make_policy("noise-mix"), size=500, seed=0)
    assert rows(store, "SELECT count(*) FROM documents WHERE split = 'synthetic'") == [(0,)]
    assert rows(store, "SELECT count(*) FROM synthetic_documents") == [(0,)]


def test_a_model_of_other_labels_does_not_write(own):
    """Its words may be the same: what it calls the first label is another one."""
    store, models = own
    with store.reading() as con:
        model = find_model(con, models["generative"])
    shelf = artefacts_of(store)
    found = shelf.load("model", model.key)
    other = {**found.config, "labels_in_order": ["sea", "art", "sky"]}
    shelf.save("model", "k1-00000000000000aa", found.tensors, other)
    with store.writing() as con:
        row = {"model_key": "k1-00000000000000aa", "model_id": "m1-other", "kind": "generative"}
        insert(con, "models", [row | {"settings": model.settings.as_dict()}])
    with pytest.raises(BadInput, match="labels sea, art, sky, corpus 'made' has art, sea, sky"):
        writer = make_policy("self-calibration")
        build_subset(store, "made", writer, size=4, seed=0, model="m1-other")


def test_a_subset_of_made_documents_can_be_read_by_its_id(own):
    store, models = own
    built = build_subset(
        store, "made", make_policy("self-calibration"), size=6, seed=0, model=models["generative"]
    )
    with store.reading() as con:
        assert read_subset(con, built.subset_id).doc_ids == built.doc_ids
