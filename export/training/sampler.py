"""Sampler: recordings, gaps and background as frames, drawn and changed as a plan says."""

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
from export.training.targets import Frames, RecordingTargets
from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec


@dataclass(slots=True)
class Sampler:
    """Everything batches are made of.

    Attributes:
        stores: variants of the same recordings; one is drawn for each use.
        answers: their targets.
        plan: see StreamConfig.
        background: sound for gaps; None = digital silence only.
        change: feature augmentation; None = off (validation).
        stride: the model's frames per output.
        seed: of every draw.
    """

    stores: Sequence[FeatureStore]
    answers: RecordingTargets
    plan: StreamConfig
    background: FeatureStore | None = None
    change: FeatureAugmentation | None = None
    stride: int = 1
    seed: int = 0
    _silence: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        spec = self.spec
        self._silence = mfcc(np.zeros(spec.n_fft, np.float32), spec)

    @property
    def spec(self) -> MfccSpec:
        """What the network hears; the stores hold log-mel energies where those are changed first."""
        return self.change.target if isinstance(self.change, MelAugmentation) else self.stores[0].spec

    @property
    def width(self) -> int:
        return self.spec.width

    def usable(self) -> list[int]:
        """Numbers of the recordings that have frames."""
        return [i for i in range(len(self.stores[0])) if self.stores[0].frames(i)]

    def drawn(self, rng: np.random.Generator) -> list[int]:
        """The recordings of an epoch: each once, or as ``StreamConfig.even`` says."""
        usable = self.usable()
        if not self.plan.even:
            return usable
        keys = [(self.answers.recordings[i].labels, self.answers.recordings[i].group) for i in usable]
        size = Counter(keys)
        chance = np.array([size[key] ** -self.plan.even for key in keys])
        share: dict[tuple[str, ...], float] = defaultdict(float)
        for (labels, _), each in zip(keys, chance, strict=True):
            share[labels] += each
        chance /= np.array([share[labels] for labels, _ in keys]) * len(share)
        order = rng.permutation(len(usable))  # one systematic sample: none comes more often than it must
        at = (rng.random() + np.arange(len(usable))) / len(usable)
        found = np.searchsorted(np.cumsum(chance[order]), at).clip(max=len(usable) - 1)
        return [usable[i] for i in order[found]]

    def rows(self) -> int:
        """Streams side by side: about forty batches an epoch, 8 to 128 rows."""
        if self.plan.rows:
            return self.plan.rows
        return int(np.clip(len(self.stores[0].features) // (40 * self.plan.frames), 8, 128))

    def variant(self, i: int, rng: np.random.Generator) -> int:
        """The store to take recording i from."""
        drawn = int(rng.integers(len(self.stores)))
        return drawn if self.stores[drawn].frames(i) else 0

    def clip(self, i: int, variant: int, rng: np.random.Generator) -> Frames:
        """Recording i in that variant, its features changed."""
        features, targets, weight = self.answers.frames(self.stores[variant], i)
        if isinstance(self.change, MelAugmentation):
            if self.change.augment.stretch:
                times = self.change.times(len(features), rng)
                nearest = np.rint(times).astype(int)
                features, targets, weight = at_times(features, times), targets[nearest], weight[nearest]
            features = self.change(features, rng, self._other(rng))
        elif self.change is not None:
            features = self.change(features, rng)
        return features, targets, weight

    def _other(self, rng: np.random.Generator) -> NDArray[np.float32] | None:
        """Any recording's frames, to be put beneath another."""
        other = self.stores[0][int(rng.integers(len(self.stores[0])))]
        return other if len(other) else None

    def gap(self, n: int, rng: np.random.Generator) -> Frames:
        """n frames between recordings."""
        if self.background is None or (n and rng.random() < self.plan.silence):
            features = np.repeat(self._silence, n, axis=0)
        else:
            at = int(rng.integers(0, max(1, len(self.background.features) - n)))
            features = np.resize(self.background.features[at : at + n], (n, self.width))
            features = features if self.change is None or not n else self.change(features, rng)
        quiet = self.plan.quiet
        taught = quiet is not None or self.answers.activation == "sigmoid"
        labels = () if quiet is None else (quiet,)
        if self.answers.activation == "softmax" and quiet is None:
            labels = (self.answers.labels[0],)  # a placeholder: its weight is 0
        return features, self.answers.repeated(labels, n), np.full(n, float(taught), np.float32)
