"""Sound as it will be heard live: what is not a class, and streams composed of it and of labelled recordings."""
