"""What stream-classify doctor looks at: the sound that comes, and the machine it comes to."""
