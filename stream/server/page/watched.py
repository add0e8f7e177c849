"""Watched: what the page needs to know of a station and its sources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from stream.dashboard.theme import BLOCKS
from stream.printable import printable
from stream.server.page.feed import Feeds
from stream.telemetry import Telemetry


class WatchedSource(Protocol):
    """A source of a station."""

    @property
    def telemetry(self) -> Telemetry | None:
        """What has happened, for the page alone; another one whenever it begins anew, None before it does."""
        ...

    @property
    def condition(self) -> tuple[str, str] | None:
        """What it does while it does not listen, in a word, and why, for people; None while it listens."""
        ...

    def clip(self, event: int) -> Path | None:
        """The sound of an event of this run, where it is kept."""
        ...


class WatchedStation(Protocol):
    """A station."""

    @property
    def sources(self) -> Mapping[str, WatchedSource]:
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


_WAITING = {
    "starting": ("starting", "recovering", "warning"),
    "waiting": ("waits to try again", "recovering", "warning"),
    "failed": ("failed", "failed", "alarm"),
    "ended": ("at its end", "silent", "warning"),
    "stopped": ("stopped", "silent", "warning"),
}


def waiting(condition: tuple[str, str]) -> dict[str, Any]:
    """The state of a source that does not listen, as the page shows it."""
    name, detail = condition
    words, mark, meaning = _WAITING.get(name, (name, "silent", "warning"))
    return {
        "name": name,
        "mark": BLOCKS.mark[mark],
        "words": words,
        "meaning": meaning,
        "detail": printable(detail),
    }


def stopped(state: dict[str, Any] | None) -> dict[str, Any]:
    """What a source that does not listen any more says instead of what it said last."""
    return {} if state is None else {"state": state, "stale": True}
