"""Two cells as fixed networks: which documents count, and what cannot be compared."""

import numpy as np
import pytest
from noisy_study import LABELS, make_study, study

from calibkit.decide.two_cells import compare_cells
from calibkit.errors import BadInput
from calibkit.store import Store


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, dict]:
    made = Store(tmp_path_factory.mktemp("cells") / "made.duckdb")
    cells = make_study(made, study())
    return made, {(p.model, p.policy, p.seed, p.model_seed, p.bits): c for p, c in cells.items()}


def test_the_same_documents_are_compared_under_every_noise(filled):
    store, cells = filled
    a, b = cells["generative", "even", 0, 0, 4], cells["generative", "random", 0, 0, 4]
    found = compare_cells(store, a, b)
    assert [(one.noise_kind, one.noise) for one in found] == [
        ("none", 0.0), ("keyboard", 0.05), ("keyboard", 0.1),
    ]  # fmt: skip
    last = found[-1].test.difference
    assert (last.gained, last.lost, last.documents) == (5, 0, len(LABELS))
    assert found[-1].accuracy_a - found[-1].accuracy_b == pytest.approx(last.difference)
    back = compare_cells(store, b, a)
    assert [one.test.p for one in back] == [one.test.p for one in found]
    assert back[-1].test.difference.difference == -last.difference


def test_the_floor_is_that_of_random_draws_of_the_same_float_model(filled):
    store, cells = filled
    found = compare_cells(
        store, cells["generative", "even", 0, 0, 4], cells["generative", "even", 1, 0, 4]
    )
    apart = [abs(x - y) for x in range(4) for y in range(x)]
    assert found[0].floor == pytest.approx(0.01 * np.mean(apart))


def test_what_is_not_measured_alike_is_refused(filled, tmp_path):
    store, cells = filled
    a, b = cells["generative", "even", 0, 0, 4], cells["generative", "even", 1, 0, 4]
    with pytest.raises(BadInput, match="compared with itself"):
        compare_cells(store, a, a)
    with pytest.raises(BadInput, match="no cell x1-none is measured"):
        compare_cells(store, a, "x1-none")
    other = Store(tmp_path / "other.duckdb")
    make_study(other, study())
    with other.writing() as con:
        con.execute("DELETE FROM predictions WHERE cell_id = ?", [a])
    with pytest.raises(BadInput, match="no noise level in common"):
        compare_cells(other, a, b)
    with other.writing() as con:
        con.execute(f"INSERT INTO test_sets (test_id, label_ids) VALUES ('t1-other', {LABELS})")
        con.execute("UPDATE cells SET test_id = 't1-other' WHERE cell_id = ?", [b])
    with pytest.raises(BadInput, match=f"{a} was measured on .* t1-made, {b} on t1-other"):
        compare_cells(other, a, b)
