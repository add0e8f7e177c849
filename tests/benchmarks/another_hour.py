"""Calibrate on an hour of real sound without events, and count false alarms in another hour.

    python -m tests.benchmarks.another_hour [BUDGET ...]

Real recordings of streets, rain, machines and small things (``urban``, ``ambience`` and ``things`` of
STREAM_CLASSIFY_DATA) are divided in two by the recordings they were cut from. What holds music or voices is left out,
so every event of the bundled model's music class is false.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.calibration import event_report, heard_events
from export.recalibration.budget_text import parse_budget
from export.recalibration.hearing import about, hear_files
from export.recalibration.promise import Promise
from export.recalibration.recalibrate import recalibrate
from export.recalibration.score_store import ScoreStore
from stream.decisions.spec import DetectorSpec
from stream.inference.session import Model
from tests.support.shared_data import shared_data

CLASS = "music"
HOLDS_MUSIC_OR_VOICES = {"street_music", "children_playing"}


@dataclass(frozen=True)
class AnotherHour:
    """False alarms before and after, in the hour that rules were chosen on and in the other.

    Attributes:
        promise: for the other hour, from the first.
        hours: of the other.
        before, after: false alarms in the other.
    """

    promise: Promise
    hours: float
    before: int
    after: int


def halves(root: Path) -> tuple[list[Path], list[Path]]:
    """Recordings without music and voices, those of one source in one half."""
    found: tuple[list[Path], list[Path]] = ([], [])
    for folder in ("urban", "ambience", "things"):
        with open(root / folder / "manifest.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["label"] not in HOLDS_MUSIC_OR_VOICES:
                    group = row.get("group") or row["filename"]
                    found[sum(map(ord, group)) % 2].append(root / folder / row["filename"])
    return found


def another_hour(model: Model, budgets: Sequence[str], root: Path) -> list[AnotherHour]:
    """Hear both halves once, then calibrate for each budget."""
    with tempfile.TemporaryDirectory() as scratch:
        stores = []
        for number, files in enumerate(halves(root)):
            store = ScoreStore(Path(scratch) / str(number), about(model), resume=False)
            hear_files(store, model, files, 1e9, lambda _: None)
            stores.append(store)
        first, other = (store.streams() for store in stores)

        def false(rules: DetectorSpec) -> int:
            heard = [(stream, heard_events(stream, model.labels, rules)) for stream in other]
            return event_report(heard, (CLASS,)).classes[CLASS].false["heard"]

        results = []
        for budget in budgets:
            found = recalibrate(model.card, first, [], parse_budget(budget), (CLASS,))
            results.append(
                AnotherHour(found.promise, stores[1].hours, false(model.card.detector), false(found.rules))
            )
        return results


def main() -> None:
    root = shared_data()
    if root is None:
        sys.exit("set STREAM_CLASSIFY_DATA to the folder that holds the recordings")
    for each in another_hour(Model.bundled(), sys.argv[1:] or ["10/h", "4/h", "1/day"], root):
        print(each.promise.sentence())
        print(
            f"  in another {each.hours:.2f} h: {each.before} with the card's rules, {each.after} with the new ones"
        )


if __name__ == "__main__":
    main()
