"""A study whose calibration documents are made: noisy copies, random tokens, written texts."""

from __future__ import annotations

from collections import Counter

import pytest

from calibkit.corpora.reading import documents, find_corpus
from calibkit.corpora.text import tokenize
from calibkit.curate.encoding import Encoder, Library
from calibkit.curate.float_models import load_model, network_of
from calibkit.curate.subsets import build_subset, find_model
from calibkit.errors import RecipeError
from calibkit.models.scoring import score
from calibkit.models.training import train
from calibkit.policies import make_policy
from calibkit.recipe import load_recipe
from calibkit.sweep.plan import plan

MADE = {
    "name": "made-documents",
    "policies": {
        "random": {"use": "random"},
        "stratified": None,
        "nonsense": {"use": "random-tokens"},
        "noisy": {"use": "noise-mix", "share": 0.5, "level": 0.3},
        "own-words": {"use": "self-calibration", "mix": "prior"},
    },
    "grid": {"policy": ["random", "nonsense", "noisy", "own-words"], "bits": [8]},
    "measure": {"noise": None},
}


@pytest.fixture(scope="module")
def made(ingested, tmp_path_factory):
    """The recipe above, measured; never to be changed."""
    study = ingested.copy(tmp_path_factory.mktemp("made"))
    report = study.run(MADE)
    assert (report.measured, report.failed, report.missing) == (8, 0, 0)
    return study


def test_every_generator_gives_cells_and_a_second_run_has_nothing_to_do(made):
    rows = made.rows("SELECT policy, model, count(*) FROM results GROUP BY ALL")
    assert sorted(rows) == [
        (policy, model, 1)
        for policy in ("noisy", "nonsense", "own-words", "random")
        for model in ("discriminative", "generative")
    ]
    before = made.rows("SELECT * FROM documents ORDER BY ALL")
    assert made.run(MADE).measured == 0
    assert made.rows("SELECT * FROM documents ORDER BY ALL") == before


def test_one_model_writes_for_both_and_the_request_says_which(made):
    (writer,) = made.rows("SELECT model_id FROM models WHERE kind = 'generative'")
    asked = made.rows(
        "SELECT policy, model_id, subset_id FROM subset_requests WHERE policy = 'self-calibration'"
    )
    (subset,) = made.rows("SELECT DISTINCT subset_id FROM results WHERE policy = 'own-words'")
    assert asked == [("self-calibration", *writer, *subset)]
    assert (
        made.one(
            "SELECT count(DISTINCT model_id) FROM cells SEMI JOIN "
            f"(SELECT '{subset[0]}' AS subset_id) USING (subset_id)"
        )
        == 2
    )


def test_provenance_tells_who_made_what_from_what(made):
    rows = made.rows("SELECT generator, model_id IS NULL, made_from IS NULL, label FROM synthetic")
    kinds = Counter((generator, unwritten, new) for generator, unwritten, new, _ in rows)
    assert kinds == {
        ("random-tokens", True, True): 16,
        ("noise-mix", True, False): 8,
        ("self-calibration", False, True): 16,
    }
    assert made.one("SELECT count(*) FROM synthetic_documents") == 40
    # a noisy copy has its original's label, and the clean half of that subset is the pool's own
    assert (
        made.one(
            "SELECT count(*) FROM synthetic AS s JOIN documents AS d ON d.doc_id = s.made_from"
            " JOIN labels USING (corpus_id, label_id) WHERE labels.label <> s.label"
            " OR d.split <> 'train' OR d.text = s.text"
        )
        == 0
    )
    splits = made.rows(
        "SELECT d.split, count(*) FROM subset_documents JOIN documents AS d USING (doc_id)"
        " SEMI JOIN (SELECT subset_id FROM results WHERE policy = 'noisy') USING (subset_id)"
        " GROUP BY ALL"
    )
    assert sorted(splits) == [("synthetic", 8), ("train", 8)]


def test_the_corpus_is_what_it_was(made, ingested):
    with made.store.reading() as con, ingested.store.reading() as other:
        here, there = find_corpus(con, "made"), find_corpus(other, "made")
        assert here == there
        for split in ("train", "valid", "test"):
            assert documents(con, here, split).ids == documents(other, there, split).ids
        counted = "SELECT * EXCLUDE (ingested_at) FROM corpora"
        assert con.execute(counted).fetchall() == other.execute(counted).fetchall()


