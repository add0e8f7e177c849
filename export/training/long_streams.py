"""Batches of long labelled streams whose features are already computed: several streams played side by side.

Where recordings are short, see ``export.training.epochs``; here each stream is minutes long and labelled throughout,
as composed scenes or field recordings are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from export.training.batch import Batch


class StreamAugmentation(Protocol):
    """Changes the features of whole streams; ``export.augmentation.ChannelAugmentation`` is one."""

    def draw(self, streams: int, rng: np.random.Generator) -> Any:
        """Parameters for so many streams."""
        ...

    def apply(
        self, parameters: Any, features: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """(N, T, F) consecutive frames of N streams, changed by the parameters of those streams."""
        ...


@dataclass(frozen=True, eq=False)
class LongStreamBatches:
    """Batches of rows that play streams from beginning to end, in chunks, with the state carried.

    Call it with an epoch for that epoch's batches; ``fit`` takes it as its ``batches``. When a row's stream ends the
    next one begins; half of the time the state is carried over, so that the network also learns to live with a long
    and foreign past.

    Attributes:
        features: (S, T, F) of any float dtype, S streams; may be memory-mapped.
        labels: (S, T, C) in [0, 1] at each frame.
        rows: streams side by side.
        chunk: frames of a batch; gradients reach no further back.
        seed: decides order, resets and augmentation, epoch by epoch.
        augmentation: drawn anew for each stream of each epoch; None = none.
        delay: frames by which targets lag the labels.
        teacher_targets: (S, T, C) probabilities to learn from beside the labels, as late as the targets; None = none.
        teacher_share: of the teacher targets in what is learnt, 0 to 1.
        weights: (S, T) how much each frame counts, as late as the targets; None = all alike.
    """

    features: NDArray[Any]
    labels: NDArray[Any]
    rows: int = 32
    chunk: int = 100
    seed: int = 0
    augmentation: StreamAugmentation | None = None
    delay: int = 0
    teacher_targets: NDArray[np.float16] | None = None
    teacher_share: float = 0.0
    weights: NDArray[Any] | None = None

    def __call__(self, epoch: int) -> _Epoch:
        return _Epoch(self, epoch)

    def targets(self, streams: NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(streams), T, C) float32, what is to be learnt about those streams."""
        frames = self.labels.shape[1]
        late = np.pad(self.labels[streams], ((0, 0), (self.delay, 0), (0, 0)))[:, :frames].astype(np.float32)
        if self.teacher_targets is None:
            return late
        taught: NDArray[np.float32] = self.teacher_targets[streams].astype(np.float32)
        return (1 - self.teacher_share) * late + self.teacher_share * taught

    def counted(self, streams: NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(streams), T) float32, how much each frame of those streams counts."""
        frames = self.labels.shape[1]
        if self.weights is None:
            return np.ones((len(streams), frames), np.float32)
        late: NDArray[np.float32] = np.pad(self.weights[streams], ((0, 0), (self.delay, 0)))[
            :, :frames
        ].astype(np.float32)
        return late


@dataclass(frozen=True)
class Curriculum:
    """Other streams for every epoch: ``batches`` of epoch e come from ``parts[e]``."""

    parts: tuple[LongStreamBatches, ...]

    def __call__(self, epoch: int) -> _Epoch:
        return self.parts[epoch](epoch)


@dataclass(frozen=True, eq=False)
class _Epoch:
    """One epoch: a sized iterable of batches."""

    source: LongStreamBatches
    epoch: int

    def __len__(self) -> int:
        streams, frames = self.source.labels.shape[:2]
        return int((streams // self.source.rows) * (frames // self.source.chunk))

    def __iter__(self) -> Iterator[Batch]:
        source = self.source
        rng = np.random.default_rng([source.seed, self.epoch])
        order = rng.permutation(len(source.labels))
        frames = source.labels.shape[1]
        for first in range(0, len(order) - source.rows + 1, source.rows):
            streams = np.sort(order[first : first + source.rows])
            reset = rng.random(source.rows) < (1.0 if first == 0 else 0.5)
            parameters = None if source.augmentation is None else source.augmentation.draw(source.rows, rng)
            features, targets, weights = (
                source.features[streams], source.targets(streams), source.counted(streams)
            )  # fmt: skip
            begin = int(rng.integers(frames % source.chunk + 1))
            for start in range(begin, frames - source.chunk + 1, source.chunk):
                part = features[:, start : start + source.chunk].astype(np.float32)
                if source.augmentation is not None:
                    part = source.augmentation.apply(parameters, part, rng)
                piece = slice(start, start + source.chunk)
                yield Batch(
                    torch.from_numpy(part),
                    torch.from_numpy(np.ascontiguousarray(targets[:, piece])),
                    torch.from_numpy(np.ascontiguousarray(weights[:, piece])),
                    torch.from_numpy(reset if start == begin else np.zeros(source.rows, bool)),
                )
