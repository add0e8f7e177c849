"""Bringing sound to the model's rate, as one continuous filter over the stream and never block by block.

Time is kept by one rule: input index ``i`` stands at output index `output_index` (i), that is i * out / in
rounded half up. A run of consecutive input samples [a, b) gives exactly the output samples [output_index(a),
output_index(b)), however it was cut into pushes, so a gap in the input is a gap of the right length in the
output.

soxr at quality "HQ" is bit-exact under chunking. It works in blocks, whose length libsoxr takes from the environment
when a resampler is made. Left alone it holds back up to 40 ms of sound from 44.1 or 48 kHz, and 116 ms from 8 kHz.
The command line sets ``SOXR_MIN_DFT_SIZE=8`` and ``SOXR_LARGE_DFT_SIZE=8``, the shortest blocks there are: 6 to 17 ms
(52 ms from 8 kHz), for a quarter more work. This module never changes the environment. A program that wants the short
delay sets both variables before it makes its first resampler:

    os.environ.update(SOXR_MIN_DFT_SIZE="8", SOXR_LARGE_DFT_SIZE="8")

Between the two settings, samples differ by their rounding only: at most 5e-7 of full scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import ClosedError, SnapshotInvalid, UsageError
from stream.features import soxr_state
from stream.features.repair import energy

_KIND, _VERSION = "resampler", 1


def output_index(index: int, in_rate: int, out_rate: int) -> int:
    """Where input sample ``index`` stands in the output: index * out_rate / in_rate, rounded half up."""
    return (2 * index * out_rate + in_rate) // (2 * in_rate)


class StreamingResampler:
    """One stream from ``in_rate`` to ``out_rate``: push, flush, reset, snapshot, restore.

    Invalid samples (NaN or infinite) enter the filter as 0, because they would spoil everything after them. The
    output samples that stand at their place come out as NaN, so that the repair stage that follows sees an invalid
    stretch of the right length.

    Args:
        in_rate, out_rate: Hz, integers of at least 1.
        quality: soxr's name: "QQ", "LQ", "MQ", "HQ" or "VHQ".
        start: absolute input index of the first sample that will be pushed.
    """

    def __init__(self, in_rate: int, out_rate: int, quality: str = "HQ", *, start: int = 0) -> None:
        if in_rate < 1 or out_rate < 1:
            raise UsageError(f"cannot resample from {in_rate} to {out_rate} Hz: both rates are at least 1")
        self.in_rate = in_rate
        self.out_rate = out_rate
        self.quality = quality
        self._soxr = None if in_rate == out_rate else soxr_state.new_stream(in_rate, out_rate, quality)
        self._recent = _Recent(0 if self._soxr is None else soxr_state.memory(in_rate, out_rate, quality))
        self.reset(start)

    def reset(self, start: int = 0) -> None:
        """As new; the next sample pushed has absolute input index ``start``."""
        if self._soxr is not None:
            self._soxr.clear()
        self._recent.clear()
        self._next_in = start
        self._position = output_index(start, self.in_rate, self.out_rate)
        self._invalid: NDArray[np.int64] = np.empty((0, 2), np.int64)
        self._flushed = False

    @property
    def next_in(self) -> int:
        """Absolute input index of the next sample to be pushed."""
        return self._next_in

    @property
    def position(self) -> int:
        """Absolute output index of the next sample that will come out."""
        return self._position

    @property
    def flushed(self) -> bool:
        """The run has ended: only `reset` begins another."""
        return self._flushed

    @property
    def due(self) -> int:
        """Output samples that the input so far accounts for and that are still inside the filter."""
        return output_index(self._next_in, self.in_rate, self.out_rate) - self._position

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give (n,) float32, get the (k,) float32 that are ready; k may be 0.

        Raises:
            ClosedError: after `flush`.
        """
        if self._flushed:
            raise ClosedError("push after flush: call reset() first")
        samples = np.asarray(samples, dtype=np.float32)
        if not len(samples):
            return np.empty(0, np.float32)
        if self._soxr is None:
            # Same marks as with the filter: an infinite sample is an invalid one.
            out = np.where(np.isfinite(samples), samples, np.float32(np.nan))
            self._next_in += len(samples)
            self._position = self._next_in
            return out
        clean = self._without_invalid(samples)
        self._next_in += len(samples)
        self._recent.push(clean)
        return self._marked(self._soxr.resample_chunk(clean))

    def flush(self) -> NDArray[np.float32]:
        """The end of the run: the (k,) float32 still inside the filter. A second flush gives nothing."""
        due = self.due
        if self._flushed or due <= 0:
            self._flushed = True
            return np.empty(0, np.float32)
        self._flushed = True
        assert self._soxr is not None  # without a filter nothing is ever due
        # Silence follows the run, as soxr's own ending assumes; adding it here lets the count obey the rule
        # above even where a run that starts between two output samples has one sample more than soxr would
        # round to.
        tail = np.zeros(1 + 2 * self.in_rate // self.out_rate, np.float32)
        ready = [self._soxr.resample_chunk(tail), self._soxr.resample_chunk(tail[:0], last=True)]
        return self._marked(np.concatenate(ready)[:due])

    def snapshot(self) -> dict[str, Any]:
        """The state as numbers, texts and arrays: what `restore` needs to go on from here to the bit.

        Raises:
            SnapshotInvalid: the rates are in no simple ratio and very many samples were pushed since the last reset.
        """
        count = self._recent.count
        if self._soxr is not None and not self._flushed and count > soxr_state.LONGEST_REPLAY:
            self._check_count(count)
        return {
            "kind": _KIND,
            "version": _VERSION,
            "in_rate": self.in_rate,
            "out_rate": self.out_rate,
            "quality": self.quality,
            "memory": self._recent.capacity,
            "count": count,
            "recent": self._recent.samples(),
            "invalid": self._invalid.copy(),
            "next_in": self._next_in,
            "position": self._position,
            "flushed": self._flushed,
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Go on from where the resampler was that gave ``snapshot``; what was here before is forgotten.

        The first time for a pair of rates takes some 0.1 s, because the state that soxr hides is measured.

        Raises:
            SnapshotInvalid: it is of something else, of other rates, or of soxr with blocks of another length.
        """
        found = [snapshot.get(name) for name in ("kind", "version", "in_rate", "out_rate", "quality")]
        if found != [_KIND, _VERSION, self.in_rate, self.out_rate, self.quality]:
            raise SnapshotInvalid(
                f"snapshot of a {found[0]} (version {found[1]}) from {found[2]} to {found[3]} Hz at {found[4]}: this "
                f"{_KIND} (version {_VERSION}) is from {self.in_rate} to {self.out_rate} Hz at {self.quality}; "
                "restore it into one with the same settings"
            )
        if snapshot["memory"] != self._recent.capacity:
            raise SnapshotInvalid(
                f"snapshot of soxr with other blocks, which remembers {snapshot['memory']} samples and not "
                f"{self._recent.capacity}: set {' and '.join(soxr_state.BLOCK_VARIABLES)} as when it was taken"
            )
        count, recent = int(snapshot["count"]), np.asarray(snapshot["recent"], np.float32)
        if self._soxr is not None and not snapshot["flushed"]:
            if count > self._recent.capacity:
                self._check_count(count)
                period = soxr_state.period(self.in_rate, self.out_rate, self.quality)
            else:
                period = None  # all samples are there
            self._soxr = soxr_state.rebuilt(self.in_rate, self.out_rate, self.quality, count, recent, period)
        self._recent.restore(count, recent)
        self._invalid = np.array(snapshot["invalid"], np.int64).reshape(-1, 2)
        self._next_in = int(snapshot["next_in"])
        self._position = int(snapshot["position"])
        self._flushed = bool(snapshot["flushed"])

    def _check_count(self, count: int) -> None:
        most = soxr_state.LONGEST_REPLAY
        if count > most and soxr_state.period(self.in_rate, self.out_rate, self.quality) is None:
            raise SnapshotInvalid(
                f"resampler from {self.in_rate} to {self.out_rate} Hz after {count} samples: at rates in no simple "
                f"ratio only the first {most} after a reset can be saved; record at a usual rate such as 48000 Hz"
            )

    def _without_invalid(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """``samples`` with 0 for what is not finite; remembers where those stand in the output."""
        if math.isfinite(energy(samples)):
            return samples
        invalid = np.flatnonzero(~np.isfinite(samples))
        if not len(invalid):
            return samples
        index = invalid + self._next_in
        before, begin, after = self._out_indices(index)
        # With the rate going down, a sample may have no output of its own; it then takes the one before it,
        # or a single NaN would vanish. Stretches that begin and end on output samples stay exact, others to
        # within 1.
        end = np.maximum.accumulate(np.where(after > begin, after, before + 1))
        begin = np.where(after > begin, begin, before)
        fresh = np.ones(len(index), bool)
        fresh[1:] = begin[1:] > end[:-1]
        first = np.flatnonzero(fresh)
        last = np.append(first[1:], len(index)) - 1
        self._invalid = np.concatenate([self._invalid, np.stack([begin[first], end[last]], axis=1)])
        clean: NDArray[np.float32] = samples.copy()
        clean[invalid] = 0.0
        return clean

    def _out_indices(self, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Index * ratio rounded down, the `output_index` of each and of the sample after it, all (n,)."""
        divisor = math.gcd(self.in_rate, self.out_rate)  # in lowest terms, so that int64 lasts
        down, up = self.in_rate // divisor, self.out_rate // divisor
        return (
            index * up // down,
            (2 * index * up + down) // (2 * down),
            (2 * (index + 1) * up + down) // (2 * down),
        )

    def _marked(self, out: NDArray[np.float32]) -> NDArray[np.float32]:
        """``out`` with NaN at the remembered places; advances the position."""
        begin_of_out, self._position = self._position, self._position + len(out)
        if len(self._invalid):
            for begin, end in self._invalid:
                out[max(begin - begin_of_out, 0) : max(end - begin_of_out, 0)] = np.nan
            self._invalid = self._invalid[self._invalid[:, 1] > self._position]
        return out


class _Recent:
    """The last ``capacity`` samples pushed, and how many there were in all."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._buffer: NDArray[np.float32] = np.zeros(2 * capacity, np.float32)
        self.clear()

    def clear(self) -> None:
        self.count = 0
        self._end = 0  # position in the buffer after the newest sample

    def push(self, samples: NDArray[np.float32]) -> None:
        self.count += len(samples)
        samples = samples[-self.capacity :]
        if self._end + len(samples) > len(self._buffer):
            keep = min(self._end, self.capacity)
            self._buffer[:keep] = self._buffer[self._end - keep : self._end]
            self._end = keep
        self._buffer[self._end : self._end + len(samples)] = samples
        self._end += len(samples)

    def samples(self) -> NDArray[np.float32]:
        """(n,) float32 that the caller owns, n at most the capacity."""
        return np.array(self._buffer[max(0, self._end - self.capacity) : self._end])

    def restore(self, count: int, samples: NDArray[np.float32]) -> None:
        self.clear()
        self.push(samples)
        self.count = count
