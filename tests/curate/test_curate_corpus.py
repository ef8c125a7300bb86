import pytest

from calibkit.curate.corpus import ensure_corpus, recipe_corpus
from calibkit.errors import BadInput
from calibkit.store.connection import Store


def test_a_stored_corpus_is_found_and_its_source_is_not_read(store):
    found, notes = ensure_corpus(store, "made", "hub:nobody/nothing")
    assert (found.name, found.version, found.labels) == ("made", 1, ("art", "sea", "sky"))
    assert notes == ()
    assert recipe_corpus(store, "made", None) == found


def test_a_corpus_that_has_a_source_may_be_missing(store, tmp_path):
    assert recipe_corpus(store, "other", "docstrings") is None
    assert recipe_corpus(Store(tmp_path / "none.duckdb"), "other", "docstrings") is None
    assert not (tmp_path / "none.duckdb").exists()


def test_a_missing_corpus_is_told_with_the_nearest_name_and_the_command(store):
    with pytest.raises(BadInput, match=r"did you mean 'made'.*calibkit ingest mad --train"):
        ensure_corpus(store, "mad", None)
