"""Sound from other machines: addresses, the reading thread, and starting over when it breaks off."""
