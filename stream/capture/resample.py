"""Bringing sound to the model's rate, as one continuous filter over the stream and never block by block.

Time is kept by one rule: input index ``i`` stands at output index `output_index` (i), that is i * out / in
rounded half up. A run of consecutive input samples [a, b) gives exactly the output samples [output_index(a),
output_index(b)), however it was cut into pushes, so a gap in the input is a gap of the right length in the
output.

soxr at quality "HQ" is bit-exact under chunking. It works in blocks, whose length libsoxr takes from its environment:
the shortest it allows holds back 6 to 17 ms from 44.1 or 48 kHz (from 8 kHz up to 52 ms); its own choice would hold
back up to 40 (116) and be a quarter cheaper.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator

import numpy as np
import soxr
from numpy.typing import NDArray

from stream.capture.source import AudioSource, SourceBase, SourceReport
from stream.errors import ClosedError, UsageError
from stream.features.energy import energy
from stream.messages import Chunk, SourceInfo

# Read by libsoxr when a resampler is made (soxr.c, soxr_create): log2 of the length of its Fourier transforms.
_SHORT_BLOCKS = {"SOXR_MIN_DFT_SIZE": "8", "SOXR_LARGE_DFT_SIZE": "8"}
_environment = threading.Lock()


def output_index(index: int, in_rate: int, out_rate: int) -> int:
    """Where input sample ``index`` stands in the output: index * out_rate / in_rate, rounded half up."""
    return (2 * index * out_rate + in_rate) // (2 * in_rate)


class StreamingResampler:
    """One stream from ``in_rate`` to ``out_rate``: push, flush, reset.

    Samples that are NaN or infinite enter the filter as 0 (they would poison everything after them); the
    output samples that stand at their place come out as NaN, so that the repair stage behind sees a hole of
    the right length.

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
        self._soxr = None if in_rate == out_rate else _in_short_blocks(in_rate, out_rate, quality)
        self.reset(start)

    def reset(self, start: int = 0) -> None:
        """As new; the next sample pushed has absolute input index ``start``."""
        if self._soxr is not None:
            self._soxr.clear()
        self._next_in = start
        self._position = output_index(start, self.in_rate, self.out_rate)
        self._holes: NDArray[np.int64] = np.empty((0, 2), np.int64)
        self._flushed = False

    @property
    def next_in(self) -> int:
        """Absolute input index of the next sample to be pushed."""
        return self._next_in

    @property
    def position(self) -> int:
        """Absolute output index of the next sample that will come out."""
        return self._position

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
            # Same marks as with the filter: an infinite sample is a missing one.
            out = np.where(np.isfinite(samples), samples, np.float32(np.nan))
            self._next_in += len(samples)
            self._position = self._next_in
            return out
        clean = self._without_holes(samples)
        self._next_in += len(samples)
        return self._marked(self._soxr.resample_chunk(clean))

    def flush(self) -> NDArray[np.float32]:
        """The end of the run: the (k,) float32 still inside the filter. A second flush gives nothing."""
        due = output_index(self._next_in, self.in_rate, self.out_rate) - self._position
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

    def _without_holes(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """``samples`` with 0 for what is not finite; remembers where that stands in the output."""
        if math.isfinite(energy(samples)):
            return samples
        bad = np.flatnonzero(~np.isfinite(samples))
        if not len(bad):
            return samples
        index = bad + self._next_in
        before, begin, after = self._out_indices(index)
        # With the rate going down, a sample may have no output of its own; it then takes the one before it,
        # or a single NaN would vanish. Holes that begin and end on output samples stay exact, others to
        # within 1.
        end = np.maximum.accumulate(np.where(after > begin, after, before + 1))
        begin = np.where(after > begin, begin, before)
        fresh = np.ones(len(index), bool)
        fresh[1:] = begin[1:] > end[:-1]
        first = np.flatnonzero(fresh)
        last = np.append(first[1:], len(index)) - 1
        self._holes = np.concatenate([self._holes, np.stack([begin[first], end[last]], axis=1)])
        clean: NDArray[np.float32] = samples.copy()
        clean[bad] = 0.0
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
        if len(self._holes):
            for begin, end in self._holes:
                out[max(begin - begin_of_out, 0) : max(end - begin_of_out, 0)] = np.nan
            self._holes = self._holes[self._holes[:, 1] > self._position]
        return out


def _in_short_blocks(in_rate: int, out_rate: int, quality: str) -> soxr.ResampleStream:
    """The same for live sound and files, so that both get the same samples; whatever the user's environment says."""
    with _environment:
        before = {name: os.environ.get(name) for name in _SHORT_BLOCKS}
        os.environ.update(_SHORT_BLOCKS)
        try:
            return soxr.ResampleStream(in_rate, out_rate, 1, "float32", quality)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


class ResampledSource(SourceBase):
    """A source at another rate; made by `resampled`.

    One chunk comes out for each that goes in, with its state and time of capture, even when the filter holds
    its samples back (it is then empty); before a gap and at the end comes one more with the rest of the run.
    """

    def __init__(self, source: AudioSource, rate: int, quality: str = "HQ") -> None:
        self.source = source
        self._resampler = StreamingResampler(source.sample_rate, rate, quality)
        self.sample_rate = rate

    def __iter__(self) -> Iterator[Chunk]:
        resampler = self._resampler
        resampler.reset()
        begun = False
        for chunk in self.source:
            if not begun or chunk.start != resampler.next_in:
                if begun:
                    yield from self._rest(chunk)
                resampler.reset(chunk.start)
                begun = True
            start = resampler.position
            yield Chunk(
                resampler.push(chunk.samples),
                start,
                self.sample_rate,
                chunk.captured_at,
                chunk.state,
                chunk.detail,
            )
        yield from self._rest(None)

    def _rest(self, following: Chunk | None) -> Iterator[Chunk]:
        start = self._resampler.position
        rest = self._resampler.flush()
        if len(rest):
            captured_at = None if following is None else following.captured_at
            yield Chunk(rest, start, self.sample_rate, captured_at)

    def report(self) -> SourceReport:
        """The source's own, at its rate."""
        return self.source.report()

    def info(self) -> SourceInfo:
        """The source's own: its ``sample_rate`` is the one sound arrives at."""
        return self.source.info()

    def close(self) -> None:
        self.source.close()


def resampled(source: AudioSource, rate: int, quality: str = "HQ") -> AudioSource:
    """``source`` at ``rate`` Hz; the source itself where that is its rate already.

    Each chunk's ``start`` counts at ``rate``; gaps, heartbeats, states and times of capture are kept.
    """
    return source if source.sample_rate == rate else ResampledSource(source, rate, quality)
