"""A detector from a few examples: a small head on a network that has already learnt to listen."""
