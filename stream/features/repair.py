"""Missing samples: NaN, infinite or absurd values are mended when short and treated as gaps when long.

One bad sample would otherwise turn every later feature and the carried state into NaN. The field calls such
samples missing values and mends them by interpolation or by a mean; both are here, and plain hold.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stream.errors import ClosedError, SpecError
from stream.features.energy import energy
from stream.messages import Gap

Method = Literal["interpolate", "hold", "mean"]
LIMIT = 1e6  # a magnitude above this is not sound; its square would still fit float32 with room for an FFT
MAX_HOLE = 0.02  # seconds mended by default
MEAN_SPAN = 400  # samples before a hole that "mean" averages

_Segment = tuple[int, NDArray[np.float32]]


def as_samples(sound: ArrayLike) -> NDArray[np.float32]:
    """Any real array in C order and float32; what float32 cannot hold becomes infinite, and is mended later."""
    if isinstance(sound, np.ndarray) and sound.dtype == np.float32:
        return np.ascontiguousarray(sound)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(sound, dtype=np.float32)


def repair(
    samples: ArrayLike, method: Method = "interpolate", max_hole: int | None = None
) -> NDArray[np.float32]:
    """Mend a whole recording.

    Args:
        samples: (n,) with NaN, infinite or absurd (beyond 1e6) values where samples are missing.
        method: as in Repair.
        max_hole: longest hole to mend, in samples; None = any length. Longer ones come back as NaN.

    Returns:
        (n,) float32, a new array. All NaN when not one sample is good.
    """
    x = as_samples(samples)
    stage = Repair(1, method, len(x) if max_hole is None else max_hole)
    out = np.full(len(x), np.nan, np.float32)
    for part in (stage.push(x, 0), stage.flush()):
        for start, good in part:
            out[start : start + len(good)] = good
    return out


class Repair:
    """Streaming repair. A hole waits for its right edge, so that interpolation needs no future: with clean
    sound the delay is zero, and the result is the same for every chunking.

    Args:
        sample_rate: Hz, for Gap messages.
        method: "interpolate" (a straight line between the neighbours), "hold" (the last good sample) or
            "mean" (of the last 400 good samples).
        max_hole: longest hole to mend, samples. A longer one becomes a Gap with reason "missing".

    Attributes:
        repaired: samples mended so far.
        gaps: gaps found by the last push or flush.
    """

    def __init__(self, sample_rate: int, method: Method = "interpolate", max_hole: int | None = None) -> None:
        if method not in get_args(Method):
            raise SpecError(f"repair {method!r}: must be one of {', '.join(get_args(Method))}")
        self.sample_rate = sample_rate
        self.method = method
        self.max_hole = round(MAX_HOLE * sample_rate) if max_hole is None else max_hole
        self.repaired = 0
        self.gaps: list[Gap] = []
        self._next: int | None = None  # index the next sample should have
        self._hole = 0  # bad samples waiting for their right edge
        self._recent = np.empty(0, np.float32)  # good samples just before the hole or the end
        self._newest = np.empty(1, np.float32)  # their place where one is enough
        self._closed = False

    def push(self, samples: NDArray[np.float32], start: int) -> list[_Segment]:
        """Clean runs that are now known.

        Args:
            samples: (n,) float32, not changed. Clean input comes back as it is, without a copy.
            start: absolute index of the first one; a jump ends a waiting hole as a gap.

        Returns:
            (start, samples) runs in order, each free of bad values.
        """
        if self._closed:
            raise ClosedError("push after flush: call reset() to start a new stream")
        self.gaps = []
        out: list[_Segment] = []
        count = len(samples)
        if start != self._next and self._next is not None:
            self._drop_hole(self._next)
            self._recent = self._recent[:0]
        self._next = start + count
        if not count:
            return out
        # One energy sum finds NaN, infinity and absurd values alike; doubtful sums are looked at closely.
        if not self._hole and energy(samples) <= LIMIT:
            self._remember(samples)
            return [(start, samples)]
        good = np.abs(samples) <= LIMIT  # False for NaN
        edges = np.flatnonzero(np.diff(good)) + 1
        bounds = [0, *edges.tolist(), len(samples)]
        for low, high in pairwise(bounds):
            if not good[low]:
                self._hole += high - low
                continue
            run = samples[low:high]
            if self._hole:
                self._close_hole(start + low, run, out)
            out.append((start + low, run))
            self._remember(run)
        return _joined(out)

    def flush(self) -> list[_Segment]:
        """No more input: a short hole at the end is held (it has no right edge), a long one is a gap."""
        self.gaps = []
        out: list[_Segment] = []
        if not self._closed and self._hole and self._next is not None:
            if len(self._recent) and self._hole <= self.max_hole:
                self._fill(self._next, self._recent[-1], out)
            else:
                self._drop_hole(self._next)
        self._closed = True
        return out

    def reset(self) -> None:
        """As new."""
        self.repaired = 0
        self.gaps = []
        self._next = None
        self._hole = 0
        self._recent = self._recent[:0]
        self._closed = False

    def _close_hole(self, end: int, run: NDArray[np.float32], out: list[_Segment]) -> None:
        if self._hole > self.max_hole:
            self._drop_hole(end)
            self._recent = self._recent[:0]
        else:
            self._fill(end, run[0], out)

    def _fill(self, end: int, right: np.float32, out: list[_Segment]) -> None:
        count = self._hole
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
        self._hole = 0

    def _drop_hole(self, end: int) -> None:
        if self._hole:
            self.gaps.append(Gap(end - self._hole, self._hole, self.sample_rate, "missing"))
            self._hole = 0

    def _remember(self, run: NDArray[np.float32]) -> None:
        span = MEAN_SPAN if self.method == "mean" else 1
        if span == 1:
            self._newest[0] = run[-1]
            self._recent = self._newest
        elif len(run) >= span:
            self._recent = run[-span:].copy()
        else:
            self._recent = np.concatenate([self._recent, run])[-span:]


def _joined(parts: list[_Segment]) -> list[_Segment]:
    """Merge runs that touch, so that a repaired chunk is one run again."""
    out: list[_Segment] = []
    for start, run in parts:
        if out and out[-1][0] + len(out[-1][1]) == start:
            out[-1] = (out[-1][0], np.concatenate([out[-1][1], run]))
        else:
            out.append((start, run))
    return out
