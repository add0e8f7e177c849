"""What a model predicted for one recording, beside the recording's labels: the input of every figure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Interval


@dataclass(frozen=True, slots=True)
class DetectedEvent(Interval):
    """An event of the detector, in seconds of its recording.

    Attributes:
        decided: when its onset was reported.
    """

    decided: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predictions for one recording, and its labels.

    Attributes:
        labels: classes of the whole recording.
        reference: labelled events; None where only ``labels`` are known.
        probs: (T, C) float32 probabilities.
        seconds: (T,) float64, the time in the recording that each row of ``probs`` is about.
        events: events that the detector found in it.
        duration: of the recording, seconds.
    """

    labels: tuple[str, ...]
    reference: tuple[Interval, ...] | None
    probs: NDArray[np.float32]
    seconds: NDArray[np.float64]
    events: tuple[DetectedEvent, ...]
    duration: float
