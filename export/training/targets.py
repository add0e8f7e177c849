"""Where in a recording its label is learnt, frame by frame.

Strong labels say it themselves: a class is active while the centre of a frame lies within an event.

The label of a whole clip does not. ``where="end"`` trains it on the second half only: a word can be recognised
once it has been heard, not before, and a network that carries its state then responds during the word and just
after it. ``where="all"`` trains it on every frame but the first tenth of a second, which is right for sounds
that fill their clip. The scores of the same frames, averaged, are the clip's score in validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from export.data.cache import FeatureStore
from export.data.recording import Recording, frame_targets
from stream.errors import DataError
from stream.inference.card import Activation

Where = Literal["end", "all"]
SETTLE_SECONDS = 0.1  # at the start of a clip, where no network can know anything yet


class LabelledFrames(NamedTuple):
    """Feature frames with what they teach.

    Attributes:
        features: (T, F) float32.
        targets: (T,) int64 class indices (softmax), or (T, C) float32 (sigmoid).
        weight: (T,) float32; 0 = the frame does not count.
    """

    features: NDArray[np.float32]
    targets: NDArray[np.generic]
    weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RecordingTargets:
    """Targets for the recordings of a feature store.

    Attributes:
        recordings: in the order of the store.
        labels: C class names.
        activation: "softmax": exactly one label a recording; "sigmoid": any number, or strong labels.
        where: the frames that a clip's label is learnt on.

    Raises:
        DataError: softmax, and a recording has not exactly one label.
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

    def label(self, store: FeatureStore, i: int) -> LabelledFrames:
        """Recording i of ``store`` with its targets and weights."""
        features, recording = store[i], self.recordings[i]
        n = len(features)
        weight = np.ones(n, np.float32)
        if recording.events is not None:
            centres = store.centres[store.offsets[i] : store.offsets[i + 1]]
            return LabelledFrames(features, frame_targets(recording.events, self.labels, centres), weight)
        skipped = (
            n // 2 if self.where == "end" else min(round(SETTLE_SECONDS * store.spec.frame_rate), n // 2)
        )
        weight[:skipped] = 0
        return LabelledFrames(features, self.constant(recording.labels, n), weight)

    def constant(self, labels: Sequence[str], frames: int) -> NDArray[np.generic]:
        """The same target for a number of frames."""
        if self.activation == "softmax":
            return np.full(frames, self.labels.index(labels[0]), np.int64)
        row = np.array([name in labels for name in self.labels], np.float32)
        return np.broadcast_to(row, (frames, len(row)))
