"""Telling: which part of the readings a page has not been told yet. Pure: no clock, no waiting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from stream.messages import Event
from stream.server.page.moments import about, columns, event, figures, standing
from stream.telemetry import Readings
from stream.telemetry.telemetry import SETTLING_COLUMNS  # the newest ones may still change

STILL_SECONDS = 1.0  # after which what has not changed is told again: words say how long it has lasted
RECENT_SECONDS = 30.0  # of events that a glance shows

Told = tuple[str, dict[str, Any]]


class SourceTelling:
    """What one page is told of one source: ``source`` once, then a ``moment`` for each look.

    Args:
        name: of the source.
        has_clip: whether the sound of an event, by its id, is kept.
        alone: it computes alone.
    """

    def __init__(self, name: str, has_clip: Callable[[int], bool], *, alone: bool = True) -> None:
        self._name, self._has_clip, self._alone = name, has_clip, alone
        self._epoch = ""
        self._since = 0
        self._version = -1
        self._told_at = 0.0
        self._events: dict[int, tuple[Event, bool]] = {}

    def tell(self, readings: Readings, epoch: str, now: float, extra: Mapping[str, Any]) -> list[Told]:
        """What is new.

        Args:
            readings: how the source stands.
            epoch: of the column numbers.
            now: seconds of any monotonic clock.
            extra: goes into ``source``.
        """
        told: list[Told] = []
        if epoch != self._epoch:
            self._epoch, self._since, self._version, self._events = epoch, 0, -1, {}
            told.append(("source", {**about(self._name, readings, epoch), **extra}))
        elif readings.version == self._version and now - self._told_at < STILL_SECONDS:
            return []
        self._version, self._told_at = readings.version, now
        told.append(("moment", self._moment(readings)))
        return told

    def _moment(self, readings: Readings) -> dict[str, Any]:
        before = self._events
        self._events = {one.id: (one, self._has_clip(one.id)) for one in readings.events}
        changed = [
            {**event(one, began, readings), "clip": self._clip(one)}
            for one, began in zip(readings.events, readings.began, strict=True)
            if one.offset is None or before.get(one.id) != self._events[one.id]
        ]
        moment = {
            **standing(readings),
            "figures": figures(readings, alone=self._alone),
            **columns(readings, self._since),
            "events": changed[::-1],
        }
        self._since = max(0, readings.newest_column - SETTLING_COLUMNS + 1)
        return moment

    def _clip(self, one: Event) -> str | None:
        has = self._events[one.id][1]
        return f"page/sources/{quote(self._name, safe='')}/clips/{one.id}" if has else None


class GlanceTelling:
    """What one page is told of all sources: their names, and how those stand that have changed."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[object, float]] = {}

    def is_due(self, name: str, version: object, now: float) -> bool:
        """Whether a source is to be told again; notes that it was.

        Args:
            version: equal ones mean that nothing has changed.
        """
        before = self._told.get(name)
        if before is not None and before[0] == version and now - before[1] < STILL_SECONDS:
            return False
        self._told[name] = version, now
        return True


def glance(name: str, readings: Readings) -> dict[str, Any]:
    """A source in a few lines. ``recent`` are events of the last half minute: class, seconds ago from and to."""
    now = readings.stream_seconds
    newest = next(zip(readings.events, readings.began, strict=True), None)
    return {
        "name": name,
        "labels": list(readings.labels),
        **standing(readings),
        "last": None if newest is None else event(*newest, readings),
        "recent": [
            (
                readings.labels.index(one.label),
                round(now - one.onset_s, 1),
                0 if one.offset_s is None else round(now - one.offset_s, 1),
            )
            for one in readings.events
            if one.offset_s is None or now - one.offset_s < RECENT_SECONDS
        ],
    }
