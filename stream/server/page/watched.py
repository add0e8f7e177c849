"""Watched: what the page needs to know of a station and its sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from stream.dashboard.theme import BLOCKS
from stream.printable import printable
from stream.server.page.feed import Feeds
from stream.server.station.listened import Listened
from stream.server.station.source_glance import SourceGlance


class WatchedStation(Protocol):
    """A station."""

    @property
    def sources(self) -> Mapping[str, Listened]:
        """By name."""
        ...

    @property
    def history(self) -> str | None:
        """The history file; None where none is kept."""
        ...


_feeds: WeakKeyDictionary[WatchedStation, Feeds] = WeakKeyDictionary()


def feeds_of(station: WatchedStation) -> Feeds:
    """The feeds of a station, the same for all pages that watch it."""
    return _feeds.setdefault(station, Feeds())


_WAITING: dict[str, tuple[str, str, str]] = {
    "starting": ("starting", "recovering", "warning"),
    "waiting": ("waits to try again", "recovering", "warning"),
    "ended": ("at its end", "silent", "warning"),
    "stopped": ("stopped", "silent", "warning"),
}


def not_heard(source: SourceGlance) -> dict[str, Any] | None:
    """The state of a source that is not heard just now, as the page shows it; None of one that is."""
    if source.state not in _WAITING:
        return None
    words, mark, meaning = _WAITING[source.state]
    return {
        "name": source.state,
        "mark": BLOCKS.mark[mark],
        "words": words,
        "meaning": meaning,
        "detail": printable(source.detail or source.error),
    }


def stopped(state: dict[str, Any] | None) -> dict[str, Any]:
    """What a source that is heard no more says instead of what it said last."""
    return {} if state is None else {"state": state, "stale": True}
