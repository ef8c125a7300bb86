"""Where numbers come from: code version, packages, host."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("calibkit", "torch", "brevitas", "numpy", "scipy", "scikit-learn", "duckdb")
PEERS = ("onnx", "onnxruntime")
"""Packages that decide numbers only where other tools quantize; an extra."""


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide numbers, none imported.

    Of those in an extra, only those that are installed.
    """
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    for package in PEERS:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def git_state() -> tuple[str | None, bool | None]:
    """Return commit and dirty flag of the checkout that calibkit runs from, None outside one."""
    here = Path(__file__).resolve().parent

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *words],
                capture_output=True,
                text=True,
                timeout=10,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = ask("rev-parse", "HEAD")
    if commit is None or ask("ls-files", "--error-unmatch", __file__) is None:
        return None, None
    changes = ask("status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else bool(changes)


def host() -> str:
    """Return the host's name, and what decides its arithmetic."""
    return f"{platform.node()} ({platform.machine()}, {os.cpu_count()} cores)"


def command_line() -> str:
    """Return the command as it was typed, without the path of the interpreter."""
    program = Path(sys.argv[0]).name or "python"
    return shlex.join(["calibkit" if program == "__main__.py" else program, *sys.argv[1:]])
