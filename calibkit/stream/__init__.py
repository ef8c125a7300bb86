"""Calibration that keeps up: subsets and integer codes that follow a stream of documents."""
