"""SourceGlance: how one source of a station is doing, at a glance."""

from __future__ import annotations

import msgspec

from stream.outputs.output_report import OutputReport
from stream.outputs.schema import EventRecord, OnsetRecord
from stream.server.hub_message import SourceCondition


class SourceGlance(msgspec.Struct, frozen=True, kw_only=True):
    """How one source is doing.

    Attributes:
        name: of the source.
        input: what is listened to, without secrets.
        model: name in the model's card.
        labels: classes, in column order.
        sample_rate: of the model, Hz: that of all sample indices.
        state: what it does.
        detail: why; "" while there is nothing to say.
        since: seconds since 1970 of the last change of state.
        restarts: how often it was started again after an error.
        error: what ended the last run that an error ended; "" if none did.
        retry_in: seconds until it is started again; None while it does not wait for that.
        probs: newest probability by class.
        on: classes with an event that is on.
        thresholds: by class, of those that are reported; null while one is muted.
        last_event: the newest one, complete or not.
        rms_dbfs, peak_dbfs: level of the newest tenth of a second.
        seconds: heard or lost in this run.
        lost_seconds: lost in this run.
        rows, events: of this run.
        lag_seconds: from the capture of the newest sound to its result.
        busy_seconds: spent classifying, in this run.
        outputs: how they are doing.
    """

    name: str
    input: str
    model: str
    labels: tuple[str, ...]
    sample_rate: int
    state: SourceCondition
    detail: str = ""
    since: float = 0.0
    restarts: int = 0
    error: str = ""
    retry_in: float | None = None
    probs: dict[str, float] = {}
    on: tuple[str, ...] = ()
    thresholds: dict[str, float | None] = {}
    last_event: OnsetRecord | EventRecord | None = None
    rms_dbfs: float | None = None
    peak_dbfs: float | None = None
    seconds: float = 0.0
    lost_seconds: float = 0.0
    rows: int = 0
    events: int = 0
    lag_seconds: float | None = None
    busy_seconds: float = 0.0
    outputs: tuple[OutputReport, ...] = ()
