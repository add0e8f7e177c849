"""Where results go: one file a sink."""
