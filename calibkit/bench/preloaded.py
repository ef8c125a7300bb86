"""What measuring processes have imported before they begin."""

from calibkit.bench import cell, engine, ks, noise, train

__all__ = ["cell", "engine", "ks", "noise", "train"]
