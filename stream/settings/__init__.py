"""Settings files: TOML, checked against a vocabulary, with the line and column of whatever is wrong."""
