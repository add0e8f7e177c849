"""The batches of an epoch: long streams for carried state, or whole recordings side by side.

Streams: the recordings, in an order drawn for each epoch, are laid end to end in ``rows`` streams with gaps of
background or digital silence between them. Each row starts with up to two seconds of some other recording that
carry no weight (a live stream is never found in the zero state), and now and then a row is reset, so that the
start of a stream is learnt too. The state is carried from batch to batch; gradients are cut there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from export.training.batch import Batch
from export.training.batching import IndexedBatch, RowReader, collate
from export.training.sampler import Sampler
from export.training.targets import LabelledFrames

MAX_LEAD_SECONDS = 2.0  # of unrelated sound before a row's first recording
MAX_CLIP_BATCH_FRAMES = 60_000  # padding included; a longer recording is a batch of its own


class StreamEpoch:
    """One epoch of carried streams: a sized iterable of batches (``indexed()``: with their recordings).

    Its length follows from the stores; where ``AugmentConfig.stretch`` makes recordings longer, the last ones
    may be truncated.
    """

    def __init__(self, sampler: Sampler, epoch: int) -> None:
        self.sampler, self.epoch = sampler, epoch
        config = sampler.config
        self.frames = -(-config.frames // sampler.stride) * sampler.stride
        rng = np.random.default_rng((sampler.seed, epoch, 1))
        rate = sampler.stores[0].spec.frame_rate
        order = rng.permutation(sampler.draw_epoch(rng))
        gaps = np.round(rng.uniform(*config.gap, len(order)) * rate).astype(int)
        if (
            sampler.background is None
        ):  # too much digital silence would dominate the statistics of batch norms
            gaps[rng.random(len(order)) >= config.silence] = 0
        rows = min(sampler.row_count(), len(order))
        self.lead = np.round(rng.uniform(0, MAX_LEAD_SECONDS, rows) * rate).astype(int)
        self.rows: list[list[tuple[int, int, int]]] = [[] for _ in range(rows)]  # recording, variant, gap
        lengths = [(int(n), row) for row, n in enumerate(self.lead)]
        heapq.heapify(lengths)
        for i, gap in zip(order, gaps, strict=True):  # each to the row that is shortest so far
            length, row = heapq.heappop(lengths)
            variant = sampler.draw_variant(int(i), rng)
            self.rows[row].append((int(i), variant, int(gap)))
            heapq.heappush(lengths, (length + int(gap) + sampler.stores[variant].frames(int(i)), row))
        self._longest = max(length for length, _ in lengths)

    def __len__(self) -> int:
        return -(-self._longest // self.frames)

    def __iter__(self) -> Iterator[Batch]:
        return (indexed.batch for indexed in self.indexed())

    def indexed(self) -> Iterator[IndexedBatch]:
        """The batches with the index of each frame's recording."""
        sampler = self.sampler
        rng = np.random.default_rng((sampler.seed, self.epoch, 2))
        readers = [RowReader(self._pieces(row)) for row in range(len(self.rows))]
        for step in range(len(self)):
            parts = [reader.read(self.frames, sampler.width) for reader in readers]
            reset = torch.from_numpy((rng.random(len(readers)) < sampler.config.reset) | (step == 0))
            yield collate(parts, sampler, reset)

    def _pieces(self, row: int) -> Iterator[tuple[LabelledFrames, int]]:
        sampler = self.sampler
        rng = np.random.default_rng((sampler.seed, self.epoch, 3, row))
        usable = sampler.usable()
        if lead := int(self.lead[row]):
            other = usable[int(rng.integers(len(usable)))]
            features, targets, weight = sampler.recording(other, 0, rng)
            yield LabelledFrames(features[-lead:], targets[-lead:], np.zeros_like(weight[-lead:])), -1
        for i, variant, gap in self.rows[row]:
            yield sampler.gap(gap, rng), -1
            yield sampler.recording(i, variant, rng), i


class ClipEpoch:
    """One epoch of whole recordings: those of similar length padded to the longest, padding without weight."""

    def __init__(self, sampler: Sampler, epoch: int) -> None:
        self.sampler, self.epoch = sampler, epoch
        rng = np.random.default_rng((sampler.seed, epoch, 1))
        lengths = [max(store.frames(i) for store in sampler.stores) for i in range(len(sampler.stores[0]))]
        order = sorted(sampler.draw_epoch(rng), key=lambda i: lengths[i] * rng.uniform(0.95, 1.05))
        batches: list[list[int]] = [[]]
        most = sampler.config.rows or int(np.clip(len(order) // 40, 8, 256))
        for i in order:
            longest = max([lengths[i], *(lengths[j] for j in batches[-1])])
            full = len(batches[-1]) >= most or (len(batches[-1]) + 1) * longest > MAX_CLIP_BATCH_FRAMES
            if batches[-1] and full:
                batches.append([])
            batches[-1].append(i)
        self.batches = [batches[k] for k in rng.permutation(len(batches))]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return (indexed.batch for indexed in self.indexed())

    def indexed(self) -> Iterator[IndexedBatch]:
        """The batches with the index of each frame's recording."""
        sampler = self.sampler
        rng = np.random.default_rng((sampler.seed, self.epoch, 2))
        for numbers in self.batches:
            clips = [(sampler.recording(i, sampler.draw_variant(i, rng), rng), i) for i in numbers]
            longest = max(len(frames.features) for frames, _ in clips)
            longest = -(-longest // sampler.stride) * sampler.stride
            parts = [RowReader(iter([clip])).read(longest, sampler.width) for clip in clips]
            yield collate(parts, sampler, None)


class RepeatedEpochs:
    """Several epochs as one, for data so small that a single one is over in a few steps."""

    def __init__(self, parts: Sequence[StreamEpoch | ClipEpoch]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __iter__(self) -> Iterator[Batch]:
        return (batch for part in self.parts for batch in part)
