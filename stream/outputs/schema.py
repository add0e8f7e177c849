"""The records of JSON lines as types, and the JSON Schema made of them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

SCHEMA_VERSION: Final = 1

Version = Annotated[Literal[1], Meta(description="Version of these records; new fields do not change it.")]
Seconds = Annotated[float, Meta(description="Seconds of stream time since the start of the source.")]
Duration = Annotated[float, Meta(ge=0, description="Seconds.")]
Sample = Annotated[int, Meta(description="Absolute sample index at the model's rate.")]
Rate = Annotated[int, Meta(gt=0, description="Samples per second of the sample indices beside it, Hz.")]
Probability = Annotated[float, Meta(ge=0, le=1)]
WallTime = Annotated[
    str,
    Meta(
        description="When the sound was captured: RFC 3339 in UTC, to the millisecond.",
        extra_json_schema={"format": "date-time"},
    ),
]
Source = Annotated[str, Meta(description="Name of the device or file.")]
Stream = Annotated[str, Meta(description="Name of the stream; empty where it has none.")]
ModelName = Annotated[str, Meta(description="Name in the model's card.")]
Digest = Annotated[str, Meta(description="SHA-256 of the model file, in hexadecimal.")]
EventId = Annotated[
    int, Meta(ge=0, description="Counts events of a stream; the same at its onset and its end.")
]
Mean = Annotated[float, Meta(description="Mean smoothed probability, up to now or to the end.")]
Peak = Annotated[float, Meta(description="Highest smoothed probability, up to now or to the end.")]
Decided = Annotated[int, Meta(description="One past the newest sample that was known at the decision.")]
GapMilliseconds = Annotated[float, Meta(ge=0, description="Sound lost within the event, milliseconds.")]
Cut = Annotated[bool, Meta(description="A gap, a reset or the end of the stream ended it, not the sound.")]


class OnsetRecord(msgspec.Struct, frozen=True, tag_field="type", tag="onset"):
    """An event has begun. Written on request; the complete event follows with the same id."""

    schema: Version
    id: EventId
    label: str
    onset: Seconds
    onset_sample: Sample
    peak: Peak
    mean: Mean
    decided_sample: Decided
    sample_rate: Rate
    gap_ms: GapMilliseconds
    cut: Cut
    t_wall: Annotated[WallTime | None, Meta(description="Wall time of the onset; null for recordings.")]
    source: Source
    stream: Stream
    model: ModelName
    model_sha256: Digest


class EventRecord(msgspec.Struct, frozen=True, tag_field="type", tag="event"):
    """A complete event, from onset up to, not including, offset."""

    schema: Version
    id: EventId
    label: str
    onset: Seconds
    onset_sample: Sample
    offset: Seconds
    offset_sample: Sample
    duration: Duration
    peak: Peak
    mean: Mean
    decided_sample: Decided
    sample_rate: Rate
    gap_ms: GapMilliseconds
    cut: Cut
    t_wall: Annotated[WallTime | None, Meta(description="Wall time of the onset; null for recordings.")]
    source: Source
    stream: Stream
    model: ModelName
    model_sha256: Digest


class GapRecord(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """Samples that never reached the model: "lost" by the source, or "missing" (invalid for too long to repair)."""

    schema: Version
    reason: Literal["lost", "missing"]
    start: Seconds
    start_sample: Sample
    samples: Annotated[int, Meta(gt=0)]
    duration: Duration
    sample_rate: Rate
    source: Source
    stream: Stream
    model: ModelName
    open: Annotated[
        bool,
        Meta(
            description="It goes on: samples and duration are those so far. Another line comes when it is over."
        ),
    ]


class StatusRecord(msgspec.Struct, frozen=True, tag_field="type", tag="status"):
    """The source changed what it is doing, or why, or a person how it is heard. It is about all streams that listen to
    it."""

    schema: Version
    state: Literal["listening", "silent", "recovering", "failed"]
    t: Seconds
    sample: Annotated[int, Meta(description="Absolute sample index at the source's rate.")]
    detail: str
    t_wall: WallTime
    source: Source
    by: Annotated[
        Literal["source", "person"], Meta(description="Who changed something; if a person, detail says what.")
    ]


class ScoresRecord(msgspec.Struct, frozen=True, tag_field="type", tag="scores"):
    """One row of probabilities. Written on request."""

    schema: Version
    t: Seconds
    sample: Sample
    warm: Annotated[bool, Meta(description="The model has heard as much as its card asks for.")]
    probs: Annotated[dict[str, Probability], Meta(description="Probability of each class, by label.")]
    stream: Stream
    model: ModelName


Record = OnsetRecord | EventRecord | GapRecord | StatusRecord | ScoresRecord


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one line."""
    (schema,), definitions = msgspec.json.schema_components([Record], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stream-classify JSON lines",
        "description": "One line: an event, its onset, a gap, a change of the source, or a row of scores.",
        **schema,
        "$defs": definitions,
    }
