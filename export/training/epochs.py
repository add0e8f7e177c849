"""Batches from recordings: long streams for carried state, or whole clips side by side.

Streams: the recordings, in an order drawn for each epoch, are laid end to end in ``rows`` streams with gaps of
background or digital silence between. Each row starts with up to two seconds of some other recording that
teach nothing (a live stream is never found in the state zero), and now and then a row is reset, so that a
fresh start is known too. The state is carried from batch to batch, gradients are cut there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from export.training.batch import Batch
from export.training.batching import Owned, Reader, stacked
from export.training.sampler import Sampler
from export.training.targets import Frames

LEAD = 2.0  # seconds of unrelated sound before a row's first recording, at most


class StreamEpoch:
    """One epoch of carried streams: a sized iterable of batches (``owned()`` with owners).

    It is as long as the stores say; where ``AugmentConfig.stretch`` makes recordings longer, the last may be cut off.
    """

    def __init__(self, source: Sampler, epoch: int) -> None:
        self.source, self.epoch = source, epoch
        self.frames = -(-source.plan.frames // source.stride) * source.stride
        rng = np.random.default_rng((source.seed, epoch, 1))
        rate = source.stores[0].spec.frame_rate
        order = rng.permutation(source.drawn(rng))
        gaps = np.round(rng.uniform(*source.plan.gap, len(order)) * rate).astype(int)
        if source.background is None:  # too much digital silence would fill the statistics of batch norms
            gaps[rng.random(len(order)) >= source.plan.silence] = 0
        rows = min(source.rows(), len(order))
        lead = np.round(rng.uniform(0, LEAD, rows) * rate).astype(int)
        self.lead = lead
        self.rows: list[list[tuple[int, int, int]]] = [[] for _ in range(rows)]  # recording, variant, gap
        lengths = [(int(n), row) for row, n in enumerate(lead)]
        heapq.heapify(lengths)
        for i, gap in zip(order, gaps, strict=True):  # each to the row that is shortest so far
            length, row = heapq.heappop(lengths)
            variant = source.variant(int(i), rng)
            self.rows[row].append((int(i), variant, int(gap)))
            heapq.heappush(lengths, (length + int(gap) + source.stores[variant].frames(int(i)), row))
        self._longest = max(length for length, _ in lengths)

    def __len__(self) -> int:
        return -(-self._longest // self.frames)

    def __iter__(self) -> Iterator[Batch]:
        return (owned.batch for owned in self.owned())

    def owned(self) -> Iterator[Owned]:
        source = self.source
        rng = np.random.default_rng((source.seed, self.epoch, 2))
        readers = [Reader(self._pieces(row)) for row in range(len(self.rows))]
        for step in range(len(self)):
            parts = [reader.take(self.frames, source.width) for reader in readers]
            fresh = torch.from_numpy((rng.random(len(readers)) < source.plan.fresh) | (step == 0))
            yield stacked(parts, source, fresh)

    def _pieces(self, row: int) -> Iterator[tuple[Frames, int]]:
        source = self.source
        rng = np.random.default_rng((source.seed, self.epoch, 3, row))
        usable = source.usable()
        if lead := int(self.lead[row]):
            other = usable[int(rng.integers(len(usable)))]
            features, targets, _ = (part[-lead:] for part in source.clip(other, 0, rng))
            yield (features, targets, np.zeros(len(features), np.float32)), -1
        for i, variant, gap in self.rows[row]:
            yield source.gap(gap, rng), -1
            yield source.clip(i, variant, rng), i


class ClipEpoch:
    """One epoch of whole recordings, neighbours in length padded to the longest, padding without weight."""

    def __init__(self, source: Sampler, epoch: int, *, budget: int = 60_000) -> None:
        """``budget``: most frames in a batch, padding included (a longer recording goes alone)."""
        self.source, self.epoch = source, epoch
        rng = np.random.default_rng((source.seed, epoch, 1))
        lengths = [max(store.frames(i) for store in source.stores) for i in range(len(source.stores[0]))]
        order = sorted(source.drawn(rng), key=lambda i: lengths[i] * rng.uniform(0.95, 1.05))
        batches: list[list[int]] = [[]]
        most = source.plan.rows or int(np.clip(len(order) // 40, 8, 256))
        for i in order:
            longest = max([lengths[i], *(lengths[j] for j in batches[-1])])
            if batches[-1] and (len(batches[-1]) >= most or (len(batches[-1]) + 1) * longest > budget):
                batches.append([])
            batches[-1].append(i)
        self.batches = [batches[k] for k in rng.permutation(len(batches))]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return (owned.batch for owned in self.owned())

    def owned(self) -> Iterator[Owned]:
        source = self.source
        rng = np.random.default_rng((source.seed, self.epoch, 2))
        for numbers in self.batches:
            clips = [(source.clip(i, source.variant(i, rng), rng), i) for i in numbers]
            longest = max(len(frames[0]) for frames, _ in clips)
            longest = -(-longest // source.stride) * source.stride
            parts = [Reader(iter([clip])).take(longest, source.width) for clip in clips]
            yield stacked(parts, source, None)


class Passes:
    """Several epochs as one, for data so small that a single one is over in a few steps."""

    def __init__(self, parts: Sequence[StreamEpoch | ClipEpoch]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __iter__(self) -> Iterator[Batch]:
        return (batch for part in self.parts for batch in part)
