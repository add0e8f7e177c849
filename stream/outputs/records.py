"""Messages as plain dictionaries: the one definition of the JSON that leaves this program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from stream.messages import Event, Gap, Result, Scores, Status

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Origin:
    """What every record repeats, so that a line can stand alone.

    Attributes:
        source: device or file name.
        model: the card's name.
        model_sha256: digest of the model file.
    """

    source: str
    model: str
    model_sha256: str


def wall_time(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_record(event: Event, origin: Origin, wall: float | None) -> dict[str, Any]:
    """An onset or a complete event. ``wall``: when it began, seconds since 1970."""
    record: dict[str, Any] = {
        "type": "onset" if event.offset is None else "event",
        "schema": SCHEMA,
        "id": event.id,
        "label": event.label,
        "onset": _seconds(event.onset_s),
        "onset_sample": event.onset,
    }
    if event.offset is not None and event.offset_s is not None:
        record |= {
            "offset": _seconds(event.offset_s),
            "offset_sample": event.offset,
            "duration": _seconds((event.offset - event.onset) / event.sample_rate),
        }
    record |= {
        "peak": round(event.peak, 4),
        "mean": round(event.mean, 4),
        "decided_sample": event.decided,
        "sample_rate": event.sample_rate,
        "gap_ms": round(1000 * event.gap / event.sample_rate, 3),
        "cut": event.cut,
        "t_wall": None if wall is None else wall_time(wall),
        "source": origin.source,
        "model": origin.model,
        "model_sha256": origin.model_sha256,
    }
    return record


def gap_record(gap: Gap, origin: Origin) -> dict[str, Any]:
    """Samples that never reached the model."""
    return {
        "type": "gap",
        "schema": SCHEMA,
        "reason": gap.reason,
        "start": _seconds(gap.start / gap.sample_rate),
        "start_sample": gap.start,
        "samples": gap.length,
        "duration": _seconds(gap.seconds),
        "sample_rate": gap.sample_rate,
        "source": origin.source,
    }


def status_record(status: Status, origin: Origin, wall: float) -> dict[str, Any]:
    """The source changed its state."""
    return {
        "type": "status",
        "schema": SCHEMA,
        "state": status.state,
        "t": _seconds(status.sample / status.sample_rate),
        "sample": status.sample,
        "detail": status.detail,
        "t_wall": wall_time(wall),
        "source": origin.source,
    }


def score_records(scores: Scores) -> Iterator[dict[str, Any]]:
    """One record a row."""
    for probs, sample, warm in zip(
        scores.probs.tolist(), scores.sample.tolist(), scores.warm.tolist(), strict=True
    ):
        yield {
            "type": "scores",
            "schema": SCHEMA,
            "t": _seconds(sample / scores.sample_rate),
            "sample": sample,
            "warm": warm,
            "probs": dict(zip(scores.labels, (round(p, 4) for p in probs), strict=True)),
        }


def result_records(
    result: Result, origin: Origin, *, onsets: bool, scores: bool, wall: float | None
) -> Iterator[dict[str, Any]]:
    """Everything of a result that is to be told, in the order: gaps, scores, events.

    Args:
        result: what a push brought.
        origin: repeated in each record.
        onsets: tell beginnings too, not only complete events.
        scores: tell every row.
        wall: time of ``result.end``, seconds since 1970; None for recordings.
    """
    for gap in result.gaps:
        yield gap_record(gap, origin)
    if scores:
        yield from score_records(result.scores)
    for event in result.events:
        if onsets or event.offset is not None:
            began = None if wall is None else wall - (result.end - event.onset) / event.sample_rate
            yield event_record(event, origin, began)


def _seconds(value: float) -> float:
    return round(value, 6)
