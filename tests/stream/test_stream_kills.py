"""A stream whose processes are killed without a word goes on to the same numbers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

LONGER = {"stream": {"phases": [{"name": "one", "batches": 4}], "batch": 6}}


def test_a_killed_stream_goes_on_to_the_same_numbers(streamed, tmp_path, everything_followed, told):
    whole, killed = streamed.copy(tmp_path / "whole"), streamed.copy(tmp_path / "killed")
    whole.run(LONGER)
    killed.recipe(LONGER)
    recipe, folder = killed.folder / "stream.yaml", killed.store.folder / "streams"
    command = [sys.executable, "-m", "calibkit.cli", "--store", str(killed.store.path)]
    command += ["stream", str(recipe), "--workers", "2"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    end = time.monotonic() + 120
    while not list(folder.glob("*.safetensors")) and time.monotonic() < end:
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    standing = len(list(folder.glob("*.safetensors")))
    assert standing, "nothing was under way when it was killed"

    report = killed.run(LONGER)
    assert (report.failed, report.missing) == (0, 0)
    assert everything_followed(killed) == everything_followed(whole)
    told(f"streams: {standing} trajectories killed under way, 0 numbers changed")
