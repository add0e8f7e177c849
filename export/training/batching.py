"""Pieces of unequal length cut and stacked into batches of equal ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from export.training.batch import Batch
from export.training.sampler import Sampler
from export.training.targets import Frames

# Features (n, F), and where which frames begin, whose they are.
Part = tuple[NDArray[np.float32], list[tuple[int, Frames, int]]]


@dataclass(frozen=True, slots=True)
class Owned:
    """A batch and, for each output frame (N, T'), the number of its recording; -1 = none."""

    batch: Batch
    owner: NDArray[np.int64]


class Reader:
    """Cuts a row of pieces into equal lengths."""

    def __init__(self, pieces: Iterator[tuple[Frames, int]]) -> None:
        self._pieces = pieces
        self._held: tuple[Frames, int] | None = None

    def take(self, n: int, width: int) -> Part:
        """Features (n, F), zero after the end, and where which frames begin, whose they are."""
        out = np.zeros((n, width), np.float32)
        spans: list[tuple[int, Frames, int]] = []
        at = 0
        while at < n:
            held = self._held if self._held is not None else next(self._pieces, None)
            if held is None:
                break
            (features, targets, weight), owner = held
            k = min(n - at, len(features))
            out[at : at + k] = features[:k]
            spans.append((at, (features[:k], targets[:k], weight[:k]), owner))
            rest = features[k:], targets[k:], weight[k:]
            self._held = (rest, owner) if len(rest[0]) else None
            at += k
        return out, spans


def stacked(parts: Sequence[Part], source: Sampler, fresh: torch.Tensor | None) -> Owned:
    n, length = len(parts), len(parts[0][0])
    classes = len(source.answers.labels)
    soft = source.answers.activation == "softmax"
    features = np.stack([part[0] for part in parts])
    targets = np.zeros((n, length), np.int64) if soft else np.zeros((n, length, classes), np.float32)
    weight = np.zeros((n, length), np.float32)
    owner = np.full((n, length), -1, np.int64)
    for row, (_, spans) in enumerate(parts):
        for at, (_, answer, share), number in spans:
            targets[row, at : at + len(share)] = answer
            weight[row, at : at + len(share)] = share
            owner[row, at : at + len(share)] = number
    last = slice(source.stride - 1, None, source.stride)  # an output is about the newest frame it has seen
    batch = Batch(
        torch.from_numpy(features),
        torch.from_numpy(np.ascontiguousarray(targets[:, last])),
        torch.from_numpy(np.ascontiguousarray(weight[:, last])),
        fresh,
    )
    return Owned(batch, owner[:, last])
