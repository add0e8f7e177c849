"""Bench: what a hop costs here, beside what others charge for the same sound in the same run."""
