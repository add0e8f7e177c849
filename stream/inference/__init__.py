"""Feature frames in, class probabilities out, with the state carried by the caller."""
