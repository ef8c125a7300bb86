"""What a run says about itself on stderr."""

from __future__ import annotations

import io

import pytest

from calibkit.cli.progress import Lines, Live, duration, watcher


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_durations() -> None:
    spans = (0, 7.4, 754, 3723, -3)
    assert [duration(s) for s in spans] == ["0:00", "0:07", "12:34", "1:02:03", "0:00"]


def test_lines_tell_time_spent_and_an_estimate_of_the_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    lines = Lines(clock)
    lines.phase("cells", 4)
    for number in range(4):
        clock.now += 10
        lines.step(f"cell {number}", failed=number == 2)
    lines.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "cells: 4 to do",
        "  cells 1/4 after 0:10, about 0:30 left: cell 0",
        "  cells 2/4 after 0:20, about 0:20 left: cell 1",
        "  cells 3/4 after 0:30, about 0:10 left: FAILED cell 2",
        "  cells 4/4 after 0:40: cell 3",
        "cells: 4 of 4 in 0:40, 1 failed",
    ]


def test_lines_leave_out_quick_steps_but_never_failures_and_the_last(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    lines = Lines(clock)
    lines.phase("subsets", 100)
    for number in range(100):
        clock.now += 0.1
        lines.step(f"subset {number}", failed=number == 3)
    lines.note("a note\x1b[2J")
    lines.phase("empty", 0)
    lines.close()
    lines.close()
    err = capsys.readouterr().err
    steps = [line for line in err.splitlines() if line.startswith("  subsets")]
    assert 4 < len(steps) < 10
    assert "FAILED subset 3" in steps[0] and steps[-1].endswith("subset 99")
    assert err.count("subsets: 100 of 100") == 1
    assert "a note\n" in err and "empty" not in err


def test_plain_lines_where_stderr_is_no_terminal() -> None:
    assert isinstance(watcher(), Lines)


def test_the_live_display_shows_phases_counts_and_failures() -> None:
    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=110, color_system=None)
    live = Live(console)
    live.phase("models", 2)
    live.step("generative 0: epoch 1 of 2, [bold]not markup[/bold]")
    live.step("generative 0: epoch 2 of 2")
    live.phase("cells", 3)
    live.step("first")
    live.step("[red]second[/red]\x1b[2J", failed=True)
    live.note("a note")
    live.close()
    live.close()
    text = stream.getvalue()
    assert "models" in text and "2/2" in text and "2/3" in text
    assert "FAILED [red]second[/red]\n" in text.replace("\r", "")
    assert "a note" in text and "\x1b[2J" not in text
