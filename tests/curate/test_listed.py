"""Subsets that the user has chosen by a list of document ids."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibkit.corpora.reading import documents, find_corpus
from calibkit.curate.listed import read_ids, subset_of_ids
from calibkit.curate.subsets import build_subset, read_subset
from calibkit.errors import BadInput
from calibkit.policies import make_policy


def ids_of(store, split, **how):
    with store.reading() as con:
        return documents(con, find_corpus(con, "made"), split, **how).ids


def asked_for(store):
    with store.reading() as con:
        rows = con.execute(
            "SELECT policy, params, seed, pool, share, size, model_id FROM subset_requests"
        )
        return [(policy, json.loads(params), *rest) for policy, params, *rest in rows.fetchall()]


def listed(ids, place="chosen.txt"):
    return read_ids("".join(f"{doc_id}\n" for doc_id in ids).encode(), place)


ID = st.text("abcdef0123456789-", min_size=1, max_size=8)
BLANK = st.sampled_from(["", "   ", "# a comment", "\t# d1-2"])


@given(st.lists(ID, unique=True, min_size=1), st.data())
def test_comments_blanks_and_line_ends_change_nothing(ids, data):
    lines, numbers = [], []
    for doc_id in ids:
        lines += data.draw(st.lists(BLANK, max_size=2))
        lines.append(
            data.draw(st.sampled_from(["{}", "  {}", "{}  # why", "{}#", "{}\r"])).format(doc_id)
        )
        numbers.append(len(lines))
    mark = data.draw(st.sampled_from(["", "\ufeff"]))
    found = read_ids((mark + "\n".join(lines)).encode(), "x")
    assert (list(found.ids), list(found.lines)) == (ids, numbers)
    assert found.sha256 == hashlib.sha256("".join(f"{i}\n" for i in ids).encode()).hexdigest()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "x: there is no document id in it; write one a line"),
        (b"# nothing\n\n", "x: there is no document id in it"),
        (b"d1-a\n\nd1-b\nd1-a\n", "x:4: document 'd1-a' is on line 1 already; leave out one"),
        (b"d1-a d1-b\n", "x:1: 2 words; write one document id a line"),
        (b"d1-a\n\xff\n", "x: this is no UTF-8 text: byte 6"),
    ],
)
def test_files_that_are_no_list_are_told_with_their_lines(content, said):
    with pytest.raises(BadInput) as caught:
        read_ids(content, "x")
    assert said in str(caught.value)


def test_all_problems_are_told_up_to_twenty():
    with pytest.raises(BadInput) as caught:
        read_ids(b"a\n" + b"a\n" * 25, "x")
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("x:2: ") and lines[19].startswith("x:21: ")
    assert lines[20:] == ["... and 5 more"]


def test_the_documents_stand_in_the_order_of_the_file(store):
    ids = ids_of(store, "train", leave_out_in_test=True)[10:2:-1]
    built = subset_of_ids(store, "made", listed(ids))
    assert built.doc_ids == ids and not built.existed
    assert built.profile.documents == 8
    with store.reading() as con:
        assert read_subset(con, built.subset_id).doc_ids == ids
    digest = hashlib.sha256("".join(f"{i}\n" for i in ids).encode()).hexdigest()
    assert asked_for(store) == [("ids", {"sha256": digest}, 0, "train", 1.0, 8, None)]


def test_the_same_ids_are_found_again_and_another_order_is_another_subset(store):
    ids = ids_of(store, "train", leave_out_in_test=True)[:6]
    first = subset_of_ids(store, "made", listed(ids))
    again = subset_of_ids(
        store, "made", read_ids("# again\n{}".format("\n".join(ids)).encode(), "y")
    )
    assert again.existed and again.subset_id == first.subset_id
    assert again.profile == first.profile
    turned = subset_of_ids(store, "made", listed(ids[::-1]))
    assert turned.subset_id != first.subset_id
    assert len(asked_for(store)) == 2


def test_what_a_policy_chose_is_the_same_subset_when_it_is_listed(store):
    chosen = build_subset(store, "made", make_policy("random"), size=12, seed=4)
    same = subset_of_ids(store, "made", listed(chosen.doc_ids))
    assert same.subset_id == chosen.subset_id
    assert {row[0] for row in asked_for(store)} == {"random", "ids"}


def test_documents_that_may_not_be_chosen_are_told_with_their_lines(store):
    good = ids_of(store, "train", leave_out_in_test=True)
    leaked = sorted(set(ids_of(store, "train")) - set(good))
    valid, test = ids_of(store, "valid")[0], ids_of(store, "test")[0]
    with pytest.raises(BadInput) as caught:
        subset_of_ids(
            store, "made", listed([good[0], "d1-none", leaked[0], valid, test, good[1]], "my/ids")
        )
    lines = str(caught.value).splitlines()
    assert lines == [
        "my/ids:2: corpus 'made', version 1, has no document 'd1-none'; "
        "the view documents lists its doc_id",
        f"my/ids:3: the text of {leaked[0]!r} stands in the test split, on which results are "
        "measured; leave it out",
        f"my/ids:4: document {valid!r} is in the split 'valid', the pool is 'train'; leave it out, "
        "or list documents of that split alone and give --pool valid",
        f"my/ids:5: document {test!r} stands in the test split, on which results are measured; "
        "leave it out",
    ]
    assert asked_for(store) == []


def test_the_pool_and_the_share_are_those_that_are_named(store):
    valid = ids_of(store, "valid", leave_out_in_test=True)[:3]
    built = subset_of_ids(store, "made", listed(valid), pool="valid")
    assert built.doc_ids == valid
    with pytest.raises(BadInput, match="stands in the test split"):
        subset_of_ids(store, "made", listed(ids_of(store, "test")[:1]), pool="test")
    whole = ids_of(store, "train", leave_out_in_test=True)
    shared = ids_of(store, "train", share=0.25, leave_out_in_test=True)
    outside = next(doc_id for doc_id in whole if doc_id not in shared)
    assert subset_of_ids(store, "made", listed(shared[:4]), share=0.25).doc_ids == shared[:4]
    with pytest.raises(BadInput, match=r"chosen.txt:2: .* not in the share 0.25 of the corpus"):
        subset_of_ids(store, "made", listed([shared[0], outside]), share=0.25)


def test_a_recipe_can_use_the_listed_subset(store):
    ids = ids_of(store, "train", leave_out_in_test=True)[7:3:-1]
    listed_one = subset_of_ids(store, "made", listed(ids))
    used = make_policy("subset", {"id": listed_one.subset_id})
    assert build_subset(store, "made", used, size=4, seed=0).subset_id == listed_one.subset_id
    assert build_subset(store, "made", used, size=2, seed=1).doc_ids == ids[:2]
