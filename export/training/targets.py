"""Where in a recording its label is learnt, frame by frame.

Strong labels say it themselves: a class is on while the middle of a frame lies within an event.

A label of a whole clip does not. ``where="end"`` teaches it on the second half only: a word can be known once
it has been heard, not before, and a network that carries its state then answers during the word and just
after it. ``where="all"`` teaches it on every frame but the first tenth of a second: right for sounds that
fill their clip. The same frames, averaged, give the clip's score in validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.data.cache import FeatureStore
from export.data.recording import Recording, frame_targets
from export.training.loss import Activation
from stream.errors import DataError

Where = Literal["end", "all"]
SETTLE = 0.1  # seconds at the start of a clip in which no network can know anything

Frames = tuple[NDArray[np.float32], NDArray[np.generic], NDArray[np.float32]]
"""Features (T, F) float32, targets (T,) int64 or (T, C) float32, weight (T,) float32."""


@dataclass(frozen=True, slots=True)
class RecordingTargets:
    """Turns recordings of a store into frames with targets.

    Attributes:
        recordings: in the order of the store.
        labels: C class names.
        activation: "softmax": exactly one label a recording; "sigmoid": any number, or strong labels.
        where: the frames that a clip's label is learnt on.
    """

    recordings: Sequence[Recording]
    labels: tuple[str, ...]
    activation: Activation
    where: Where = "end"

    def __post_init__(self) -> None:
        for recording in self.recordings:
            if self.activation == "softmax" and (len(recording.labels) != 1 or recording.events is not None):
                shown = ", ".join(recording.labels) or "none"
                raise DataError(
                    f"{recording.where}: softmax needs exactly one label for the whole file, this has {shown}"
                    f"{' as events' if recording.events is not None else ''}; use --activation sigmoid"
                )

    def frames(self, store: FeatureStore, i: int) -> Frames:
        """Recording i as frames with targets and weights."""
        features, recording = store[i], self.recordings[i]
        n = len(features)
        if recording.events is not None:
            centres = store.centres[store.offsets[i] : store.offsets[i + 1]]
            return features, frame_targets(recording.events, self.labels, centres), np.ones(n, np.float32)
        weight = np.ones(n, np.float32)
        weight[: n // 2 if self.where == "end" else min(round(SETTLE * store.spec.frame_rate), n // 2)] = 0
        return features, self.repeated(recording.labels, n), weight

    def repeated(self, labels: Sequence[str], n: int) -> NDArray[np.generic]:
        """The same answer for n frames."""
        if self.activation == "softmax":
            return np.full(n, self.labels.index(labels[0]), np.int64)
        row = np.array([name in labels for name in self.labels], np.float32)
        return np.broadcast_to(row, (n, len(row)))
