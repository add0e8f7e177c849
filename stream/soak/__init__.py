"""Soak: hours of sound and abuse pushed through one stream, and a certificate that nothing drifted."""
