"""Find, among the values that a network computes, those that are a linear recurrence of others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from export.recurrences.parallel.record import INPUT, Made, Place, Record

_STRIDES = (2, 3, 4, 6)
_SHORTER = 8  # frames at most that layers without padding take off
_LEAST = 8  # frames along an axis that may be time
_POINTS = 24  # values that are compared first
_LARGEST = 60.0  # of a logarithm whose exponential is looked at


@dataclass(frozen=True)
class Read:
    """A tensor of the network, or its exponential."""

    place: Place
    exponential: bool

    def of(self, value: Tensor) -> Tensor:
        return torch.exp(value) if self.exponential else value


@dataclass(frozen=True)
class Gated:
    """h[t] = a[t] h[t-1] + scale b[t], element by element.

    Attributes:
        result: h.
        axis: of time.
        gate: a; a tensor without the axes of time and of streams if it is the same in every frame.
        into: b.
        start: h before the first frame, of one stream.
        scale: without the axes of time and of streams; None = 1.
    """

    result: Place
    axis: int
    gate: Read | Tensor
    into: Read
    start: Tensor
    scale: Tensor | None = None


def gated(record: Record, sizes: Collection[int]) -> list[Gated]:
    """All of them, none of which is another one again.

    Args:
        record: of a network.
        sizes: of axes that are not time.
    """
    found: list[Gated] = []
    known: list[Tensor] = []
    lengths = lengths_of(record.sounds[0].shape[1]) - set(sizes)
    summing, overwritten = record.made_of(_SUMMING), _overwritten(record)
    for place in sorted(record.varying):
        h = record.value(place)
        if place == INPUT or not h.is_floating_point() or h.dim() < 2 or not torch.isfinite(h).all():
            continue
        if any(each.shape == h.shape and torch.equal(each, h) for each in known):
            continue
        axes = [axis for axis in range(h.dim()) if h.shape[axis] >= _LEAST and h.shape[axis] in lengths]
        if not axes or place[0] not in summing or place in overwritten:
            continue
        candidates = _Candidates(record, place, h.shape)
        each = next((g for axis in axes if (g := candidates.match(axis)) is not None), None)
        if each is not None:
            found.append(each)
            known.append(h)
    return found


_SUMMING = (
    "cumsum",
    "cumprod",
    "logcumsumexp",
    "flip",
    "cat",
    "pad",
    "roll",
    "where",
    "tril",
    "__setitem__",
    "clone",
)


def lengths_of(frames: int) -> set[int]:
    """How many rows a tensor may have for so many frames."""
    strided = (n for k in _STRIDES for n in (frames // k, -(-frames // k)))
    return {*range(frames - _SHORTER, frames + 1), *strided}


def _overwritten(record: Record) -> set[Place]:
    """Tensors between one assignment to some of their values and the next: a loop may make one for each frame."""
    writes = [
        (number, call.args[0].place)
        for number, call in enumerate(record.calls)
        if call.name == "__setitem__" and isinstance(call.args[0], Made)
    ]
    written = {(number, 0) for number, _ in writes}
    return {place for _, place in writes if place in written}


class _Candidates:
    """What a tensor may be made of."""

    def __init__(self, record: Record, place: Place, shape: torch.Size) -> None:
        self.record, self.place, self.h = record, place, record.value(place)
        self.other = record.value(place, True)
        self.tolerance = (
            1e-6 if self.h.dtype == torch.float64 else 1e-4
        )  # powers may have been made in float32
        self.reads: list[Read] = []
        for each in sorted(record.varying):
            if each >= place:
                break
            value = record.value(each)
            if not value.is_floating_point() or not _fits(value.shape, shape):
                continue
            self.reads.append(Read(each, False))
            if value.max() < _LARGEST and torch.isfinite(value).all():
                self.reads.append(Read(each, True))

    def values(self, read: Read, other: bool = False) -> Tensor:
        return read.of(self.record.value(read.place, other)).expand(self.h.shape)

    def match(self, axis: int) -> Gated | None:
        """The recurrence along an axis, if there is one."""
        before, after = (
            self.h.narrow(axis, 0, self.h.shape[axis] - 1),
            self.h.narrow(axis, 1, self.h.shape[axis] - 1),
        )
        if before.abs().max() == 0:
            return None
        points = before.abs().reshape(-1).topk(min(_POINTS, before.numel())).indices
        h0, h1 = before.reshape(-1)[points], after.reshape(-1)[points]
        reads = [read for read in self.reads if self._over_time(read, axis)]
        if not reads:
            return None
        shifted = [self.values(read).narrow(axis, 1, before.shape[axis]) for read in reads]
        table = torch.stack([value.reshape(-1)[points] for value in shifted])
        for k, into in enumerate(reads):
            ratio = (h1 - table[k]) / h0
            if (ratio.abs() < self.tolerance).all():
                continue  # it is what goes in
            steady = self._steady(axis, into)
            if steady is not None:
                start = self._start(axis, into, *steady)
                if start is not None:
                    gate, scale = (each.squeeze(axis)[0] for each in steady)
                    plain = bool(((scale - 1).abs() < 1e-9).all())
                    return Gated(self.place, axis, gate, into, start, None if plain else scale)
            near = ((table - ratio).abs() <= 100 * self.tolerance * (1 + ratio.abs())).all(dim=1)
            for j in torch.nonzero(near).reshape(-1).tolist():
                gate = reads[j]
                if self._holds(axis, gate, into):
                    start = self._start(axis, into, gate)
                    if start is not None:
                        return Gated(self.place, axis, gate, into, start)
        return None

    def _over_time(self, read: Read, axis: int) -> bool:
        """True if a tensor has a value for each frame, and one for each stream."""
        shape = self.record.value(read.place).shape
        place = axis - self.h.dim() + len(shape)
        return len(shape) == self.h.dim() and place >= 0 and shape[place] == self.h.shape[axis]

    def _both(self) -> Iterator[tuple[Tensor, bool]]:
        yield self.h, False
        yield self.other, True

    def _holds(self, axis: int, gate: Read, into: Read) -> bool:
        return all(
            self._equal(h, self.values(gate, other), self.values(into, other), axis)
            for h, other in self._both()
        )

    def _equal(self, h: Tensor, a: Tensor, b: Tensor, axis: int) -> bool:
        n = h.shape[axis] - 1
        made = a.narrow(axis, 1, n) * h.narrow(axis, 0, n) + b.narrow(axis, 1, n)
        return bool((made - h.narrow(axis, 1, n)).abs().max() <= self.tolerance * (1 + h.abs().max()))

    def _steady(self, axis: int, into: Read) -> tuple[Tensor, Tensor] | None:
        """(gate, scale), if they are the same in every frame, stream and sound."""
        n = self.h.shape[axis] - 1
        found: list[tuple[Tensor, Tensor]] = []
        for h, other in self._both():
            before, after = h.narrow(axis, 0, n), h.narrow(axis, 1, n)
            new = self.values(into, other).narrow(axis, 1, n)

            def total(value: Tensor) -> Tensor:
                return value.sum(axis, keepdim=True).sum(0 if axis else 1, keepdim=True)

            xx, xy, yy = total(before * before), total(before * new), total(new * new)
            xz, yz = total(before * after), total(new * after)
            determinant = xx * yy - xy * xy
            gate, scale = (yy * xz - xy * yz) / determinant, (xx * yz - xy * xz) / determinant
            found.append((gate, scale))
            if not (torch.isfinite(gate) & torch.isfinite(scale)).all():
                return None
            made = gate * before + scale * new
            if (made - after).abs().max() > self.tolerance * (1 + h.abs().max()):
                return None
        (gate, scale), (again, scaled_again) = found
        if max((gate - again).abs().max(), (scale - scaled_again).abs().max()) > 100 * self.tolerance:
            return None
        if (
            (gate.abs() < self.tolerance).all()
            or ((gate - 1).abs() < self.tolerance).all()
            or (gate.abs() > 1 + 1e-9).any()
        ):
            return None  # no recurrence, or a plain sum
        return gate, scale

    def _start(
        self, axis: int, into: Read, gate: Read | Tensor, scale: Tensor | None = None
    ) -> Tensor | None:
        """What the state was before the first frame; None if that depends on the sound."""
        starts = []
        for h, other in self._both():
            a = self.values(gate, other).narrow(axis, 0, 1) if isinstance(gate, Read) else gate
            new = self.values(into, other).narrow(axis, 0, 1)
            left = h.narrow(axis, 0, 1) - (new if scale is None else scale * new)
            rounding = 10 * self.tolerance * (1 + h.abs().max())
            starts.append(torch.where(left.abs() <= rounding, torch.zeros_like(left), left / a).squeeze(axis))
        first = torch.cat(starts)
        rounding = 100 * self.tolerance * (1 + first.abs().max())
        if not torch.isfinite(first).all() or (first - first[:1]).abs().max() > rounding:
            return None
        return first[:1]


def _fits(shape: torch.Size, wanted: torch.Size) -> bool:
    """True if a tensor can be read as one of another shape without a change of its axes."""
    if len(shape) > len(wanted):
        return False
    pairs = list(zip(reversed(shape), reversed(wanted), strict=False))
    return all(a in (1, b) for a, b in pairs)
