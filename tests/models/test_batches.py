import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.errors import BadInput
from calibkit.models.batches import by_length, checked, padded, shuffled
from calibkit.ragged import Ragged

corpora = st.lists(
    st.lists(st.integers(1, 9), min_size=2, max_size=8), min_size=1, max_size=30
).map(Ragged.of)


@given(corpora, st.integers(1, 7))
def test_every_document_comes_once_whole_and_padded_with_zeros(tokens, size):
    for batches in (
        list(by_length(tokens, size)),
        list(shuffled(tokens, size, np.random.default_rng(0))),
    ):
        rows = np.concatenate([batch.rows for batch in batches])
        assert sorted(rows.tolist()) == list(range(len(tokens)))
        for batch in batches:
            assert len(batch.rows) <= size
            assert batch.ids.shape[1] == batch.lengths.max()
            for row, ids, length in zip(batch.rows, batch.ids, batch.lengths, strict=True):
                assert ids[:length].tolist() == tokens[row].tolist()
                assert not ids[length:].any()


@given(corpora)
def test_positions_pick_the_real_tokens_in_order(tokens):
    batch = padded(tokens, np.arange(len(tokens)))
    flat = batch.ids.reshape(-1)
    assert flat[batch.positions(last=True)].tolist() == tokens.ids.tolist()
    targets = np.concatenate([tokens[i][1:] for i in range(len(tokens))])
    assert flat[batch.positions(last=False) + 1].tolist() == targets.tolist()


def test_shuffling_depends_on_the_generator_only_and_keeps_lengths_together():
    rng = np.random.default_rng(5)
    tokens = Ragged.of([np.ones(n, np.int32) for n in rng.integers(2, 80, size=2_000)])
    first, again, other = (
        [b.rows.tolist() for b in shuffled(tokens, 32, np.random.default_rng(seed))]
        for seed in (1, 1, 2)
    )
    assert first == again != other
    batches = list(shuffled(tokens, 32, np.random.default_rng(1)))
    real = sum(batch.lengths.sum() for batch in batches)
    assert real / sum(batch.ids.size for batch in batches) > 0.95
    widths = [batch.ids.shape[1] for batch in batches]
    assert widths != sorted(widths)


def test_documents_that_the_model_cannot_read_are_named():
    with pytest.raises(BadInput, match="document 1 has 1 tokens"):
        checked(Ragged.of([[2, 3], [2]]), 10)
    with pytest.raises(BadInput, match="from 2 to 12, the model knows 0 to 9"):
        checked(Ragged.of([[2, 12, 3]]), 10)
    with pytest.raises(BadInput, match="from -1"):
        checked(Ragged.of([[2, -1, 3]]), 10)
