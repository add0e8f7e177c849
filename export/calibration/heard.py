"""What a model gave for a stream, and what was to be heard in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.recording import Interval
from export.scenes.negatives import Kind


@dataclass(frozen=True, eq=False, slots=True)
class HeardStream:
    """Probabilities of one stream, the state carried from its first frame to its last, and its truth.

    Attributes:
        probs: (T, C) probabilities, a row a frame of the model; float32, or float16 as they are stored.
        samples: (T,) int64, the sample that each row is about.
        sample_rate: Hz.
        hop: samples between rows.
        lag: samples from a row's reference sample to the newest one the model had seen for it.
        length: samples of the stream.
        truth: the events in it, in seconds; () = none.
        kind: what it is without its events; "own" = the data's own recordings with pauses and impostors.
    """

    probs: NDArray[np.floating]
    samples: NDArray[np.int64]
    sample_rate: int
    hop: int
    lag: int
    length: int
    truth: tuple[Interval, ...]
    kind: Kind | str

    @property
    def hours(self) -> float:
        """Length in hours."""
        return self.length / self.sample_rate / 3600
