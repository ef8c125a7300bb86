"""Passes over documents: statistics, Gram matrices, evaluation."""
