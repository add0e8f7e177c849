"""SpeechMask: from the probability of speech to the stretches of sound that nobody may keep."""

from __future__ import annotations

from stream import snapshot as snapshots
from stream.messages import Scores
from stream.privacy.speech_rule import SPEECH, SpeechRule
from stream.snapshot import Snapshot

Interval = tuple[int, int]  # absolute samples [start, end)
_KIND = "speech mask"


class SpeechMask:
    """Decides, row by row, which sound is free of speech. What it has not decided is not free.

    Every row of scores speaks for the sound from the row before it to the row behind it. A stretch is free where
    such rows, each without speech, reach ``before`` seconds beyond it, and none within ``after`` seconds in front of it
    has speech. A model that has not warmed up, and a place where rows are missing, count as speech.

    Args:
        rule: see `SpeechRule`.
        sample_rate, hop: of the model, in Hz and in samples between rows.
    """

    def __init__(self, rule: SpeechRule, sample_rate: int, hop: int) -> None:
        self._rule = rule
        self._hop = hop
        self._before = max(round(rule.before * sample_rate), hop)
        self._after = round(rule.after * sample_rate)
        self.reset()

    def reset(self) -> None:
        """As new."""
        self._speaking = False
        self._row: int | None = None  # of the newest row: its sample
        self._decided = 0
        self._blocked_until = 0  # speech that is over still silences up to here

    @property
    def decided(self) -> int:
        """Index up to which it is decided."""
        return self._decided

    def push(self, scores: Scores) -> list[Interval]:
        """Take rows; the stretches that they show to be free of speech, in order, each told once.

        Args:
            scores: rows of a model with a class "speech", as its classifier gave them.
        """
        free: list[Interval] = []
        column = scores.labels.index(SPEECH)
        for probability, sample, warm in zip(
            scores.probs[:, column].tolist(), scores.sample.tolist(), scores.warm.tolist(), strict=True
        ):
            if (
                self._row is None or sample - self._row > self._hop
            ):  # nobody has listened to what lies between
                self._blocked_until = max(self._blocked_until, sample)
            self._row = sample
            limit = self._rule.release if self._speaking else self._rule.threshold
            self._speaking = not warm or not probability < limit  # NaN is speech
            if self._speaking:
                self._blocked_until = max(self._blocked_until, sample + self._hop + self._after)
            # The next row speaks for the sound from here on, and its speech silences `before` in front of that.
            decided = max(self._decided, sample - self._before)
            start = max(self._decided, self._blocked_until)
            if start < decided:
                free.append((start, decided))
            self._decided = decided
        return free

    def snapshot(self) -> Snapshot:
        """The state, as plain values."""
        return snapshots.begin(
            _KIND,
            rule=repr(self._rule),
            speaking=self._speaking,
            row=self._row,
            decided=self._decided,
            blocked_until=self._blocked_until,
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a mask with the same rule."""
        values = snapshots.check(snapshot, _KIND)
        snapshots.same(values, "rule", repr(self._rule))
        self._speaking = bool(values.get("speaking"))
        self._row = snapshots.optional(values, "row")
        self._decided = snapshots.number(values, "decided")
        self._blocked_until = snapshots.number(values, "blocked_until")
