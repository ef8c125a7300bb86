"""Brevitas's own observer takes most of a minute: one worker runs it, for all bit widths."""

import calibkit.sweep.shared as shared


def test_the_observer_runs_once_for_all_bit_widths_and_workers(study, monkeypatch):
    calls = []

    def counted(*given):
        calls.append(given)
        return real(*given)

    real = shared.brevitas_thresholds
    monkeypatch.setattr(shared, "brevitas_thresholds", counted)
    grid = {"model": ["discriminative"], "policy": ["random"], "seed": [0]}
    change = {"quantize": {"preset": "paper"}, "grid": grid}
    assert study.run({**change, "grid": grid | {"bits": [8, 4]}}).failed == 0
    assert len(calls) == 1
    shared.observed_by_brevitas.cache_clear()  # as in another worker
    assert study.run({**change, "grid": grid | {"bits": [8, 4, 6]}}).failed == 0
    assert len(calls) == 1
    thresholds = study.rows(
        "SELECT site, count(DISTINCT threshold) FROM activation_shift"
        " WHERE preset = 'paper' GROUP BY site"
    )
    assert thresholds and {n for _, n in thresholds} == {1}
