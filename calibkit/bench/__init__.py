"""Benchmarks on self-made inputs: exactness and speed against the plain path, in one run."""
