"""What Apprise complains of, kept out of the log: its sentences hold addresses, and addresses hold secrets."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable
from typing import Any

from stream.printable import printable

SHORTEST_SECRET = 4
MOST_CHARACTERS = 200


class AppriseSaid(logging.Filter):
    """Within a ``with`` block, catches what Apprise logs.

    Args:
        services: whose addresses are masked in `text`.
    """

    def __init__(self, services: Iterable[Any] = ()) -> None:
        super().__init__()
        self._services = services
        self._thread = threading.get_ident()
        self._last = ""

    def __enter__(self) -> AppriseSaid:
        logging.getLogger("apprise").addFilter(self)
        return self

    def __exit__(self, *error: Any) -> None:
        logging.getLogger("apprise").removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the last warning of this thread, and let nothing through."""
        if record.levelno >= logging.WARNING and record.thread == self._thread:
            self._last = record.getMessage()
        return False

    @property
    def text(self) -> str:
        """The last complaint in one line, with every part of the addresses replaced by stars."""
        text = " ".join(printable(self._last).split()).rstrip(".")[:MOST_CHARACTERS]
        parts = {
            part for each in self._services for part in re.split(r"[:/@?&=%+.]", each.url(privacy=False))
        }
        for part in sorted(parts, key=len, reverse=True):
            if len(part) >= SHORTEST_SECRET:
                text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(part)}(?![A-Za-z0-9])", "***", text)
        return text
