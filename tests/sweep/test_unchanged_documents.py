from __future__ import annotations

import pytest

from calibkit.sweep import quantized, worker

ONE_CELL = {
    "grid": {"model": ["generative"], "policy": ["random"], "bits": [4]},
    "measure": {"noise": {"keyboard": [0.3], "case": [0.1, 0.5]}, "distributions": []},
}
MEASURED = "accuracy, macro_f1, worst_label_accuracy, majority_share, nll, mean_abs_h"


def test_a_level_that_changes_no_token_is_not_scored_twice(
    study, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = {"evaluate": 0, "float_evaluation": 0}

    def counted(module, name: str):
        real = getattr(module, name)

        def call(*args, **settings):
            calls[name] += 1
            return real(*args, **settings)

        return call

    for module, name in (
        (worker, "evaluate"), (quantized, "evaluate"), (worker, "float_evaluation"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, counted(module, name))
    study.run(ONE_CELL)
    assert calls["float_evaluation"] == 2  # one of case, and keyboard: clean is there
    assert calls["evaluate"] == 4  # the same two of the cell and of the port
    rows = {
        (kind, noise): measured
        for kind, noise, *measured in study.rows(
            f"SELECT noise_kind, noise, {MEASURED} FROM evaluations WHERE cell_id IN "
            "(SELECT cell_id FROM evaluations WHERE noise_kind = 'case')"
        )
    }
    assert rows[("case", 0.1)] == rows[("case", 0.5)] == rows[("none", 0.0)]
    assert rows[("keyboard", 0.3)] != rows[("none", 0.0)]
    stages = study.rows(
        "SELECT stage, count(DISTINCT (nll, accuracy, agreement)) FROM baseline_evaluations "
        "WHERE noise_kind <> 'keyboard' AND model_id IN "
        "(SELECT model_id FROM baseline_evaluations WHERE noise_kind = 'case') "
        "GROUP BY stage ORDER BY stage"
    )
    assert stages == [("float", 1), ("port", 1)]
    realised = (
        "SELECT noise, realised_rate FROM noise_sets WHERE noise_kind = 'case' ORDER BY noise"
    )
    assert [round(rate, 1) for _, rate in study.rows(realised)] == [0.1, 0.5]
