"""Benchmark: what a hop costs on this machine, beside what other packages take for the same sound in the same run."""
