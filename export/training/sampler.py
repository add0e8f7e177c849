"""Sampler: recordings, gaps and background as labelled frames, drawn and augmented."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from export.augmentation.features import FeatureAugmentation
from export.augmentation.mel import MelAugmentation, at_times
from export.data.cache import FeatureStore
from export.training.stream_config import StreamConfig
from export.training.targets import LabelledFrames, RecordingTargets
from stream.features.frontend import extract
from stream.features.spec import FeatureSpec


@dataclass(slots=True)
class Sampler:
    """What batches are made of.

    Attributes:
        stores: variants of the same recordings; one is drawn for each use.
        targets: of these recordings.
        config: see StreamConfig.
        background: sound for gaps; None = digital silence only.
        augmentation: of features; None = none (validation).
        stride: the network's frames per row of logits.
        seed: of every draw.
    """

    stores: Sequence[FeatureStore]
    targets: RecordingTargets
    config: StreamConfig
    background: FeatureStore | None = None
    augmentation: FeatureAugmentation | None = None
    stride: int = 1
    seed: int = 0
    _silence: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self._silence = extract(np.zeros(self.spec.span, np.float32), self.spec)

    @property
    def spec(self) -> FeatureSpec:
        """The network's features; the stores hold log-mel energies where those are augmented first."""
        if isinstance(self.augmentation, MelAugmentation):
            return self.augmentation.target
        return self.stores[0].spec

    @property
    def width(self) -> int:
        """F, the number of features in a frame."""
        return self.spec.width

    def usable(self) -> list[int]:
        """Indices of the recordings that have frames."""
        return [i for i in range(len(self.stores[0])) if self.stores[0].frames(i)]

    def draw_epoch(self, rng: np.random.Generator) -> list[int]:
        """The recordings of an epoch: each once, or as ``StreamConfig.balance`` says."""
        usable = self.usable()
        if not self.config.balance:
            return usable
        recordings = self.targets.recordings
        keys = [(recordings[i].labels, recordings[i].group) for i in usable]
        size = Counter(keys)
        chance = np.array([size[key] ** -self.config.balance for key in keys])
        share: dict[tuple[str, ...], float] = defaultdict(float)
        for (labels, _), each in zip(keys, chance, strict=True):
            share[labels] += each
        chance /= np.array([share[labels] for labels, _ in keys]) * len(share)
        order = rng.permutation(len(usable))  # one systematic sample: none comes more often than it must
        at = (rng.random() + np.arange(len(usable))) / len(usable)
        found = np.searchsorted(np.cumsum(chance[order]), at).clip(max=len(usable) - 1)
        return [usable[i] for i in order[found]]

    def row_count(self) -> int:
        """Streams in a batch: as many as make about forty batches an epoch, 8 to 128."""
        if self.config.rows:
            return self.config.rows
        return int(np.clip(len(self.stores[0].features) // (40 * self.config.frames), 8, 128))

    def draw_variant(self, i: int, rng: np.random.Generator) -> int:
        """The store to take recording i from."""
        drawn = int(rng.integers(len(self.stores)))
        return drawn if self.stores[drawn].frames(i) else 0

    def recording(self, i: int, variant: int, rng: np.random.Generator) -> LabelledFrames:
        """Recording i of a variant, its features augmented."""
        features, targets, weight = self.targets.label(self.stores[variant], i)
        if isinstance(self.augmentation, MelAugmentation):
            if self.augmentation.augment.stretch:
                times = self.augmentation.times(len(features), rng)
                nearest = np.rint(times).astype(int)
                features, targets, weight = at_times(features, times), targets[nearest], weight[nearest]
            features = self.augmentation(features, rng, self._other(rng))
        elif self.augmentation is not None:
            features = self.augmentation(features, rng)
        return LabelledFrames(features, targets, weight)

    def _other(self, rng: np.random.Generator) -> NDArray[np.float32] | None:
        """Any recording's frames, to be mixed into another."""
        other = self.stores[0][int(rng.integers(len(self.stores[0])))]
        return other if len(other) else None

    def gap(self, frames: int, rng: np.random.Generator) -> LabelledFrames:
        """The frames between two recordings."""
        if self.background is None or (frames and rng.random() < self.config.silence):
            features = np.repeat(self._silence, frames, axis=0)
        else:
            at = int(rng.integers(0, max(1, len(self.background.features) - frames)))
            features = np.resize(self.background.features[at : at + frames], (frames, self.width))
            if self.augmentation is not None and frames:
                features = self.augmentation(features, rng)
        label, softmax = self.config.background_class, self.targets.activation == "softmax"
        counts = label is not None or not softmax
        labels = () if label is None else (label,)
        if softmax and label is None:
            labels = (self.targets.labels[0],)  # a placeholder: its weight is 0
        targets = self.targets.constant(labels, frames)
        return LabelledFrames(features, targets, np.full(frames, float(counts), np.float32))
