"""What a person changes while listening: thresholds, muted classes, marks. Each holds from one sample on."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from stream.errors import UsageError
from stream.messages import Status
from stream.settings.document import unknown

if TYPE_CHECKING:
    from stream.classifier import StreamClassifier
    from stream.decisions.spec import ClassRule, DetectorSpec
    from stream.messages import Chunk, Result, SourceState
    from stream.outputs.marks import Marks
    from stream.outputs.sink import Sink
    from stream.telemetry import Telemetry

STEP = 0.05  # of a threshold
LOWEST, HIGHEST = 0.05, 0.95


class Tuning:
    """A sink that carries out between two chunks what the thread of the keys asks for.

    A change holds from the first sample of the next chunk on; events of a muted class end there. A status tells the
    others of it, with that sample and words such as "speech: threshold 0.55", "speech: muted" or "marked".

    Args:
        classifier: whose thresholds are changed, in the thread of its run.
        telemetry: shows them; None where nobody looks.
        told: who gets the status.
        marks: where marks go besides.
    """

    def __init__(
        self,
        classifier: StreamClassifier,
        telemetry: Telemetry | None,
        told: Sequence[Sink],
        marks: Marks,
    ) -> None:
        self._marks = marks
        self._classifier, self._telemetry, self._told = classifier, telemetry, told
        rules = {label: classifier.detector_spec.rule(label) for label in classifier.labels}
        self._rules = {label: rule for label, rule in rules.items() if rule.enabled}
        self._muted: set[str] = set()
        self._asked: deque[tuple[str, ClassRule | None, str]] = deque()  # label, rule (None = a mark), words
        self._state: SourceState = "listening"
        self._last: Chunk | None = None
        self._lock = threading.Lock()

    def thresholds(self) -> dict[str, float | None]:
        """Of each class that is reported, what was asked for last; None while it is muted. From any thread."""
        with self._lock:
            return {
                label: None if label in self._muted else rule.threshold for label, rule in self._rules.items()
            }

    def place(self, label: str, threshold: float) -> str:
        """Ask for this very threshold; what to show.

        Raises:
            UsageError: no such class is reported, or the threshold is not above 0 and at most 1.
        """
        if not 0 < threshold <= 1:  # also NaN
            raise UsageError(f"threshold {threshold:g}: want a number above 0, and at most 1")
        with self._lock:
            if (rule := self._rules.get(label)) is None:
                raise UsageError(unknown(f"class {label}", self._rules))
            self._rules[label] = rule = _moved(rule, round(threshold, 4))
            self._muted.discard(label)
            return self._ask(label, rule)

    def take(self, spec: DetectorSpec) -> None:
        """Ask for other rules for every class that is reported; those that are muted are heard again."""
        with self._lock:
            for label, before in self._rules.items():
                rule = spec.rule(label)
                if rule != before or label in self._muted:
                    self._rules[label] = rule
                    self._muted.discard(label)
                    same = rule.threshold == before.threshold
                    self._ask(label, rule, f"{label}: other rules" if same else "")

    def move(self, label: str, steps: int) -> str:
        """Ask for another threshold; what to show."""
        with self._lock:
            if (rule := self._rules.get(label)) is None:
                return f"{label} is not reported"
            wanted = (round(rule.threshold / STEP) + steps) * STEP
            self._rules[label] = rule = _moved(rule, round(min(HIGHEST, max(LOWEST, wanted)), 2))
            self._muted.discard(label)
            return self._ask(label, rule)

    def mute(self, label: str) -> str:
        """Ask for no more events of a class, or for them again; what to show."""
        with self._lock:
            if (rule := self._rules.get(label)) is None:
                return f"{label} is not reported"
            self._muted ^= {label}
            if label in self._muted:
                rule = msgspec.structs.replace(rule, enabled=False)
            return self._ask(label, rule)

    def mark(self) -> str:
        """Mark this moment for outputs that keep marks, and the sample that comes next for all; what to show."""
        self._marks.add("by a key")
        self._asked.append(("", None, "marked"))
        return "marked"

    def _ask(self, label: str, rule: ClassRule, words: str = "") -> str:
        if not words:
            words = f"{label}: threshold {rule.threshold:.2f}" if rule.enabled else f"{label}: muted"
        self._asked.append((label, rule, words))
        return words

    def chunk(self, chunk: Chunk) -> None:
        """Carry out what was asked for, before this chunk is classified."""
        spec = self._classifier.detector_spec
        changed: dict[str, ClassRule] = {}
        while self._asked:
            label, rule, words = self._asked.popleft()
            if rule is not None:
                changed[label] = rule
                if self._telemetry is not None:
                    self._telemetry.set_threshold(label, rule.threshold if rule.enabled else math.nan)
            self._tell(words, chunk.start, chunk)
        if changed:
            self._classifier.change_rules(msgspec.structs.replace(spec, classes=spec.classes | changed))
        self._last = chunk

    def result(self, result: Result) -> None:
        """See Sink."""

    def status(self, status: Status) -> None:
        """Note what the source does, to repeat it."""
        self._state = status.state

    def close(self) -> None:
        """Tell the others what was asked for behind the last chunk: the person has read that it is done.

        It comes before the others are closed, as sinks are closed in their order and this one stands before them.
        """
        while self._asked:
            _, _, words = self._asked.popleft()
            if self._last is not None:
                self._tell(words, self._last.end, self._last)

    def _tell(self, words: str, sample: int, chunk: Chunk) -> None:
        status = Status(self._state, sample, chunk.sample_rate, words, chunk.captured_at, "person")
        for sink in self._told:
            sink.status(status)


def _moved(rule: ClassRule, threshold: float) -> ClassRule:
    """With another threshold, and release and peak threshold on their sides of it."""
    release = None if rule.release is None else min(rule.release, threshold)
    peak = None if rule.peak_threshold is None else max(rule.peak_threshold, threshold)
    return msgspec.structs.replace(rule, threshold=threshold, release=release, peak_threshold=peak)
