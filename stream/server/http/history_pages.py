"""Events of a history, page by page."""

from __future__ import annotations

import math
import re
from typing import Annotated

import msgspec
from msgspec import Meta

from stream.logbook.contents import HeardEvent
from stream.logbook.reader import HistoryReader
from stream.outputs.schema import Probability, WallTime
from stream.outputs.wall_time import rfc3339
from stream.server.refusals import Refused

_CURSOR = re.compile(r"(-?[0-9]{1,12}(?:\.[0-9]{1,9})?)_([0-9]{1,18})_([0-9]{1,18})")
Place = tuple[float, int, int]  # onset, run, number: the order of a history


class HeardRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a history.

    Attributes:
        id: of the event in its history; what ``/v1/clips/`` is asked with.
        onset, offset: when it began and ended; of one that is on, until when it is known to be.
        is_on: it goes on.
        peak, mean: of the smoothed probability.
        gap_ms: sound lost within.
        cut: a gap, or the end of the run or the process ended it, not the sound.
        clip: address of its sound on this station; null without.
    """

    id: Annotated[str, Meta(pattern=r"^[0-9]+-[0-9]+$")]
    source: str
    model: str
    label: str
    onset: WallTime
    offset: WallTime
    seconds: Annotated[float, Meta(ge=0)]
    is_on: bool
    peak: Probability
    mean: Probability
    gap_ms: Annotated[float, Meta(ge=0)]
    cut: bool
    clip: str | None


class EventsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some events of a history, in order of onset.

    Attributes:
        events: of this page.
        next: for the parameter ``after`` of the next page; null on the last.
    """

    events: list[HeardRecord]
    next: str | None


def parse_cursor(text: str) -> Place | None:
    """The place that ``EventsPage.next`` means; None of "".

    Raises:
        Refused: it is none.
    """
    if not text:
        return None
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise Refused("invalid_parameter", f"after {text!r}: give what `next` of the page before says")
    return float(found[1]), int(found[2]), int(found[3])


def read_page(
    path: str,
    *,
    since: float = -math.inf,
    until: float = math.inf,
    label: str = "",
    source: str = "",
    after: Place | None = None,
    ended_after: float = -math.inf,
    limit: int = 100,
) -> EventsPage:
    """Read one page. Blocks.

    Args:
        path: of the history.
        since, until: seconds since 1970; events that were on at some time in between.
        label, source: only these; "" = all.
        after: only what comes behind this place.
        ended_after: only those that ended after this time.
        limit: most of a page.

    Raises:
        HistoryInvalid, OutputError: the history cannot be read.
    """
    found: list[HeardRecord] = []
    last: Place | None = None
    with HistoryReader(path) as history:
        for event in history.events(since=since, until=until, source=source or None):
            place = (round(event.onset, 6), event.run.id, event.number)
            if (after is not None and place <= after) or (label and event.label != label):
                continue
            if event.offset <= ended_after:
                continue
            if len(found) == limit:
                assert last is not None
                return EventsPage(events=found, next=f"{last[0]:.6f}_{last[1]}_{last[2]}")
            found.append(_record(event))
            last = place
    return EventsPage(events=found, next=None)


def find_clip(path: str, run: int, number: int) -> str | None:
    """The file of an event's sound; None where there is no such event, or no sound of it. Blocks.

    Raises:
        HistoryInvalid, OutputError: the history cannot be read.
    """
    with HistoryReader(path) as history:
        event = history.event(run, number)
        return None if event is None else event.clip


def _record(event: HeardEvent) -> HeardRecord:
    name = f"{event.run.id}-{event.number}"
    return HeardRecord(
        id=name,
        source=event.run.source,
        model=event.run.model,
        label=event.label,
        onset=rfc3339(event.onset),
        offset=rfc3339(event.offset),
        seconds=round(event.seconds, 3),
        is_on=event.is_on,
        peak=min(1.0, max(0.0, round(event.peak, 4))),
        mean=min(1.0, max(0.0, round(event.mean, 4))),
        gap_ms=max(0.0, round(1000 * event.gap_seconds, 3)),
        cut=event.cut,
        clip=None if event.clip is None else f"/v1/clips/{name}",
    )
