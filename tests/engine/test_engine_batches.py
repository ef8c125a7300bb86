import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from calibkit.engine.batches import batches, canonical_order, make_batch
from calibkit.engine.plain import next_tokens
from calibkit.ragged import Ragged

token_lists = st.lists(
    st.lists(st.integers(4, 30), max_size=9).map(lambda words: [2, *words, 3]),
    min_size=1,
    max_size=25,
)


@given(token_lists, st.integers(1, 30), st.booleans())
def test_every_real_token_of_every_document_comes_exactly_once(lists, size, drop_last):
    tokens = Ragged.of(lists)
    cut = 1 if drop_last else 0
    seen: dict[int, list[int]] = {}
    for one in batches(tokens, drop_last=drop_last, size=size):
        assert (np.diff(one.lengths.numpy()) <= 0).all()
        packed = one.pack(one.ids[:, :, None])[:, 0]
        assert len(packed) == one.total == sum(one.active) == int(one.lengths.sum())
        for document, token in zip(one.documents.tolist(), packed.tolist(), strict=True):
            seen.setdefault(int(one.rows[document]), []).append(token)
    assert seen == {i: ids[: len(ids) - cut] for i, ids in enumerate(lists)}


@given(token_lists, st.randoms(use_true_random=False))
def test_the_order_depends_on_content_only(lists, random):
    shuffled = random.sample(lists, len(lists))
    first, second = Ragged.of(lists), Ragged.of(shuffled)
    assert [lists[i] for i in canonical_order(first)] == [
        shuffled[i] for i in canonical_order(second)
    ]


@given(token_lists)
def test_targets_are_the_following_tokens_up_to_eos(lists):
    tokens = Ragged.of(lists)
    one = make_batch(tokens, canonical_order(tokens), drop_last=True)
    targets = next_tokens(one, tokens)
    for place, row in enumerate(one.rows):
        assert targets[one.documents == place].tolist() == lists[row][1:]


@given(token_lists)
def test_means_are_over_each_documents_own_tokens(lists):
    tokens = Ragged.of(lists)
    one = make_batch(tokens, canonical_order(tokens))
    packed = one.pack(one.ids[:, :, None]).to(torch.float32)
    expected = [np.mean(lists[row]) for row in one.rows]
    np.testing.assert_allclose(one.mean(packed)[:, 0], expected, rtol=1e-6)


@given(token_lists, st.booleans())
def test_the_last_value_is_that_of_the_last_real_token(lists, drop_last):
    tokens = Ragged.of(lists)
    one = make_batch(tokens, canonical_order(tokens), drop_last=drop_last)
    last = one.last(one.pack(one.ids[:, :, None]))[:, 0]
    assert last.tolist() == [lists[row][-2 if drop_last else -1] for row in one.rows]
