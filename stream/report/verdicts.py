"""Verdicts: what a person said of the clips of events, from the lists that ``review`` keeps beside them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import Literal

from stream.errors import OutputError
from stream.logbook.contents import HeardEvent
from stream.review.verdicts import Verdicts

log = logging.getLogger(__name__)

Verdict = Literal["right", "wrong"]
Key = tuple[int, int, str]


def key(event: HeardEvent) -> Key:
    """What tells an event from all others of the history."""
    return event.run.id, event.number, event.label


def read_verdicts(events: Iterable[HeardEvent]) -> dict[Key, Verdict]:
    """The verdict on each event whose clip a person has judged; one that was of another class is wrong.

    A list that cannot be read counts as none, and the log says so.
    """
    lists: dict[str, Verdicts | None] = {}
    found: dict[Key, Verdict] = {}
    for event in events:
        if event.clip is None:
            continue
        folder, name = os.path.split(event.clip)
        if folder not in lists:
            lists[folder] = _read(folder)
        verdicts = lists[folder]
        verdict = None if verdicts is None else verdicts.of(name)
        if verdict is not None:
            found[key(event)] = "right" if verdict.said == "right" else "wrong"
    return found


def _read(folder: str) -> Verdicts | None:
    try:
        return Verdicts(folder)
    except (OutputError, ValueError) as error:  # ValueError: a path from a damaged history
        log.warning("%s; its verdicts are not counted", error)
        return None
