"""Measures on plain arrays: accuracy, Kolmogorov-Smirnov and related shifts, intervals."""
