"""The live detector on only those stretches of long streams where a class can be on: the same events, much sooner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.calibration.heard import HeardStream
from export.calibration.matching import Times
from stream.decisions.detector import Detector
from stream.decisions.smoothing import MovingAverage
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.messages import Scores

_LABEL = "class"
_GAP_SECONDS = 100.0  # between streams on the common axis


@dataclass(frozen=True, eq=False, slots=True)
class ClassEvents:
    """Detected events of one class in all streams, on one axis of time (``Axis``); seconds, in order."""

    onsets: Times
    offsets: Times
    decided: Times


@dataclass(frozen=True, eq=False, slots=True)
class Axis:
    """Several streams on one axis of time, far enough apart that no event reaches from one into the next.

    Attributes:
        begins: (S,) seconds at which each stream begins.
    """

    begins: Times

    @classmethod
    def of(cls, streams: Sequence[HeardStream]) -> Axis:
        lengths = [stream.length / stream.sample_rate + _GAP_SECONDS for stream in streams]
        return cls(np.concatenate([[0.0], np.cumsum(lengths)])[: len(streams)])

    def stream_of(self, times: Times) -> NDArray[np.int64]:
        """The number of the stream that each time lies in; a little before it counts too."""
        return np.maximum(np.searchsorted(self.begins - _GAP_SECONDS / 2, times, side="right") - 1, 0)


class ClassRows:
    """Smoothed probabilities of one class in all streams.

    Args:
        streams: with one sample rate and one hop.
        column: of the class.
        smoothing: seconds, as in ``ClassRule``.
        axis: of the streams.
    """

    def __init__(self, streams: Sequence[HeardStream], column: int, smoothing: float, axis: Axis) -> None:
        first = streams[0]
        self._rate, self._hop = first.sample_rate, first.hop
        self.smoothing = smoothing
        rows = max(1, round(smoothing * self._rate / self._hop))
        smooth = []
        for stream in streams:
            average = MovingAverage([rows])
            one = np.ascontiguousarray(stream.probs[:, column : column + 1], np.float32)
            smooth.append(average.push(one)[:, 0])
        self._smooth = np.concatenate(smooth)
        self._ends = np.cumsum([len(part) for part in smooth])
        self._streams, self._axis = streams, axis

    def events(self, rule: ClassRule) -> ClassEvents:
        """What the live detector finds with this rule, whose ``smoothing`` must be this one's.

        A class can only be on in a stretch of rows at or above its release in which the threshold (and the peak
        threshold) is reached. These stretches are laid end to end, with rows of zero between them for as long as it
        takes to end an event and to be free for the next, and the detector runs on those.
        """
        release = np.float32(rule.off_threshold)
        level = np.float32(rule.threshold if rule.peak_threshold is None else rule.peak_threshold)
        per_second = self._rate / self._hop
        pad = max(1, int(np.ceil(rule.min_off * per_second)), int(np.ceil(rule.refractory * per_second))) + 2
        spans = _spans(self._smooth, release, level, pad, self._ends)
        if not len(spans):
            empty = np.empty(0)
            return ClassEvents(empty, empty, empty)
        lengths = spans[:, 1] - spans[:, 0] + pad
        places = np.concatenate([[0], np.cumsum(lengths)])
        short = np.zeros(int(places[-1]), np.float32)
        source = np.zeros(len(short), np.int64)  # the row that each row of the short stream was
        for (begin, end), place in zip(spans.tolist(), places.tolist(), strict=False):
            short[place : place + end - begin] = self._smooth[begin:end]
            source[place : place + end - begin + pad] = np.arange(begin, end + pad)
        return self._found(short, source, rule)

    def _found(self, short: NDArray[np.float32], source: NDArray[np.int64], rule: ClassRule) -> ClassEvents:
        plain = DetectorSpec(default=msgspec.structs.replace(rule, smoothing=0.0, enabled=True))
        hop, half = self._hop, self._hop // 2
        detector = Detector(plain, (_LABEL,), self._rate, hop)
        samples = half + hop * np.arange(len(short), dtype=np.int64)  # the first row begins at sample 0
        messages = detector.push(
            Scores(short[:, None], samples, np.ones(len(short), np.bool_), (_LABEL,), self._rate, hop)
        )
        decided = {m.id: m.decided for m in messages if m.offset is None}
        ended = [m for m in messages if m.offset is not None]
        on = source[[m.onset // hop for m in ended]]
        last = source[[(m.offset or 0) // hop - 1 for m in ended]]
        told = source[[decided[m.id] // hop for m in ended]]
        before, after = half / self._rate, (hop - half) / self._rate
        return ClassEvents(self._times(on) - before, self._times(last) + after, self._times(told, late=True))

    def _times(self, rows: NDArray[np.int64], late: bool = False) -> Times:
        """Seconds on the axis of (k,) rows, or, ``late``, of the newest sound the model had heard for them."""
        numbers = np.searchsorted(self._ends, rows, side="right")
        begins = np.concatenate([[0], self._ends])
        times = np.empty(len(rows))
        for number in np.unique(
            numbers
        ).tolist():  # few streams; the times of all rows would take much memory
            stream, mine = self._streams[number], numbers == number
            samples = stream.samples[rows[mine] - begins[number]]
            times[mine] = samples / self._rate + self._axis.begins[number] + late * stream.lag / self._rate
        return times


def _spans(
    smooth: NDArray[np.float32],
    release: np.float32,
    level: np.float32,
    pad: int,
    ends: NDArray[np.int64],
) -> NDArray[np.int64]:
    """(k, 2) first row and one past the last, of stretches at or above ``release`` that reach ``level``.

    Those with fewer than ``pad`` rows between them are one, except across the end of a stream.
    """
    on = np.concatenate([[False], smooth >= release, [False]])
    edges = np.flatnonzero(on[1:] != on[:-1])
    cuts = ends[:-1]
    cuts = cuts[on[cuts] & on[cuts + 1]]  # a run that goes on from one stream into the next is two
    edges = np.sort(np.concatenate([edges, cuts, cuts]))
    begins, stops = edges[0::2], edges[1::2]
    if not len(begins):
        return np.empty((0, 2), np.int64)
    stream = np.searchsorted(ends, begins, side="right")
    apart = np.concatenate([[True], (begins[1:] - stops[:-1] >= pad) | (stream[1:] != stream[:-1])])
    first = np.flatnonzero(apart)
    begins, stops = begins[first], stops[np.concatenate([first[1:] - 1, [len(stops) - 1]])]
    inner = np.stack([begins, stops], axis=1).ravel()
    tops = np.maximum.reduceat(np.append(smooth, np.float32(0)), inner)[0::2]
    found: NDArray[np.int64] = np.stack([begins, stops], axis=1)[tops >= level]
    return found
