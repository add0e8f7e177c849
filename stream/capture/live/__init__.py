"""What live sources share: a ring, the axis of absolute samples, a supervisor, and the source a consumer sees."""
