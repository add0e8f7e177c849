"""Where sound comes from: every source is an iterable of Chunk."""
