"""Random draws beside a subset: repeatable, honest, and what is unusual stands out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_card import SITES, made_pool

from calibkit.errors import BadInput
from calibkit.policies.card import (
    BY_NAME,
    METRICS,
    MODEL_METRICS,
    OUTSIDE,
    OUTSIDE_ALL,
    TEXT_METRICS,
    Line,
    envelope,
    in_words,
    line_of_all,
    lines_of,
    random_rows,
)

POOL = made_pool()
SIZE, DRAWS = 60, 200
ROWS = random_rows(600, SIZE, DRAWS)
ENVELOPE = envelope(METRICS, POOL.documents, POOL.reference, ROWS)


def card(subset, metrics=METRICS, reasons=None, draws=ENVELOPE):
    lines = [
        line
        for one in metrics
        for line in lines_of(
            one, subset, POOL.reference, draws.get(one.name), reasons=reasons or {}
        )
    ]
    return [*lines, line_of_all(OUTSIDE_ALL, lines, draws)]


def main(lines):
    return {line.metric: line for line in lines if not line.site}


def fresh(seed):
    """A random subset that is none of the draws."""
    rng = np.random.default_rng(1000 + seed)
    return POOL.documents.take(np.sort(rng.choice(600, size=SIZE, replace=False)))


# --------------------------------------------------------------------------------- random draws


def test_draws_are_the_same_each_time_and_begin_the_same_however_many():
    assert (random_rows(600, SIZE, 30) == ROWS[:30]).all()
    assert len({rows.tobytes() for rows in ROWS}) == DRAWS
    assert (np.diff(ROWS, axis=1) > 0).all()
    assert ROWS.min() >= 0
    assert ROWS.max() < 600
    assert (random_rows(5, 5, 20) == np.arange(5)).all()
    with pytest.raises(BadInput, match="a draw of 7 documents from 5"):
        random_rows(5, 7, 20)


def test_draws_are_those_of_before():
    """Written down: cards of another day, machine or numpy have the same envelope."""
    assert random_rows(10, 4, 3).tolist() == DRAWN_BEFORE


DRAWN_BEFORE = [[1, 3, 7, 9], [3, 4, 5, 7], [0, 1, 2, 3]]


def test_every_document_is_drawn_about_as_often():
    counts = np.bincount(ROWS.ravel(), minlength=600)
    assert abs(counts.mean() - 20) < 1e-9
    assert counts.max() < 20 + 6 * np.sqrt(20)


def test_an_envelope_is_the_same_each_time():
    again = envelope(METRICS, POOL.documents, POOL.reference, ROWS[::-1])
    for name, values in ENVELOPE.items():
        assert values.shape == (DRAWS, 1 + len(SITES) if BY_NAME[name].by_site else 1)
        assert again[name][::-1].tolist() == values.tolist()


def test_nine_in_ten_fresh_random_draws_are_inside():
    """Per metric over 200 fresh draws, within what chance allows; smooth metrics only."""
    inside: dict[str, list[bool]] = {}
    outside = []
    for seed in range(200):
        lines = main(card(fresh(seed)))
        for name, line in lines.items():
            inside.setdefault(name, []).append(line.verdict == "inside")
        outside.append(lines[OUTSIDE_ALL].verdict == "high")
    shares = {name: float(np.mean(found)) for name, found in inside.items()}
    in_steps = {"near_copies", "near_test", "in_test", "length_p50", "length_p10", "length_p90"}
    for name, share in shares.items():
        if name == OUTSIDE_ALL or name in in_steps:  # few values: more of them lie on the ends
            assert share >= 0.85, name
        else:
            assert 0.83 <= share <= 0.97, name
    assert np.mean(outside) <= 0.10


# ------------------------------------------------------------------------------------- verdicts


def test_a_subset_of_one_label_is_flagged_on_the_label_mix():
    rows = np.flatnonzero(POOL.documents.label_ids == 2)[:SIZE]
    lines = main(card(POOL.documents.take(rows)))
    for name in ("label_chi_square", "label_distance", "mmd"):
        assert (lines[name].verdict, lines[name].is_bad, lines[name].rank) == ("high", True, 1.0)
    assert lines["label_distance"].value == pytest.approx(
        1 - np.mean(POOL.documents.label_ids == 2)
    )
    text = in_words(list(lines.values()), DRAWS)
    assert text.startswith("like a random draw in most respects, not in all")
    assert "a label mix off the pool's (0.775; random" in text


def test_a_subset_that_is_off_in_many_ways_is_unlike_a_random_draw():
    last = np.flatnonzero(POOL.documents.label_ids == 2)
    longest = last[np.argsort(-POOL.documents.lengths[last])][:SIZE]
    lines = card(POOL.documents.take(np.sort(longest)))
    total = main(lines)[OUTSIDE_ALL]
    assert total.value >= 8 > total.high == round(total.high)
    assert (total.verdict, total.is_bad) == ("high", False)
    text = in_words(lines, DRAWS)
    assert text.startswith(f"unlike a random draw: {total.value:.0f} of 16 metrics outside")


def test_labels_closer_to_the_pool_than_chance_are_low_and_not_bad():
    labels = POOL.documents.label_ids
    quotas = np.round(np.bincount(labels) / 600 * SIZE).astype(int)
    quotas[0] += SIZE - quotas.sum()
    rows = np.concatenate([np.flatnonzero(labels == k)[:n] for k, n in enumerate(quotas)])
    lines = card(POOL.documents.take(np.sort(rows)))
    line = main(lines)["label_distance"]
    assert (line.verdict, line.is_bad) == ("low", False)
    assert "off the pool's" not in in_words(lines, DRAWS)


def test_a_subset_of_near_copies_is_flagged():
    documents = fresh(0)
    signatures = documents.signatures.copy()
    signatures[1::2] = signatures[::2]
    line = main(card(replace(documents, signatures=signatures)))["near_copies"]
    assert (line.value, line.verdict, line.is_bad) == (1.0, "high", True)
    text = in_words(card(replace(documents, signatures=signatures)), DRAWS)
    assert "bad: near copies of each other (1; random" in text


def test_leakage_is_flagged_even_where_random_draws_leak_too():
    leaking = replace(fresh(0), in_test=np.arange(SIZE) < 3)
    line = main(card(leaking))["in_test"]
    assert (line.value, line.verdict, line.is_bad) == (0.05, "high", True)
    everywhere = ENVELOPE | {"in_test": np.full((DRAWS, 1), 0.05)}
    line = main(card(leaking, draws=everywhere))["in_test"]
    assert (line.verdict, line.is_bad) == ("inside", True)
    assert "documents of the test split (0.05" in in_words(card(leaking, draws=everywhere), DRAWS)
    clean = main(card(fresh(0)))["in_test"]
    assert (clean.value, clean.verdict, clean.is_bad) == (0.0, "inside", False)


def test_narrow_documents_cover_less_and_clip_more():
    spread = POOL.documents.ranges[:, :, 1].max(axis=1)
    rows = np.sort(np.argsort(spread)[:SIZE])
    lines = card(POOL.documents.take(rows))
    found = main(lines)
    assert (found["range_covered"].verdict, found["range_covered"].is_bad) == ("low", True)
    assert (found["clip_rate"].verdict, found["clip_rate"].is_bad) == ("high", True)
    for name in ("range_covered", "clip_rate"):
        by_site = [line for line in lines if line.metric == name and line.site]
        assert [line.site for line in by_site] == list(SITES)
        assert found[name].value == pytest.approx(np.mean([line.value for line in by_site]))
    text = in_words(lines, DRAWS)
    assert f"covers {100 * found['range_covered'].value:.1f} % of the pool's ranges" in text


def test_a_subset_that_is_one_of_the_draws_is_where_it_was():
    lines = main(card(POOL.documents.take(ROWS[7])))
    for name, values in ENVELOPE.items():
        assert lines[name].value == pytest.approx(values[7, 0])
        low, high = np.quantile(values[:, 0], [0.05, 0.95])
        inside = low - 1e-9 <= values[7, 0] <= high + 1e-9
        assert (lines[name].verdict == "inside") == inside
        below = np.mean(values[:, 0] < values[7, 0] - 1e-12)
        assert lines[name].rank >= below


def test_the_whole_pool_is_inside_of_itself():
    rows = random_rows(600, 600, 20)
    draws = envelope(METRICS, POOL.documents, POOL.reference, rows)
    lines = card(POOL.documents, draws=draws)
    assert {line.verdict for line in lines} == {"inside"}
    assert {line.rank for line in lines} == {0.5}
    assert "0 of 16 metrics outside" in in_words(lines, 20)
    assert "nothing bad" in in_words(lines, 20)


# -------------------------------------------------------------------------- what is not defined


def test_what_is_not_known_says_why_and_is_not_counted():
    bare = replace(fresh(0), features=None, gram=None)
    lines = card(bare, reasons={"features": "no vectors", "gram": "no matrices"})
    found = main(lines)
    assert found["mmd"] == Line("mmd", "", None, reason="no vectors")
    assert found["log_det"] == Line("log_det", "", None, reason="no matrices")
    assert " of 14 metrics" in in_words(lines, DRAWS)


def test_without_draws_values_stand_alone():
    leaking = replace(fresh(0), in_test=np.arange(SIZE) < 3)
    lines = card(leaking, TEXT_METRICS, {"envelope": "larger than the pool"}, draws={})
    found = main(lines)
    assert found["mmd"].value > 0
    assert (found["mmd"].low, found["mmd"].verdict, found["mmd"].is_bad) == (None, None, None)
    assert found["mmd"].reason == "larger than the pool"
    assert found["in_test"].is_bad
    text = in_words(lines, DRAWS)
    assert text == "cannot be compared with random draws; bad: documents of the test split (0.05)"


def test_a_label_that_the_pool_lacks_leaves_one_line_undefined():
    reference = replace(POOL.reference, label_shares=np.array([0.6, 0.4, 0.0]))
    metric = BY_NAME["label_chi_square"]
    (line,) = lines_of(metric, fresh(0), reference, ENVELOPE[metric.name], reasons={})
    assert line == Line(metric.name, "", None, reason="the subset has a label that the pool lacks")


# ---------------------------------------------------------------------------------------- words


def made_line(metric, value, low, high, verdict, is_bad):
    median = (low + high) / 2
    return Line(metric, "", value, low, median, high, 0.5, verdict, is_bad)


def test_words_of_a_usual_subset():
    lines = [
        made_line("mmd", 0.2, 0.1, 0.3, "inside", False),
        made_line("length_p50", 9, 10, 20, "low", False),
        made_line("range_covered", 0.93, 0.92, 0.99, "inside", False),
        made_line(OUTSIDE, 1, 0, 3, "inside", False),
    ]
    assert in_words(lines, 200) == (
        "looks like a random draw: 1 of 3 metrics outside the 5-95 % range of 200 random draws, "
        "19 in 20 random draws have at most 3; nothing bad; "
        "covers 93.0 % of the pool's ranges (random 92.0 % to 99.0 %)"
    )


def test_words_name_what_is_far_off_although_little_is():
    lines = [
        made_line("mmd", 0.2, 0.1, 0.3, "inside", False),
        made_line("near_copies", 0.9, 0.0, 0.1, "high", True),
        made_line("tokens_covered", 0.99, 0.9, 0.95, "high", False),
        made_line(OUTSIDE, 2, 0, 3, "inside", False),
    ]
    text = in_words(lines, 50)
    assert text.startswith("like a random draw in most respects, not in all: 2 of 3 metrics")
    assert "bad: near copies of each other (0.9; random 0 to 0.1)" in text
    assert "better than by chance: more of the pool's text covered (0.99; random 0.9 to" in text


def test_words_say_how_bad_it_is():
    lines = [
        made_line("mmd", 0.30004, 0.1, 0.3, "high", True),
        made_line("oov_share", 0.9, 0.0, 0.1, "high", True),
        made_line("length_p90", 2000, 100, 1000, "high", False),
        made_line("in_test", 0.01, 0, 0.02, "inside", True),
        made_line("range_covered", 1.0, 1.0, 1.0, "inside", False),
        made_line(OUTSIDE_ALL, 3, 0, 3, "inside", False),
    ]
    assert in_words(lines, 200).split("; ", 1)[1] == (
        "bad: more unknown words (0.9; random 0 to 0.1), "
        "documents of the test split (0.01; random 0 to 0.02); "
        "slightly bad: topics off the pool's (0.30004; random 0.1 to 0.3); "
        "also: longer long documents (2,000; random 100 to 1,000); "
        "covers 100.0 % of the pool's ranges, as random draws do"
    )


def test_beyond_draws_that_all_say_the_same_is_far_only_if_none_is_there():
    one = Line("near_copies", "", 0.01, 0.0, 0.0, 0.0, 0.97, "high", True)
    total = made_line(OUTSIDE, 1, 0, 3, "inside", False)
    assert "slightly bad: near copies" in in_words([one, total], 200)
    assert "; bad: near copies" in in_words([replace(one, rank=1.0), total], 200)


def test_words_name_no_more_than_four():
    names = ["mmd", "near_copies", "oov_share", "label_distance", "near_test", "clip_rate"]
    lines = [made_line(name, 5 + i, 0, 1, "high", True) for i, name in enumerate(names)]
    text = in_words([*lines, made_line(OUTSIDE_ALL, 6, 0, 3, "high", True)], 200)
    assert text.endswith("a label mix off the pool's (8; random 0 to 1)") is False
    assert " and 2 more" in text
    assert text.index("more values clipped (10") < text.index("near copies of test documents (9")


def test_every_metric_is_of_text_or_of_a_model():
    assert (*TEXT_METRICS, *MODEL_METRICS) == METRICS
    assert {metric.name for metric in MODEL_METRICS} == {"range_covered", "clip_rate", "log_det"}
