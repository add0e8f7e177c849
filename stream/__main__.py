"""``python -m stream`` is ``stream-classify``."""

from stream.cli import main

if __name__ == "__main__":
    main()
