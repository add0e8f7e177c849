"""Quiet hours that ``--history`` recorded: how near each class came in every minute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from export.calibration.heard import HeardStream
from export.recalibration.score_store import KIND, About, rounded_up
from stream.decisions.spec import DetectorSpec
from stream.errors import DataError
from stream.inference.session import Model
from stream.logbook.contents import Minute
from stream.logbook.reader import HistoryReader
from stream.report.verdicts import key, read_verdicts

BURST_SECONDS = 6.0  # longer than any time on that is tried, and too short to count twice
QUIET = 0.1  # minutes below it can be no false alarm at any level that is tried


def history_stream(
    path: str | Path, model: Model, about: About, rules: DetectorSpec, hours: float
) -> tuple[HeardStream, dict[str, Any]]:
    """The minutes of a history as a stream without events: one burst, as high as the minute's peak, for each.

    A false alarm is a minute whose peak reaches the level. The time on is not known, which makes their number too high,
    and several in a minute are one, which makes it too low. Minutes with an event that a person judged to be right
    (``stream-classify review``) are left out.

    Args:
        path: what ``--history`` wrote.
        model: the one that listened.
        about: whose scores these are.
        rules: of the card; they say how far apart two events are.
        hours: the newest so many; the rest is not looked at.

    Returns:
        The stream, and where it comes from, for the card.

    Raises:
        DataError: it holds nothing that this model heard.
        HistoryInvalid, OutputError, TryAgain: it cannot be read.
    """
    minutes = _minutes(path, model, hours)
    heard = sum(minute.heard for minute in minutes)
    peaks = np.array([_of_labels(minute, model.labels) for minute in minutes], np.float32)
    peaks = peaks[(peaks >= QUIET).any(axis=1)]
    per_second = about.sample_rate / about.hop
    longest = max(rules.rule(label).min_off + rules.rule(label).refractory for label in model.labels)
    burst, pause = round(BURST_SECONDS * per_second), round((longest + 3.0) * per_second)
    probs = np.zeros((len(peaks), burst + pause, len(model.labels)), np.float16)
    probs[:, :burst] = rounded_up(peaks)[:, None]
    rows = probs.reshape(-1, len(model.labels))
    stream = HeardStream(
        rows,
        about.lag + about.hop * np.arange(len(rows), dtype=np.int64),
        about.sample_rate,
        about.hop,
        about.lag,
        round(heard * about.sample_rate),
        (),
        KIND,
    )
    began = datetime.fromtimestamp(minutes[0].start, UTC).isoformat(timespec="seconds")
    sources = sorted({minute.run.source for minute in minutes})
    return stream, {"hours": round(heard / 3600, 4), "began": began, "devices": sources, "history": True}


def _minutes(path: str | Path, model: Model, hours: float) -> list[Minute]:
    """The newest minutes that this model heard and in which nothing was to be reported, in order of time."""
    with HistoryReader(path) as history:
        every = list(history.minutes())
        mine = [m for m in every if m.run.model_sha256 == model.sha256 and m.heard > 0]
        events = list(history.events())
    right = {name for name, verdict in read_verdicts(events).items() if verdict == "right"}
    eventful = [(e.run.id, e.onset, e.offset) for e in events if key(e) in right]
    quiet = [
        m
        for m in mine
        if not any(run == m.run.id and on < m.start + 60 and off >= m.start for run, on, off in eventful)
    ]
    kept: list[Minute] = []
    seconds = 0.0
    for minute in reversed(quiet):
        if seconds >= hours * 3600:
            break
        kept.append(minute)
        seconds += minute.heard
    if mine and not kept:
        raise DataError(
            f"{path}: every minute has an event that was judged to be right; listen to quiet hours too"
        )
    if not kept:
        models = ", ".join(sorted({m.run.model for m in every})) or "no model"
        raise DataError(
            f"{path}: holds nothing that {model.id} heard (it was {models}); calibrate the model that listened"
        )
    return kept[::-1]


def _of_labels(minute: Minute, labels: Sequence[str]) -> list[float]:
    """The peaks of the model's own classes; groups and the like are left out."""
    found = dict(zip(minute.run.labels, np.nan_to_num(minute.peaks).tolist(), strict=True))
    return [found.get(label, 0.0) for label in labels]
