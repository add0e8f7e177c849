"""Explanation: some seconds of a session, and why there was an event in them, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stream.decisions.detector import Detector
from stream.decisions.near_miss import NearMiss, WatchedDetector
from stream.errors import UsageError
from stream.inference.session import Model
from stream.messages import Chunk, Event, Gap, Result, Status
from stream.replay.replaying import make_classifier, replay
from stream.session.recorded import RecordedSession
from stream.session.segment import Contents, Segment

AFTERWARDS_SECONDS = 5.0  # heard behind the window, for what is decided later


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """What was heard and decided in a window. Times are seconds of the stream.

    Attributes:
        begin, end: of the window.
        labels: C classes.
        thresholds, peak_thresholds, releases: (C,) of the rules; NaN of a class that is never reported.
        hop: seconds between rows.
        sample_rate: of the sound, Hz.
        sound: (n,) float32 from ``begin`` on, NaN where nothing came.
        at: (T,) of each row.
        probs, averages: (T, C) float32; averages are compared with thresholds, and are NaN where the model was cold.
        events: those that overlap the window, complete where their end is known, in order.
        onsets: id -> when the onset was reported.
        gaps: those that overlap the window.
        marks: (second, words) of moments that somebody marked.
        misses: near misses that overlap it, with samples at the model's rate.
        model_rate: Hz, of events, gaps and misses.
    """

    begin: float
    end: float
    labels: tuple[str, ...]
    thresholds: NDArray[np.float32]
    peak_thresholds: NDArray[np.float32]
    releases: NDArray[np.float32]
    hop: float
    sample_rate: int
    sound: NDArray[np.float32]
    at: NDArray[np.float64]
    probs: NDArray[np.float32]
    averages: NDArray[np.float32]
    events: list[Event]
    onsets: dict[int, float]
    gaps: list[Gap]
    marks: list[tuple[float, str]]
    misses: list[NearMiss]
    model_rate: int


@dataclass(slots=True)
class _Window:
    """A listener of a replay that keeps what overlaps a window."""

    begin: float
    end: float
    rate: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)

    def segment(self, segment: Segment, contents: Contents, fresh: bool) -> None:
        """See Listener."""
        self.marks += [
            mark for step in contents.steps for mark in step.marks if self.begin <= mark[0] < self.end
        ]

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""
        rate = chunk.sample_rate
        if self.rate in (0, rate) and chunk.end > self.begin * rate and chunk.start < self.end * rate:
            self.rate = rate
            self.chunks.append(chunk)

    def result(self, result: Result) -> None:
        """See Sink."""
        if len(result.scores) or result.events or result.gaps or result.opened:
            self.results.append(result)

    def status(self, status: Status) -> None:
        """See Sink."""

    def close(self) -> None:
        """See Sink."""


def explain(session: RecordedSession, model: Model, begin: float, end: float) -> Explanation:
    """Hear the window again, from the snapshot before it, with a detector that is watched.

    Args:
        session: what was recorded.
        model: the one that it was recorded with.
        begin, end: of the window, seconds of the stream.

    Raises:
        UsageError: the session has nothing there.
        SessionInvalid: it is damaged.
    """
    begin = max(begin, 0.0)
    starts = session.starts()
    first = session.start_before(max(begin, starts[0].second if starts else 0.0))
    made: list[WatchedDetector] = []

    def watched(*arguments: object) -> Detector:
        made.append(WatchedDetector(*arguments))  # type: ignore[arg-type]
        return made[-1]

    classifier = make_classifier(session, model, watched)
    window = _Window(begin, end)
    replay(session, classifier, first, listeners=[window], until=end + AFTERWARDS_SECONDS)
    if not window.chunks:
        heard = classifier.end / classifier.sample_rate
        raise UsageError(
            f"session {session.folder}: has no sound from {begin:.2f} to {end:.2f} s, and ends at {heard:.2f} s"
        )
    rate = classifier.sample_rate

    def overlaps(start: float, stop: float) -> bool:
        return stop > begin * rate and start < end * rate

    (detector,) = made
    at, averages = _rows(detector, rate, begin, end)
    probs = _probs(window.results, rate, begin, end, len(classifier.labels))
    events = {event.id: event for result in window.results for event in result.events}
    gaps = {gap.start: gap for result in window.results for gap in (*result.opened, *result.gaps)}
    rules = [classifier.detector_spec.rule(label) for label in classifier.labels]
    nothing = float("nan")
    return Explanation(
        begin=begin,
        end=end,
        labels=classifier.labels,
        thresholds=_bars([rule.threshold if rule.enabled else nothing for rule in rules]),
        peak_thresholds=_bars(
            [(rule.peak_threshold or rule.threshold) if rule.enabled else nothing for rule in rules]
        ),
        releases=_bars([rule.off_threshold if rule.enabled else nothing for rule in rules]),
        hop=classifier.hop / rate,
        sample_rate=window.rate,
        sound=_sound(window),
        at=at,
        probs=probs,
        averages=averages,
        events=[
            event
            for event in events.values()
            if overlaps(event.onset, np.inf if event.offset is None else event.offset)
        ],
        onsets={
            event.id: event.decided / rate
            for result in window.results
            for event in result.events
            if event.offset is None
        },
        gaps=[gap for gap in gaps.values() if overlaps(gap.start, gap.end)],
        marks=window.marks,
        misses=[miss for miss in detector.misses if overlaps(miss.start, miss.end)],
        model_rate=rate,
    )


def _bars(values: Sequence[float]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)


def _rows(
    detector: WatchedDetector, rate: int, begin: float, end: float
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    if not detector.rows:
        return np.empty(0), np.empty((0, len(detector.labels)), np.float32)
    at = np.concatenate([sample for sample, _ in detector.rows]) / rate
    averages = np.concatenate([rows for _, rows in detector.rows])
    inside = (at >= begin) & (at < end)
    return at[inside], averages[inside]


def _probs(results: list[Result], rate: int, begin: float, end: float, classes: int) -> NDArray[np.float32]:
    parts = [result.scores for result in results if len(result.scores)]
    if not parts:
        return np.empty((0, classes), np.float32)
    at = np.concatenate([each.sample for each in parts]) / rate
    probs = np.concatenate([each.probs for each in parts])
    return np.asarray(probs[(at >= begin) & (at < end)], np.float32)


def _sound(window: _Window) -> NDArray[np.float32]:
    """(n,) from the beginning of the window to its end, NaN where nothing came."""
    rate = window.rate
    first = round(window.begin * rate)
    out = np.full(max(1, round(window.end * rate) - first), np.nan, np.float32)
    for chunk in window.chunks:
        low, high = max(chunk.start, first), min(chunk.end, first + len(out))
        if low < high:
            out[low - first : high - first] = chunk.samples[low - chunk.start : high - chunk.start]
    return out
