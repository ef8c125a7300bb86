"""Versions of what decides the numbers of a trajectory; ids hash them. No torch here."""

from __future__ import annotations

STREAMS = 2
"""Of what a trajectory is, of its updates, and of how their cost is counted.

Part of every trajectory id: to be raised with any of them, or trajectories that are done would keep
the numbers of another code.
"""

PREDICTORS = 2
"""Of the flip predictor: its features, the simulated drifts, its training.

Part of every predictor's key, and of the ids of trajectories that one takes part in.
"""

LEARNED = ("learned-flips", "random-flips")
"""Model updates that a trained predictor takes part in."""
