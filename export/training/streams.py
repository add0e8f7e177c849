"""Batches from recordings: long streams for carried state, or whole clips side by side.

Streams: the recordings, in an order drawn for each epoch, are laid end to end in ``rows`` streams with gaps of
background or digital silence between. Each row starts with up to two seconds of some other recording that
teach nothing (a live stream is never found in the state zero), and now and then a row is reset, so that a
fresh start is known too. The state is carried from batch to batch, gradients are cut there.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from export.augment import FeatureChange
from export.data.cache import FeatureStore
from export.mel_changes import MelChange, at_times
from export.training.answers import Answers, Frames
from export.training.batch import Batch
from stream.errors import SpecError
from stream.features.mfcc import mfcc
from stream.features.spec import FeatureSpec

LEAD = 2.0  # seconds of unrelated sound before a row's first recording, at most


class StreamPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How recordings become batches.

    Attributes:
        carry: True: streams with carried state; False: each recording alone from the initial state.
        rows: recordings or streams side by side; 0 = chosen from the amount of data.
        frames: feature frames of a batch of streams: gradients reach no further back.
        gap: (least, most) seconds between recordings.
        silence: share of gaps that are digital silence; the others are background, or without background
            no gap at all.
        quiet: the class that gaps belong to; None: they teach nothing (softmax) or no class (sigmoid).
        fresh: chance that a row is reset at a batch.
        even: 0 = every recording once an epoch; above 0, as many are drawn with classes equally likely and, in a
            class, a speaker or source of n recordings n ** (1 - even) times as likely as one of a single.
    """

    carry: bool = True
    rows: int = 0
    frames: int = 200
    gap: tuple[float, float] = (0.0, 0.5)
    silence: float = 0.3
    quiet: str | None = None
    fresh: float = 0.03
    even: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.gap[0] <= self.gap[1] <= 60:
            raise SpecError(f"gap {self.gap[0]:g} to {self.gap[1]:g}: must be 0 to 60 seconds, least first")
        if self.rows < 0 or self.frames < 1:
            raise SpecError(f"rows {self.rows}, frames {self.frames}: must not be negative or zero")
        if not 0 <= self.even <= 1:
            raise SpecError(f"even {self.even:g}: must be 0 to 1")


@dataclass(frozen=True, slots=True)
class Owned:
    """A batch and, for each output frame (N, T'), the number of its recording; -1 = none."""

    batch: Batch
    owner: NDArray[np.int64]


@dataclass(slots=True)
class Source:
    """Everything batches are made of.

    Attributes:
        stores: variants of the same recordings; one is drawn for each use.
        answers: their targets.
        plan: see StreamPlan.
        background: sound for gaps; None = digital silence only.
        change: feature augmentation; None = off (validation).
        stride: the model's frames per output.
        seed: of every draw.
    """

    stores: Sequence[FeatureStore]
    answers: Answers
    plan: StreamPlan
    background: FeatureStore | None = None
    change: FeatureChange | None = None
    stride: int = 1
    seed: int = 0
    _silence: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        spec = self.spec
        self._silence = mfcc(np.zeros(spec.n_fft, np.float32), spec)

    @property
    def spec(self) -> FeatureSpec:
        """What the network hears; the stores hold log-mel energies where those are changed first."""
        return self.change.target if isinstance(self.change, MelChange) else self.stores[0].spec

    @property
    def width(self) -> int:
        return self.spec.n_features

    def usable(self) -> list[int]:
        """Numbers of the recordings that have frames."""
        return [i for i in range(len(self.stores[0])) if self.stores[0].frames(i)]

    def drawn(self, rng: np.random.Generator) -> list[int]:
        """The recordings of an epoch: each once, or as ``StreamPlan.even`` says."""
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
        if isinstance(self.change, MelChange):
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


class StreamEpoch:
    """One epoch of carried streams: a sized iterable of batches (``owned()`` with owners).

    It is as long as the stores say; where ``Augment.stretch`` makes recordings longer, the last may be cut off.
    """

    def __init__(self, source: Source, epoch: int) -> None:
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
        readers = [_Reader(self._pieces(row)) for row in range(len(self.rows))]
        for step in range(len(self)):
            parts = [reader.take(self.frames, source.width) for reader in readers]
            fresh = torch.from_numpy((rng.random(len(readers)) < source.plan.fresh) | (step == 0))
            yield _stack(parts, source, fresh)

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


class Passes:
    """Several epochs as one, for data so small that a single one is over in a few steps."""

    def __init__(self, parts: Sequence[StreamEpoch | ClipEpoch]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def __iter__(self) -> Iterator[Batch]:
        return (batch for part in self.parts for batch in part)


class ClipEpoch:
    """One epoch of whole recordings, neighbours in length padded to the longest, padding without weight."""

    def __init__(self, source: Source, epoch: int, *, budget: int = 60_000) -> None:
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
            parts = [_Reader(iter([clip])).take(longest, source.width) for clip in clips]
            yield _stack(parts, source, None)


_Part = tuple[NDArray[np.float32], list[tuple[int, Frames, int]]]


class _Reader:
    """Cuts a row of pieces into equal lengths."""

    def __init__(self, pieces: Iterator[tuple[Frames, int]]) -> None:
        self._pieces = pieces
        self._held: tuple[Frames, int] | None = None

    def take(self, n: int, width: int) -> _Part:
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


def _stack(parts: Sequence[_Part], source: Source, fresh: torch.Tensor | None) -> Owned:
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
