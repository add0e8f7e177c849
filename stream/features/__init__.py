"""Sound in, feature frames out: the same arithmetic for one hop and for an hour."""