def test_what_was_written_is_read_as_the_tokens_that_were_drawn(made):
    """Every text is made of types of the vocabulary alone, and fits a model's length."""
    recipe = made.recipe(MADE)
    with made.store.reading() as con:
        corpus = find_corpus(con, "made")
    vocabulary = Encoder.of(
        Library(made.store, corpus, 1.0), recipe.models["generative"].settings
    ).vocabulary
    for text, tokens in made.rows(
        "SELECT text, tokens FROM synthetic WHERE generator = 'self-calibration'"
    ):
        assert text == " ".join(tokenize(text))
        assert vocabulary.oov_share([text]) == 0
        assert 1 <= tokens == len(tokenize(text)) <= 80


def test_the_discriminative_model_reads_the_label_that_was_asked_for(made, tmp_path):
    """Far more often than by chance, as it does for the documents of people."""
    study = made.copy(tmp_path / "own")
    writer = make_policy("self-calibration", {"temperature": 0.7})
    (name,) = (
        row[0] for row in study.rows("SELECT model_id FROM models WHERE kind = 'generative'")
    )
    how = {"size": 150, "seed": 5, "share": 1.0, "model": name}
    built = build_subset(study.store, "made", writer, **how)
    with study.store.reading() as con:
        corpus = find_corpus(con, "made")
        (other,) = con.execute(
            "SELECT model_id FROM models WHERE kind = 'discriminative'"
        ).fetchone()
        reader = find_model(con, other)
    library = Library(study.store, corpus, 1.0)
    found = library.by_id(built.doc_ids)
    tokens = Encoder.of(library, reader.settings).encode(found.texts)
    network = network_of(load_model(library, reader))
    assert (score(network, tokens).predicted == found.label_ids).mean() > 0.8  # 0.33 by chance


def test_a_study_of_the_discriminative_model_alone_trains_a_writer(fresh):
    only = {"grid": {"model": ["discriminative"], "policy": ["own-words"]}}
    planned = plan(fresh.store, fresh.recipe(MADE, only))
    (cell,) = planned.cells
    assert list(cell.models()) == [("discriminative", 0), ("generative", 0)]
    report = fresh.run(MADE, only)
    assert (report.measured, report.failed) == (1, 0)
    assert {kind for (kind,) in fresh.rows("SELECT kind FROM models")} == {
        "discriminative",
        "generative",
    }
    # the writer is an input of the plan: another one, another cell
    other = fresh.recipe(MADE, only, {"models": {"generative": {"epochs": 2}}})
    (again,) = plan(fresh.store, other).cells
    assert again.model_key == cell.model_key
    assert again.plan_key != cell.plan_key
    assert again.state == "missing"


def test_a_writer_that_cannot_be_trained_fails_only_what_it_was_to_write_for(fresh, monkeypatch):
    def only_discriminative(settings, *given, **how):
        if settings.kind == "generative":
            raise ValueError("its weights are no numbers")
        return train(settings, *given, **how)

    monkeypatch.setattr("calibkit.sweep.worker.train", only_discriminative)
    only = {"grid": {"model": ["discriminative"], "policy": ["random", "own-words"]}}
    report = fresh.run(MADE, only)
    assert (report.measured, report.failed) == (1, 1)
    assert fresh.rows("SELECT policy, stage, message FROM failed") == [
        ("own-words", "model", "its weights are no numbers")
    ]


def test_a_recipe_without_a_writer_is_refused_with_its_line(fresh):
    path = fresh.recipe_file(
        MADE, {"models": {"generative": None}, "grid": {"model": ["discriminative"]}}
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    (problem,) = caught.value.problems
    line = next(
        number
        for number, text in enumerate(path.read_text().splitlines(), start=1)
        if text.startswith("  own-words:")
    )
    assert problem.startswith(f"{path}:{line}:3: policies.own-words: a generative model writes")
    assert "the recipe has none" in problem
    assert "exclude {model: discriminative, policy: own-words}" in problem


def test_a_writer_must_have_the_seed_unless_the_cells_are_left_out(fresh):
    seeds = {"models": {"discriminative": {"seeds": [0, 1]}}}
    with pytest.raises(RecipeError, match="generative has no seed 1; give one that seed"):
        fresh.recipe(MADE, seeds)
    left_out = {"exclude": [{"model": "discriminative", "policy": "own-words"}]}
    cells = list(fresh.recipe(MADE, seeds, left_out).cells())
    assert len(cells) == 4 + 3 * 2
    both = {"models": {"generative": {"seeds": [0, 1]}}}
    assert len(list(fresh.recipe(MADE, seeds, both).cells())) == 16
