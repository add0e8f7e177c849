"""Conditioner: chunks at any rate in, clean runs of samples at the model's rate and gaps out.

It resamples, repairs short runs of invalid samples, and finds gaps: the first half of what every stream goes through
before its front end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream import snapshot as snapshots
from stream.errors import ClosedError, UsageError
from stream.features.repair import Method, Repair, Run, are_valid
from stream.messages import Chunk, Gap
from stream.snapshot import Snapshot

if TYPE_CHECKING:
    from stream.features.resample import StreamingResampler

MAX_GAP_SECONDS = 1.0  # of lost sound, over which a model's state is still worth keeping
_KIND = "conditioner"


class Conditioner:
    """One stream's resampling, repair and gaps.

    Args:
        sample_rate: Hz, of what comes out.
        method: how invalid samples are repaired.
        max_repair: longest invalid run to fill in, samples at ``sample_rate``; None = 0.02 s.

    Attributes:
        gaps: gaps found by the last push or flush, in order.
        end: absolute index one past the last sample taken in, at ``sample_rate``.
        begun: whether any chunk has come since the start.
    """

    def __init__(
        self, sample_rate: int, method: Method = "interpolate", max_repair: int | None = None
    ) -> None:
        self.sample_rate = sample_rate
        self._repair = Repair(sample_rate, method, max_repair)
        self._resampler: StreamingResampler | None = None  # None while sound comes at ``sample_rate``
        self.gaps: list[Gap] = []
        self.end = 0
        self.begun = False
        self._closed = False

    @property
    def repaired(self) -> int:
        """Samples filled in so far."""
        return self._repair.repaired

    @property
    def held_back(self) -> int:
        """Samples, at ``sample_rate``, that have arrived and are still inside the resampling filter."""
        resampler = self._resampler
        return 0 if resampler is None else resampler.due

    def push(
        self, samples: NDArray[np.float32], start: int, sample_rate: int, clean: bool = False
    ) -> list[Run]:
        """Take the samples of a chunk.

        Args:
            samples: (n,) float32; not changed, and not copied where nothing is to be done.
            start: absolute index of the first one at ``sample_rate``; a jump is a gap.
            sample_rate: Hz, of these samples.
            clean: all of them are certainly valid.

        Returns:
            (start, samples) runs at the model's rate, in order; a run that begins where the last one of any push
            ended continues it without a gap.

        Raises:
            ClosedError: after flush.
            UsageError: the chunk starts before the last one ended.
        """
        if self._closed:
            raise ClosedError("push after flush: call reset() to start a new stream")
        if sample_rate == self.sample_rate and self._resampler is None:
            return self._take(samples, start, clean)
        runs: list[Run] = []
        gaps: list[Gap] = []
        resampler = self._resampler
        if resampler is None or resampler.in_rate != sample_rate:
            runs += self._drain(gaps)
            resampler = self._resampler = _resampler(sample_rate, self.sample_rate, start)
        elif start != resampler.next_in:
            if start < resampler.next_in:
                raise UsageError(
                    f"chunk starts at sample {start}, the last one ended at {resampler.next_in}: want them in order"
                )
            runs += self._drain(gaps)
            resampler.reset(start)
        elif resampler.flushed:  # interrupted, and then no gap came
            resampler.reset(start)
        first = resampler.position
        runs += self._take(resampler.push(samples), first)
        if gaps:
            self.gaps = [*gaps, *self.gaps]
        return runs

    def idle(self, chunk: Chunk) -> bool:
        """Whether ``push`` would give back the samples of a chunk as they are: valid sound that follows the last."""
        return (
            self._resampler is None
            and chunk.start == self.end
            and chunk.sample_rate == self.sample_rate
            and not self._closed
            and self._repair.idle
            and (chunk.clean or chunk.samples.dtype.kind == "i" or are_valid(chunk.samples))
        )

    def pass_on(self, last: float, end: int) -> None:
        """Such samples passed, without ``push``: the last of them, and one past its index."""
        self.end = end
        self._repair.pass_on(last, end)
        self.gaps = self._repair.gaps

    @property
    def lost_until(self) -> int | None:
        """Index before which no more valid samples will come, during a run that is too long to repair; else None."""
        return self._repair.lost_until

    @property
    def open_gap(self) -> Gap | None:
        """The run of invalid samples that goes on and is too long to repair, as far as it is known; else None."""
        return self._repair.open_gap

    def interrupt(self) -> list[Run]:
        """A gap follows the last sample, however long it will be: what was held back, at once.

        The next chunk brings the gap, and all together is what it would have been without this call.
        """
        gaps: list[Gap] = []
        runs = self._drain(gaps)
        self._repair.interrupt()
        self.gaps = [*gaps, *self._repair.gaps]
        return runs

    def flush(self) -> list[Run]:
        """No more input: what was held back. A second flush gives nothing."""
        if self._closed:
            self.gaps = []
            return []
        gaps: list[Gap] = []
        runs = self._drain(gaps)
        runs += self._repair.flush()
        self.gaps = [*gaps, *self._repair.gaps]
        self._closed = True
        return runs

    def reset(self) -> None:
        """As new."""
        self._repair.reset()
        self._resampler = None
        self.gaps = []
        self.end = 0
        self.begun = False
        self._closed = False

    def snapshot(self) -> Snapshot:
        """The state, as plain values."""
        resampler = self._resampler
        return snapshots.begin(
            _KIND,
            sample_rate=self.sample_rate,
            repair=self._repair.snapshot(),
            in_rate=None if resampler is None else resampler.in_rate,
            resampler=None if resampler is None else resampler.snapshot(),
            end=self.end,
            begun=self.begun,
            closed=self._closed,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a conditioner with the same settings."""
        values = snapshots.check(snapshot, _KIND)
        snapshots.same(values, "sample_rate", self.sample_rate)
        resampler = None
        in_rate = snapshots.optional(values, "in_rate")
        if in_rate is not None:
            resampler = _resampler(in_rate, self.sample_rate)
            resampler.restore(snapshots.inner(values, "resampler"))
        end = snapshots.number(values, "end")
        self._repair.restore(snapshots.inner(values, "repair"))
        self.gaps = []
        self._resampler, self.end = resampler, end
        self.begun, self._closed = bool(values.get("begun")), bool(values.get("closed"))

    def _drain(self, gaps: list[Gap]) -> list[Run]:
        """The end of a run of input: what its filter still holds."""
        resampler = self._resampler
        if resampler is None:
            return []
        first = resampler.position
        rest = resampler.flush()
        if not len(rest):
            return []
        runs = self._take(rest, first)
        gaps += self.gaps
        return runs

    def _take(self, samples: NDArray[np.float32], start: int, clean: bool = False) -> list[Run]:
        """Samples at the model's rate."""
        lost: Gap | None = None
        if start != self.end or not self.begun:
            if not self.begun:
                self.begun = True
            elif start < self.end:
                raise UsageError(
                    f"chunk starts at sample {start}, the last one ended at {self.end}: want them in order"
                )
            else:
                lost = Gap(self.end, start - self.end, self.sample_rate)
        self.end = start + len(samples)
        runs = self._repair.push(samples, start, clean)
        self.gaps = self._repair.gaps
        if lost is not None:
            self.gaps = sorted([*self.gaps, lost], key=lambda gap: gap.start)
        return runs


def _resampler(in_rate: int, out_rate: int, start: int = 0) -> StreamingResampler:
    # Imported when sound at another rate comes: a stream at the model's rate does not wait for soxr.
    from stream.features.resample import StreamingResampler

    return StreamingResampler(in_rate, out_rate, start=start)
