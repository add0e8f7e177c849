"""Messages as records: the one place where what happened becomes the JSON that leaves this program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stream.messages import Event, Gap, Result, Status
from stream.outputs.schema import (
    SCHEMA_VERSION,
    EventRecord,
    GapRecord,
    OnsetRecord,
    Record,
    ScoresRecord,
    StatusRecord,
)
from stream.outputs.wall_time import CaptureTimes, rfc3339


@dataclass(frozen=True, slots=True)
class Origin:
    """What records repeat, so that each line can stand alone.

    Attributes:
        source: device or file name.
        model: the card's name.
        model_sha256: digest of the model file.
    """

    source: str
    model: str
    model_sha256: str


def result_records(
    result: Result, origin: Origin, times: CaptureTimes, *, onsets: bool, scores: bool
) -> Iterator[Record]:
    """Everything of a result that is to be written, in the order: gaps, scores, events.

    Args:
        result: what a push brought.
        origin: repeated in each record.
        times: gives the wall time of onsets; the same object for all results of a stream.
        onsets: also the beginnings, not only complete events.
        scores: every row.
    """
    for gap in result.gaps:
        yield gap_record(gap, result.stream, origin)
    for gap in result.opened:
        yield gap_record(gap, result.stream, origin, is_open=True)
    if scores:
        yield from score_records(result, origin)
    for event in result.events:
        began = times.onset(event, result)
        if onsets or event.offset is not None:
            yield event_record(event, result.stream, origin, began)


def event_record(event: Event, stream: str, origin: Origin, wall: float | None) -> OnsetRecord | EventRecord:
    """An onset or a complete event. ``wall``: when it began, seconds since 1970."""
    rate = event.sample_rate
    gap_ms = round(1000 * event.gap / rate, 3)
    t_wall = None if wall is None else rfc3339(wall)
    if event.offset is None:
        return OnsetRecord(
            schema=SCHEMA_VERSION,
            id=event.id,
            label=event.label,
            onset=_seconds(event.onset, rate),
            onset_sample=event.onset,
            peak=round(event.peak, 4),
            mean=round(event.mean, 4),
            decided_sample=event.decided,
            sample_rate=rate,
            gap_ms=gap_ms,
            cut=event.cut,
            t_wall=t_wall,
            source=origin.source,
            stream=stream,
            model=origin.model,
            model_sha256=origin.model_sha256,
        )
    return EventRecord(
        schema=SCHEMA_VERSION,
        id=event.id,
        label=event.label,
        onset=_seconds(event.onset, rate),
        onset_sample=event.onset,
        offset=_seconds(event.offset, rate),
        offset_sample=event.offset,
        duration=_seconds(event.offset - event.onset, rate),
        peak=round(event.peak, 4),
        mean=round(event.mean, 4),
        decided_sample=event.decided,
        sample_rate=rate,
        gap_ms=gap_ms,
        cut=event.cut,
        t_wall=t_wall,
        source=origin.source,
        stream=stream,
        model=origin.model,
        model_sha256=origin.model_sha256,
    )


def gap_record(gap: Gap, stream: str, origin: Origin, *, is_open: bool = False) -> GapRecord:
    """Samples that never reached the model."""
    return GapRecord(
        schema=SCHEMA_VERSION,
        reason=gap.reason,
        start=_seconds(gap.start, gap.sample_rate),
        start_sample=gap.start,
        samples=gap.length,
        duration=_seconds(gap.length, gap.sample_rate),
        sample_rate=gap.sample_rate,
        source=origin.source,
        stream=stream,
        model=origin.model,
        open=is_open,
    )


def status_record(status: Status, origin: Origin, wall: float) -> StatusRecord:
    """The source changed its state, at ``wall`` seconds since 1970."""
    return StatusRecord(
        schema=SCHEMA_VERSION,
        state=status.state,
        t=_seconds(status.sample, status.sample_rate),
        sample=status.sample,
        detail=status.detail,
        t_wall=rfc3339(wall),
        source=origin.source,
        by=status.by,
    )


def score_records(result: Result, origin: Origin) -> Iterator[ScoresRecord]:
    """One record for each row."""
    scores = result.scores
    for probs, sample, warm in zip(
        scores.probs.tolist(), scores.sample.tolist(), scores.warm.tolist(), strict=True
    ):
        yield ScoresRecord(
            schema=SCHEMA_VERSION,
            t=_seconds(sample, scores.sample_rate),
            sample=sample,
            warm=warm,
            probs=dict(zip(scores.labels, (round(p, 4) for p in probs), strict=True)),
            stream=result.stream,
            model=origin.model,
        )


def _seconds(samples: int, sample_rate: int) -> float:
    return round(samples / sample_rate, 6)
