"""Events of rows that are already computed, by the live detector: there is no other one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.calibration.heard import HeardStream
from export.metrics.prediction import DetectedEvent
from stream.decisions.detector import Detector
from stream.decisions.spec import DetectorSpec
from stream.messages import Event, Scores

_BLOCK_ROWS = 100_000


def row_events(
    probs: NDArray[np.floating],
    samples: NDArray[np.int64],
    labels: tuple[str, ...],
    detector: DetectorSpec,
    sample_rate: int,
    hop: int,
    lag: int,
) -> tuple[DetectedEvent, ...]:
    """Complete events of consecutive rows of one stream, from its first row to its last.

    Args:
        probs: (T, C) float32, or float16 as they are stored.
        samples: (T,) int64, the sample each row is about.
        labels: C names.
        detector: rules.
        sample_rate: Hz.
        hop: samples between rows.
        lag: samples from a row's reference sample to the newest one the model had seen for it.
    """
    machine = Detector(detector, labels, sample_rate, hop, lag)
    events: list[Event] = []
    for at in range(
        0, len(probs), _BLOCK_ROWS
    ):  # any chunking gives the same; hours at once take much memory
        rows = np.ascontiguousarray(probs[at : at + _BLOCK_ROWS], np.float32)
        part = samples[at : at + _BLOCK_ROWS]
        events += machine.push(Scores(rows, part, np.ones(len(rows), bool), labels, sample_rate, hop))
    return complete_events([*events, *machine.flush()])


def heard_events(
    stream: HeardStream, labels: tuple[str, ...], detector: DetectorSpec
) -> tuple[DetectedEvent, ...]:
    """Complete events of a heard stream, as ``stream-classify`` would have reported them."""
    return row_events(
        stream.probs, stream.samples, labels, detector, stream.sample_rate, stream.hop, stream.lag
    )


def complete_events(events: list[Event], start: int = 0, end: int | None = None) -> tuple[DetectedEvent, ...]:
    """The events that have ended, in seconds after sample ``start``; only those that began before sample ``end``."""
    decided = {e.id: e.decided for e in events if e.offset is None}
    return tuple(
        DetectedEvent(
            e.label,
            (e.onset - start) / e.sample_rate,
            (e.offset - start) / e.sample_rate,
            (decided[e.id] - start) / e.sample_rate,
        )
        for e in events
        if e.offset is not None and start <= e.onset and (end is None or e.onset < end)
    )
