"""Probabilities in, events out. One detector for live, file, server, evaluation and calibration."""
