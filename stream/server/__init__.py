"""The server: many streams at once, from local sources and from the network."""
