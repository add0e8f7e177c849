"""Verdicts: what a person said of the clips, read from the list that stands in their folder."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable
from typing import Literal

from stream.logbook.contents import HeardEvent

REVIEWS = "review.csv"
LARGEST_BYTES = 64 << 20
Verdict = Literal["right", "wrong"]
_WORDS: dict[str, Verdict] = {"right": "right", "wrong": "wrong"}
Key = tuple[int, int, str]


def key(event: HeardEvent) -> Key:
    """What tells an event from all others of the history."""
    return event.run.id, event.number, event.label


def read_verdicts(events: Iterable[HeardEvent]) -> dict[Key, Verdict]:
    """The verdict on each event whose clip a person has judged, from ``review.csv`` beside the clip.

    The last line about a clip counts. A list that cannot be read, and lines that say something else, count as no
    verdict.
    """
    lists: dict[str, dict[str, Verdict]] = {}
    found: dict[Key, Verdict] = {}
    for event in events:
        if event.clip is None:
            continue
        folder, name = os.path.split(event.clip)
        if folder not in lists:
            lists[folder] = _read(os.path.join(folder, REVIEWS))
        verdict = lists[folder].get(name)
        if verdict is not None:
            found[key(event)] = verdict
    return found


def _read(path: str) -> dict[str, Verdict]:
    """Name of a clip -> verdict."""
    found: dict[str, Verdict] = {}
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > LARGEST_BYTES:
            return {}
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            for row in csv.DictReader(file):
                name = next(iter(row.values()), None)
                verdict = _WORDS.get(str(row.get("verdict")).strip().lower())
                if isinstance(name, str) and verdict is not None:
                    found[os.path.basename(name)] = verdict
    except (OSError, csv.Error, ValueError):
        return {}
    return found
