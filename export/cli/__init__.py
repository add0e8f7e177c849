"""Commands of the export extra: arguments to objects to one call."""
