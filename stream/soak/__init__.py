"""Soak test: hours of sound and damage through one stream, and a certificate that nothing drifted."""
