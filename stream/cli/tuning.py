"""What a person changes while listening: thresholds, muted classes, marks. Each holds from one sample on."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stream.messages import Status

if TYPE_CHECKING:
    from stream.classifier import StreamClassifier
    from stream.messages import Chunk, Result, SourceState
    from stream.outputs.sink import Sink
    from stream.telemetry import Telemetry

STEP = 0.05  # of a threshold
LOWEST, HIGHEST = 0.05, 0.95


class Tuning:
    """A sink that carries out between two chunks what the thread of the keys asks for.

    A change holds from the first sample of the next chunk on. A status tells the others of it, with that sample and
    words such as "speech: threshold 0.55", "speech: muted" or "marked".

    Args:
        classifier: whose thresholds are changed, in the thread of its run.
        telemetry: shows them.
        told: who gets the status.
    """

    def __init__(self, classifier: StreamClassifier, telemetry: Telemetry, told: Sequence[Sink]) -> None:
        self._classifier, self._telemetry, self._told = classifier, telemetry, told
        spec = classifier.detector_spec
        rules = {label: spec.rule(label) for label in classifier.labels}
        self._thresholds = {label: rule.threshold for label, rule in rules.items() if rule.enabled}
        self._muted: set[str] = set()
        self._asked: deque[tuple[str, float, str]] = deque()  # label ("" = a mark), threshold, words
        self._state: SourceState = "listening"
        self._lock = threading.Lock()

    def move(self, label: str, steps: int) -> str:
        """Ask for another threshold; what to show."""
        with self._lock:
            if label not in self._thresholds:
                return f"{label} is not reported"
            wanted = round((self._thresholds[label] / STEP) + steps) * STEP
            self._thresholds[label] = wanted = round(min(HIGHEST, max(LOWEST, wanted)), 2)
            self._muted.discard(label)
            return self._ask(label, wanted, f"{label}: threshold {wanted:.2f}")

    def mute(self, label: str) -> str:
        """Ask for no more events of a class, or for them again; what to show. One that is on goes on to its end."""
        with self._lock:
            if label not in self._thresholds:
                return f"{label} is not reported"
            if label in self._muted:
                self._muted.discard(label)
                threshold = self._thresholds[label]
                return self._ask(label, threshold, f"{label}: threshold {threshold:.2f}")
            self._muted.add(label)
            return self._ask(label, math.inf, f"{label}: muted")

    def mark(self) -> str:
        """Ask for a mark at this moment; what to show."""
        return self._ask("", 0.0, "marked")

    def _ask(self, label: str, threshold: float, words: str) -> str:
        self._asked.append((label, threshold, words))
        return words

    def chunk(self, chunk: Chunk) -> None:
        """Carry out what was asked for, before this chunk is classified."""
        while self._asked:
            label, threshold, words = self._asked.popleft()
            if label:
                self._classifier.set_threshold(label, threshold)
                self._telemetry.set_threshold(label, threshold if threshold <= 1 else math.nan)
            status = Status(self._state, chunk.start, chunk.sample_rate, words, chunk.captured_at)
            for sink in self._told:
                sink.status(status)

    def result(self, result: Result) -> None:
        """See Sink."""

    def status(self, status: Status) -> None:
        """Note what the source does, to repeat it."""
        self._state = status.state

    def close(self) -> None:
        """See Sink."""
