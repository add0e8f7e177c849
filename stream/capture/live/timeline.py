"""Where a block belongs on the stream's axis of absolute sample indices.

While a stream runs, samples are counted: the device's own clock is the truth. Where it broke, nobody
counted, and the length of the gap is measured. There are two kinds:

- *The device dropped samples* (PortAudio's ``input_overflow``: something before this block was discarded,
  nobody says how much). The device's time stamps say how much later than expected the block begins; where
  a backend has none, the clock does.
- *The stream was closed and opened again.* The gap lasts from the end of the last sample before it to the
  start of the first sample after it, on the clock, times the rate.

What a device drops without saying so is not seen, unless it falls silent for so long that it is reopened.
"""

from __future__ import annotations

# Blocks are delivered late by a varying amount and never early, so the least delay seen so far is the best
# estimate of when a sample really was. It may rise by this many seconds a second, more than any sound card's
# crystal drifts from the computer's, so that the estimate follows the drift.
_DRIFT_PER_SECOND = 1e-3

# While the source is gone, what is lost by now is told (`Timeline.lost_until`) less so many seconds: the first block
# after it reaches back by its own length, and the next sample must not lie before what was told.
_CAUTION_SECONDS = 0.2

# The first block after opening may come late like any other, and nothing before it tells: its gap is then
# measured too long. The blocks of the next seconds tell, and the next gap is shortened by as much, so that
# after any number of gaps the indices are ahead of the clock by the delay of one block, not of all.
_SETTLING_SECONDS = 2.0


class Timeline:
    """Turns blocks of counted samples into absolute positions.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._end = 0
        self._zero: float | None = None  # when sample 0 was, in seconds of the clock, by the least delay
        self._adc_next: float | None = None
        self._settled = 0  # index from which on a lesser delay is drift, and not the first block's delay
        self._ahead = 0.0  # seconds by which the last gap turned out to be measured too long
        self._told = 0  # `lost_until`, as it was last given

    @property
    def end(self) -> int:
        """Absolute index one past the newest sample placed."""
        return self._end

    def lost_until(self, now: float) -> int:
        """While the source is gone: the absolute index before which no more samples will come.

        It is `end` at first. The next block begins there or later, so what is decided upon it stays true.

        Args:
            now: seconds of the clock.
        """
        if self._zero is not None:
            gone = self._behind(now - _CAUTION_SECONDS) - round(self._ahead * self._rate)
            self._told = max(self._told, self._end + gone)
        return max(self._told, self._end)

    def place(
        self,
        frames: int,
        now: float,
        *,
        adc_time: float = 0.0,
        overflow: bool = False,
        reopened: bool = False,
    ) -> int:
        """Add a block; returns how many samples were lost between the previous block and this one.

        Args:
            frames: samples in the block.
            now: seconds of the clock at which it was delivered.
            adc_time: the device's time stamp of its first sample, in seconds of any origin; 0 = unknown.
            overflow: samples before this block were discarded. At least one then counts as lost.
            reopened: this is the first block since the stream was opened (again).
        """
        begin = now - frames / self._rate
        reopened = reopened or self._told > self._end  # a late block of a source that was already given up
        if self._zero is None:
            lost = 0
        elif reopened:
            lost = self._gap(begin)
        elif overflow:
            lost = max(1, self._skipped(adc_time, begin))
        else:
            lost = 0
        self._end += lost + frames
        self._follow(now - self._end / self._rate, frames / self._rate, reopened=reopened)
        self._adc_next = adc_time + frames / self._rate if adc_time > 0 else None
        return lost

    def _behind(self, begin: float) -> int:
        """How many samples the count is short of the clock, for a block that began at ``begin``."""
        assert self._zero is not None
        return round((begin - self._zero) * self._rate) - self._end

    def _gap(self, begin: float) -> int:
        """How many samples are missing before the first block since opening."""
        due = self._behind(begin) - round(self._ahead * self._rate)
        lost = max(0, due, self._told - self._end)
        self._ahead = (lost - due) / self._rate
        self._settled = self._end + lost + round(_SETTLING_SECONDS * self._rate)
        return lost

    def _follow(self, zero: float, seconds: float, *, reopened: bool) -> None:
        """Take in when sample 0 was, by the delay of the newest block, which holds so many seconds."""
        if self._zero is None or reopened:
            self._zero = zero
            return
        least = min(self._zero + _DRIFT_PER_SECOND * seconds, zero)
        if self._end <= self._settled:
            self._ahead += self._zero - least
        self._zero = least

    def _skipped(self, adc_time: float, begin: float) -> int:
        """How many samples the device dropped before a block, as well as can be known."""
        behind = self._behind(begin)
        if self._adc_next is None or adc_time <= 0:
            return behind
        # The clock sees the loss and the delay of this block together, so it bounds what the stamps, whose
        # clock may have been set, can claim.
        return min(round((adc_time - self._adc_next) * self._rate), behind)
