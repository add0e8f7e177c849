"""All events as CSV, for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import datetime

from stream.printable import printable
from stream.report.figures import Figures
from stream.report.verdicts import Key, Verdict, key

COLUMNS = (
    "onset", "offset", "label", "seconds", "peak", "mean", "lost_seconds", "cut", "verdict", "source", "model", "clip",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def event_csv(figures: Figures, verdicts: Mapping[Key, Verdict]) -> str:
    """One line an event, in order of onset; times are local, with their offset from UTC.

    Text from outside that a spreadsheet would take for a formula has an apostrophe in front.
    """
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(COLUMNS)
    for event in figures.events:
        lines.writerow(
            (
                _time(event.onset),
                "" if event.is_on else _time(event.offset),
                _safe(event.label),
                f"{event.seconds:.3f}",
                f"{event.peak:.4f}",
                f"{event.mean:.4f}",
                f"{event.gap_seconds:.3f}",
                "yes" if event.cut else "no",
                verdicts.get(key(event), ""),
                _safe(event.run.source),
                _safe(event.run.model),
                _safe(event.clip or ""),
            )
        )
    return out.getvalue()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")


def _safe(text: str) -> str:
    text = printable(text)
    return "'" + text if text.startswith(_FORMULA) else text
