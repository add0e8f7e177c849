"""Labelled frames of unequal length, cut and stacked into batches of equal length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from export.training.batch import Batch
from export.training.sampler import Sampler
from export.training.targets import LabelledFrames


@dataclass(frozen=True, slots=True)
class IndexedBatch:
    """A batch and, for each row of logits (N, T'), the index of its recording; -1 = none."""

    batch: Batch
    recording: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Part:
    """One row of a batch.

    Attributes:
        features: (T, F) float32, zero after the end of the row's last recording.
        spans: (first frame, labelled frames, index of their recording or -1).
    """

    features: NDArray[np.float32]
    spans: list[tuple[int, LabelledFrames, int]]


class RowReader:
    """Cuts a sequence of labelled frames, with the index of their recording, into parts of equal length."""

    def __init__(self, pieces: Iterator[tuple[LabelledFrames, int]]) -> None:
        self._pieces = pieces
        self._rest: tuple[LabelledFrames, int] | None = None

    def read(self, frames: int, width: int) -> Part:
        """The next frames of the row."""
        part = Part(np.zeros((frames, width), np.float32), [])
        at = 0
        while at < frames:
            piece = self._rest if self._rest is not None else next(self._pieces, None)
            if piece is None:
                break
            whole, recording = piece
            n = min(frames - at, len(whole.features))
            head, rest = (
                LabelledFrames(whole.features[cut], whole.targets[cut], whole.weight[cut])
                for cut in (slice(n), slice(n, None))
            )
            part.features[at : at + n] = head.features
            part.spans.append((at, head, recording))
            self._rest = (rest, recording) if len(rest.features) else None
            at += n
        return part


def collate(parts: Sequence[Part], sampler: Sampler, reset: torch.Tensor | None) -> IndexedBatch:
    """Stack rows of equal length; with a stride, a row of logits has the target of its last frame."""
    n, length = len(parts), len(parts[0].features)
    classes = len(sampler.targets.labels)
    softmax = sampler.targets.activation == "softmax"
    features = np.stack([part.features for part in parts])
    targets = np.zeros((n, length), np.int64) if softmax else np.zeros((n, length, classes), np.float32)
    weight = np.zeros((n, length), np.float32)
    recordings = np.full((n, length), -1, np.int64)
    for row, part in enumerate(parts):
        for at, frames, recording in part.spans:
            span = slice(at, at + len(frames.weight))
            targets[row, span] = frames.targets
            weight[row, span] = frames.weight
            recordings[row, span] = recording
    last = slice(sampler.stride - 1, None, sampler.stride)  # the newest frame that a row of logits has seen
    batch = Batch(
        torch.from_numpy(features),
        torch.from_numpy(np.ascontiguousarray(targets[:, last])),
        torch.from_numpy(np.ascontiguousarray(weight[:, last])),
        reset,
    )
    return IndexedBatch(batch, recordings[:, last])
