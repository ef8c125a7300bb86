"""What each document shows a quantizer: bins, largest magnitudes, sums of functions of values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from calibkit.engine.document_sums import Asked, Bins, document_sums, document_tops
from calibkit.engine.documents import document_ranges
from calibkit.engine.statistics import PARTS, collect_statistics, values_per_site
from calibkit.quantize.sites import ACTIVATION_SITES

PARTED = [part for parts in PARTS.values() for part in parts if part != "input"]


def moments(levels):
    return np.stack([np.ones_like(levels), levels, levels**2], axis=1)


def names_of(kind):
    sites = ACTIVATION_SITES[kind]
    return [*sites, *(part for part in PARTED if part.partition("/")[0] in sites)]


@given(
    st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=30),
    st.floats(0.125, 9, width=32),
)
def test_a_value_is_near_the_level_of_its_bin(values, top):
    bins = Bins.up_to(top)
    levels, places = bins.levels, bins.places(torch.tensor(values, dtype=torch.float32)).numpy()
    assert len(levels) == 2 * bins.side and (np.diff(levels) >= 0).all()
    for value, place in zip(values, places, strict=True):
        if abs(value) <= top:
            assert abs(levels[place] - value) <= 0.003 * abs(value) + top * 2.0**-12
        else:
            assert np.sign(levels[place]) == np.sign(value)
            assert abs(levels[place]) >= 0.99 * top


def test_tops_are_the_ends_of_the_ranges(float_classifier, wrapped):
    kind, arrays = float_classifier.kind, float_classifier.arrays
    ranges = document_ranges(kind, arrays, wrapped)
    tops = document_tops(kind, arrays, wrapped, ACTIVATION_SITES[kind])
    for number, site in enumerate(ACTIVATION_SITES[kind]):
        assert tops[site].tolist() == np.abs(ranges[:, number]).max(axis=1).tolist()


def test_sums_of_all_documents_are_what_the_observer_sees(float_classifier, wrapped):
    kind, arrays = float_classifier.kind, float_classifier.arrays
    names = names_of(kind)
    tops = document_tops(kind, arrays, wrapped, names)
    seen = collect_statistics(kind, arrays, wrapped, percentile=100.0)
    asked = {name: Asked(float(tops[name].max()), moments) for name in names}
    found = document_sums(kind, arrays, wrapped, asked)
    sizes = values_per_site(kind, arrays, wrapped)
    for name in names:
        times = sizes[name] / seen[name].count if name in sizes else found_times(found, seen, name)
        total = found[name].sum(axis=0)
        assert found[name].shape == (len(wrapped), 3)
        assert total[0] == pytest.approx(seen[name].count * times)
        assert total[2] / total[0] == pytest.approx(seen[name].mean_square, rel=5e-3)
        assert max(abs(seen[name].low), abs(seen[name].high)) == pytest.approx(tops[name].max())


def found_times(found, seen, name):
    """A part is shown once to the observer, and as often as it is read to a document's sums."""
    times = found[name][:, 0].sum() / seen[name].count
    assert times == int(times) and times >= 1
    return times


def test_neither_order_nor_batches_matter(float_classifier, wrapped):
    kind, arrays = float_classifier.kind, float_classifier.arrays
    names = [
        "lstm.cell",
        "lstm.cell/new",
        f"{'classifier' if kind == 'discriminative' else 'decoder'}.input",
    ]
    asked = {name: Asked(2.0, moments) for name in names}
    turned = np.arange(len(wrapped))[::-1].copy()
    first = document_sums(kind, arrays, wrapped, asked)
    second = document_sums(kind, arrays, wrapped.take(turned), asked)
    small = document_sums(kind, arrays, wrapped, asked, batch=7)
    tops = document_tops(kind, arrays, wrapped, names)
    for name in names:
        assert second[name][turned].tolist() == first[name].tolist()
        assert small[name] == pytest.approx(first[name], rel=1e-2, abs=1e-2)
        few = document_tops(kind, arrays, wrapped, names, batch=7)[name]
        assert few == pytest.approx(tops[name], rel=1e-5)
