"""Repair of invalid samples: short runs are filled in, long runs become gaps.

A sample is invalid when it is NaN, infinite or absurdly large. One such sample would otherwise turn every later feature
and the carried state into NaN. The literature calls these missing values and fills them in by interpolation or by a
mean; both are here, and holding the last value.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream import snapshot as snapshots
from stream.errors import ClosedError, SnapshotInvalid, SpecError
from stream.messages import Gap
from stream.snapshot import Snapshot

Method = Literal["interpolate", "hold", "mean"]
MAX_MAGNITUDE = 1e6  # a sample beyond this is not sound; its square still fits float32 with room for an FFT
MAX_REPAIR_SECONDS = 0.02  # the longest run that is filled in by default
MAX_DOT_SAMPLES = (
    8192  # in a dot product; a longer one would wake BLAS's threads, which then spin for nothing
)
MEAN_SAMPLES = 400  # valid samples before a run that "mean" averages

Run = tuple[int, NDArray[np.float32]]  # absolute index of the first sample, consecutive samples
_KIND = "repair"


def as_samples(sound: ArrayLike) -> NDArray[np.float32]:
    """Any real array as float32 in C order; what float32 cannot hold becomes infinite, and is repaired later."""
    if isinstance(sound, np.ndarray) and sound.dtype == np.float32:
        return np.ascontiguousarray(sound)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(sound, dtype=np.float32)


def energy(samples: NDArray[np.float32]) -> float:
    """Sum of squares of (n,) float32; NaN or infinite when any sample is, or when it does not fit float32.

    One number that tells whether all samples are numbers.
    """
    if len(samples) <= MAX_DOT_SAMPLES:
        return float(np.vdot(samples, samples))  # which, unlike dot, does not warn of an overflow
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.einsum("i,i->", samples, samples))


def are_valid(samples: NDArray[np.float32]) -> bool:
    """Whether (n,) float32 are certainly all valid: one energy finds NaN, infinite and absurd values alike."""
    return energy(samples) <= MAX_MAGNITUDE


def repair(
    samples: ArrayLike, method: Method = "interpolate", max_repair: int | None = None
) -> NDArray[np.float32]:
    """Repair a whole recording.

    Args:
        samples: (n,) where invalid samples are NaN, infinite or beyond 1e6 in magnitude.
        method: as in Repair.
        max_repair: longest run to fill in, in samples; None = any length. Longer runs come back as NaN.

    Returns:
        (n,) float32, a new array. All NaN when no sample is valid.
    """
    x = as_samples(samples)
    stage = Repair(1, method, len(x) if max_repair is None else max_repair)
    out = np.full(len(x), np.nan, np.float32)
    for part in (stage.push(x, 0), stage.flush()):
        for start, valid in part:
            out[start : start + len(valid)] = valid
    return out


class Repair:
    """Repairs a stream. An invalid run waits for the valid sample behind it, so that interpolation needs no future:
    valid sound passes without delay, and the result is the same for any chunking.

    Args:
        sample_rate: Hz, for Gap messages.
        method: "interpolate" (a straight line between the neighbours), "hold" (the last valid sample) or
            "mean" (of the last 400 valid samples).
        max_repair: longest run to fill in, samples; None = 0.02 s. A longer one becomes a Gap with reason "missing".

    Attributes:
        repaired: samples filled in so far.
        gaps: gaps found by the last push or flush.
    """

    def __init__(
        self, sample_rate: int, method: Method = "interpolate", max_repair: int | None = None
    ) -> None:
        if method not in get_args(Method):
            raise SpecError(f"repair {method!r}: must be one of {', '.join(get_args(Method))}")
        self.sample_rate = sample_rate
        self.method = method
        self.max_repair = round(MAX_REPAIR_SECONDS * sample_rate) if max_repair is None else max_repair
        self.repaired = 0
        self.gaps: list[Gap] = []
        self._next: int | None = None  # index the next sample should have
        self._waiting = 0  # invalid samples that wait for a valid one
        self._recent = np.empty(0, np.float32)  # valid samples just before the invalid run, or before the end
        self._newest = np.empty(1, np.float32)  # its memory where one sample is enough
        self._closed = False

    def push(self, samples: NDArray[np.float32], start: int, clean: bool = False) -> list[Run]:
        """Valid runs that are now known.

        Args:
            samples: (n,) float32, not changed. Valid input comes back as it is, without a copy.
            start: absolute index of the first one; a jump turns a waiting run into a gap.
            clean: all of them are certainly valid.

        Returns:
            (start, samples) runs in order, all valid.

        Raises:
            ClosedError: after flush.
        """
        if self._closed:
            raise ClosedError("push after flush: call reset() to start a new stream")
        self.gaps = []
        out: list[Run] = []
        count = len(samples)
        if start != self._next and self._next is not None:
            self._give_up(self._next)
            self._recent = self._recent[:0]
        self._next = start + count
        if not count:
            return out
        if not self._waiting and (clean or are_valid(samples)):  # doubtful ones are looked at closely
            self._remember(samples)
            return [(start, samples)]
        valid = np.abs(samples) <= MAX_MAGNITUDE  # False for NaN
        edges = np.flatnonzero(np.diff(valid)) + 1
        bounds = [0, *edges.tolist(), len(samples)]
        for low, high in pairwise(bounds):
            if not valid[low]:
                self._waiting += high - low
                continue
            run = samples[low:high]
            if self._waiting:
                self._end_waiting(start + low, run, out)
            out.append((start + low, run))
            self._remember(run)
        return _joined(out)

    @property
    def idle(self) -> bool:
        """Whether valid samples that follow the last ones would pass, and leave nothing behind but the last of them."""
        return not (self._waiting or self._closed) and self.method != "mean"

    def pass_on(self, last: float, end: int) -> None:
        """Valid samples passed, without ``push``, while this was ``idle``: the last of them, and one past its index."""
        self.gaps = []
        self._next = end
        self._newest[0] = last
        self._recent = self._newest

    @property
    def lost_until(self) -> int | None:
        """Index before which no more valid samples will come, during a run that is too long to repair; else None."""
        return self._next if self._waiting > self.max_repair else None

    @property
    def open_gap(self) -> Gap | None:
        """The run of invalid samples that goes on and is too long to repair, so far; else None."""
        until = self.lost_until
        if until is None:
            return None
        return Gap(until - self._waiting, self._waiting, self.sample_rate, "missing")

    def interrupt(self) -> None:
        """A gap follows the last sample: a waiting run will not be filled in any more, and is a gap itself."""
        self.gaps = []
        if self._next is not None:
            self._give_up(self._next)

    def flush(self) -> list[Run]:
        """No more input: a short invalid run at the end holds the last valid sample, a long one is a gap."""
        self.gaps = []
        out: list[Run] = []
        if not self._closed and self._waiting and self._next is not None:
            if len(self._recent) and self._waiting <= self.max_repair:
                self._fill(self._next, self._recent[-1], out)
            else:
                self._give_up(self._next)
        self._closed = True
        return out

    def reset(self) -> None:
        """As new."""
        self.repaired = 0
        self.gaps = []
        self._next = None
        self._waiting = 0
        self._recent = self._recent[:0]
        self._closed = False

    def snapshot(self) -> Snapshot:
        """The state, as plain values."""
        return snapshots.begin(
            _KIND,
            method=self.method,
            max_repair=self.max_repair,
            repaired=self.repaired,
            next=self._next,
            waiting=self._waiting,
            recent=self._recent.copy(),
            closed=self._closed,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a stage with the same settings."""
        values = snapshots.check(snapshot, _KIND)
        snapshots.same(values, "method", self.method)
        snapshots.same(values, "max_repair", self.max_repair)
        recent = snapshots.array(values, "recent", "float32", (-1,))
        following, waiting = snapshots.optional(values, "next"), snapshots.number(values, "waiting")
        if waiting < 0 or len(recent) > MEAN_SAMPLES:
            raise SnapshotInvalid(
                f"snapshot of 'repair': waiting {waiting}, recent {len(recent)}; save it again"
            )
        self.reset()
        self.repaired = snapshots.number(values, "repaired")
        self._next, self._waiting, self._recent = following, waiting, recent
        self._closed = bool(values.get("closed"))

    def _end_waiting(self, end: int, run: NDArray[np.float32], out: list[Run]) -> None:
        if self._waiting > self.max_repair:
            self._give_up(end)
            self._recent = self._recent[:0]
        else:
            self._fill(end, run[0], out)

    def _fill(self, end: int, right: np.float32, out: list[Run]) -> None:
        count = self._waiting
        left = self._recent[-1] if len(self._recent) else right
        if self.method == "interpolate":
            patch = left + (right - left) * (
                np.arange(1, count + 1, dtype=np.float32) / np.float32(count + 1)
            )
        elif self.method == "hold" or not len(self._recent):
            patch = np.full(count, left)
        else:
            patch = np.full(count, self._recent.mean(dtype=np.float64))
        out.append((end - count, patch.astype(np.float32)))
        self.repaired += count
        self._waiting = 0

    def _give_up(self, end: int) -> None:
        if self._waiting:
            self.gaps.append(Gap(end - self._waiting, self._waiting, self.sample_rate, "missing"))
            self._waiting = 0

    def _remember(self, run: NDArray[np.float32]) -> None:
        wanted = MEAN_SAMPLES if self.method == "mean" else 1
        if wanted == 1:
            self._newest[0] = run[-1]
            self._recent = self._newest
        elif len(run) >= wanted:
            self._recent = run[-wanted:].copy()
        else:
            self._recent = np.concatenate([self._recent, run])[-wanted:]


def _joined(parts: list[Run]) -> list[Run]:
    """Merge runs that touch, so that a repaired chunk is one run again."""
    out: list[Run] = []
    for start, run in parts:
        if out and out[-1][0] + len(out[-1][1]) == start:
            out[-1] = (out[-1][0], np.concatenate([out[-1][1], run]))
        else:
            out.append((start, run))
    return out
