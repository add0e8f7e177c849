"""A source at another rate. Temporary: `StreamClassifier` resamples by itself once it takes chunks at any rate."""

from __future__ import annotations

from collections.abc import Iterator

from stream.capture.source import AudioSource, SourceBase, SourceReport
from stream.features.resample import StreamingResampler
from stream.messages import Chunk, SourceInfo


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
