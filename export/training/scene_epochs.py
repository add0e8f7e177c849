"""The batches of an epoch of composed streams: played side by side from beginning to end, with the state carried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray

from export.augmentation.features import FeatureAugmentation
from export.augmentation.mel import MelAugmentation, mel_spec
from export.scenes.compose import Composer, Scene
from export.scenes.labels import frame_labels
from export.training.batch import Batch
from export.training.targets import LabelledFrames, Where
from stream.features.framing import frame_centre, frame_count
from stream.features.frontend import extract
from stream.features.spec import MfccSpec
from stream.inference.card import Activation

CARRIED = 0.5  # share of streams that begin in the state in which another one ended
Order = Callable[[np.random.Generator], Sequence[int]]
"""The recordings of an epoch, in any order."""


@dataclass(frozen=True, eq=False)
class SceneBatches:
    """Batches of composed streams; call it with an epoch for that epoch's batches, composed anew for each.

    Attributes:
        composer: of the recordings.
        order: the recordings of an epoch.
        labels: C class names.
        activation: of the network.
        background: the class of what is no recording; None for sigmoid.
        where: see ``frame_labels``.
        spec: the network's features.
        augmentation: of features, drawn anew for each stream; None = none.
        stride: the network's frames per row of logits.
        rows: streams side by side.
        frames: of a batch; gradients reach no further back.
        seed: decides everything.
    """

    composer: Composer
    order: Order
    labels: tuple[str, ...]
    activation: Activation
    background: str | None
    where: Where
    spec: MfccSpec
    augmentation: FeatureAugmentation | None = None
    stride: int = 1
    rows: int = 32
    frames: int = 200
    seed: int = 0

    def __call__(self, epoch: int) -> SceneEpoch:
        return SceneEpoch(self, epoch)

    @property
    def chunk(self) -> int:
        """Frames of a batch, a multiple of the stride."""
        return ceil(self.frames / self.stride) * self.stride

    @property
    def scene_frames(self) -> int:
        """Frames of a stream that are used: whole batches."""
        settings = self.composer.settings
        total = frame_count(round(settings.seconds * self.spec.sample_rate), self.spec)
        return max(1, total // self.chunk) * self.chunk

    def scenes(self, recordings: int) -> int:
        """Streams of an epoch with so many recordings: whole sets of rows."""
        settings = self.composer.settings
        needed = recordings / self.composer.per_scene() / max(1 - settings.empty, 0.05)
        least = settings.minutes * 60 / settings.seconds
        return ceil(max(needed, least) / self.rows) * self.rows

    def stream(self, items: Sequence[int], rng: np.random.Generator) -> LabelledFrames:
        """A composed stream of some recordings, with what is to be learnt."""
        scene = self.composer.compose(items, rng)
        mel = isinstance(self.augmentation, MelAugmentation)
        features = extract(scene.samples, mel_spec(self.spec) if mel else self.spec)
        if self.augmentation is not None:
            features = self.augmentation(features, rng)
        targets, weight = self.learnt(scene, len(features))
        return LabelledFrames(features, targets, weight)

    def learnt(self, scene: Scene, frames: int) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
        """Targets and weights of the frames of a stream."""
        rate = self.spec.sample_rate
        centres = (frame_centre(0, self.spec) + self.spec.hop_length * np.arange(frames)) / rate
        return frame_labels(
            scene, self.composer.recordings, self.labels, centres, rate,
            activation=self.activation, background=self.background, where=self.where,
        )  # fmt: skip

    def sample(self, streams: int) -> NDArray[np.float32]:
        """(T, F) float32, the features of some streams, for their statistics."""
        rng = np.random.default_rng((self.seed, 4))
        order = list(self.order(rng))
        each = self.composer.per_scene()
        parts = [self.stream(order[k * each : (k + 1) * each], rng).features for k in range(streams)]
        return np.concatenate(parts)


class SceneEpoch:
    """One epoch: a sized iterable of batches. Streams are composed in other threads while the network learns."""

    def __init__(self, source: SceneBatches, epoch: int) -> None:
        self.source, self.epoch = source, epoch
        rng = np.random.default_rng((source.seed, epoch, 1))
        settings = source.composer.settings
        order = list(source.order(rng))
        rng.shuffle(order)
        each, used = source.composer.per_scene(), 0
        self.items: list[list[int]] = []
        for _ in range(source.scenes(len(order))):
            if rng.random() < settings.empty:
                self.items.append([])
                continue
            if used + each > len(order):  # once more through the recordings, in another order
                rest = order[used:]
                rng.shuffle(order)
                order, used = rest + order, 0
            self.items.append(order[used : used + each])
            used += each

    def __len__(self) -> int:
        return len(self.items) // self.source.rows * (self.source.scene_frames // self.source.chunk)

    def __iter__(self) -> Iterator[Batch]:
        source = self.source
        rng = np.random.default_rng((source.seed, self.epoch, 2))
        groups = range(0, len(self.items), source.rows)
        with ThreadPoolExecutor(1) as pool:  # one: the arithmetic of the network needs the other cores
            waiting = pool.submit(self._group, 0)
            for first in groups:
                features, targets, weight = waiting.result()
                if first + source.rows < len(self.items):
                    waiting = pool.submit(self._group, first + source.rows)
                reset = torch.from_numpy((rng.random(source.rows) >= CARRIED) | (first == 0))
                for begin in range(0, source.scene_frames, source.chunk):
                    part = slice(begin, begin + source.chunk)
                    last = slice(begin + source.stride - 1, begin + source.chunk, source.stride)
                    yield Batch(
                        torch.from_numpy(np.ascontiguousarray(features[:, part])),
                        torch.from_numpy(np.ascontiguousarray(targets[:, last])),
                        torch.from_numpy(np.ascontiguousarray(weight[:, last])),
                        reset if begin == 0 else torch.zeros(source.rows, dtype=torch.bool),
                    )

    def _group(self, first: int) -> tuple[NDArray[np.float32], NDArray[np.generic], NDArray[np.float32]]:
        """Features (N, T, F), targets and weights (N, T) of the streams that are played side by side."""
        source = self.source
        length = source.scene_frames
        parts = [
            source.stream(self.items[k], np.random.default_rng((source.seed, self.epoch, 3, k)))
            for k in range(first, first + source.rows)
        ]
        return (
            np.stack([part.features[:length] for part in parts]),
            np.stack([part.targets[:length] for part in parts]),
            np.stack([part.weight[:length] for part in parts]),
        )
