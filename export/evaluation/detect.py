"""Events and times of rows that are already computed, as the live classifier would have given them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.calibration.detecting import row_events
from export.metrics.prediction import DetectedEvent
from stream.decisions.spec import DetectorSpec
from stream.features.framing import frame_centre
from stream.features.spec import FeatureSpec


def row_samples(rows: int, spec: FeatureSpec, delay: int = 0) -> NDArray[np.int64]:
    """(rows,) int64, the sample each row of a model of stride 1 is about: the middle of its frame, ``delay`` rows ago.

    The first ``delay`` rows are about time before the stream; their samples may be negative.
    """
    return (np.arange(rows, dtype=np.int64) - delay) * spec.hop_length + frame_centre(0, spec)


def detect(
    probs: NDArray[np.float32],
    labels: tuple[str, ...],
    detector: DetectorSpec,
    spec: FeatureSpec,
    delay: int = 0,
) -> tuple[DetectedEvent, ...]:
    """Complete events of one stream by the live detector.

    Args:
        probs: (T, C), a row a frame, from the first frame on.
        labels: C names.
        detector: rules.
        spec: features of the frames.
        delay: rows by which predictions lag what they are about; the first of them are not used.
    """
    used = np.ascontiguousarray(probs[delay:], np.float32)
    samples = row_samples(len(probs), spec, delay)[delay:]
    lag = spec.span - frame_centre(0, spec) + delay * spec.hop_length
    return row_events(used, samples, labels, detector, spec.sample_rate, spec.hop_length, lag)
