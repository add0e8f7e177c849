"""What may be kept: sound is silenced where somebody speaks, before anything can be written."""
