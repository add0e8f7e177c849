"""SpeechMask: from the probability of speech to the stretches of sound that nobody may keep."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from stream import snapshot as snapshots
from stream.messages import Scores
from stream.privacy.speech_rule import SPEECH, SpeechRule
from stream.snapshot import Snapshot

Interval = tuple[int, int]  # absolute samples [start, end)
_KIND = "speech mask"
_SUREST = (
    1e-4  # probabilities nearer to 0 or 1 than this count as this near: one sure row must not decide alone
)


class SpeechMask:
    """Decides, row by row, which sound is free of speech. What it has not decided is not free.

    A row of scores speaks for the sound from the row before it to the row behind it, by the average of the rows around
    it. A stretch is free where such rows, each without speech, reach ``before`` seconds beyond it, and where none in
    the last ``after`` seconds before it has speech. Rows of a model that has not warmed up count as speech, and so
    does sound around which rows are missing.

    Args:
        rule: see `SpeechRule`.
        sample_rate, hop: of the model, in Hz and in samples between rows.

    Attributes:
        lag: samples from the middle of an average to its newest row.
        decided: index up to which it is decided.
    """

    def __init__(self, rule: SpeechRule, sample_rate: int, hop: int) -> None:
        self._rule = rule
        self._hop = hop
        self._beside = round(rule.smoothing * sample_rate / hop / 2)  # rows on either side
        self.lag = self._beside * hop
        self._limit = _log_odds(rule.threshold) * (2 * self._beside + 1)
        self._before = max(round(rule.before * sample_rate), hop)
        self._after = round(rule.after * sample_rate)
        self.reset()

    def reset(self) -> None:
        """As new."""
        self.decided = 0
        self._blocked_until = 0  # what was speech, and what nobody listened to, silences up to here
        self._row: int | None = None  # sample of the newest row
        self._rows: deque[float] = deque(maxlen=2 * self._beside + 1)  # log odds of the newest rows

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
            if self._row is None or sample - self._row > self._hop:  # nobody listened to what lies between
                self._rows.clear()
                self._blocked_until = max(self._blocked_until, sample + self.lag)
            self._row = sample
            self._rows.append(_log_odds(probability) if warm else math.inf)
            if len(self._rows) == self._rows.maxlen:
                self._decide(sample - self.lag, sum(self._rows) >= self._limit, free)
        return free

    def _decide(self, sample: int, speech: bool, free: list[Interval]) -> None:
        if speech:
            self._blocked_until = max(self._blocked_until, sample + self._hop + self._after)
        # The next row speaks for the sound from here on, and its speech silences `before` in front of that.
        decided = max(self.decided, sample - self._before)
        start = max(self.decided, self._blocked_until)
        if start < decided:
            free.append((start, decided))
        self.decided = decided

    def snapshot(self) -> Snapshot:
        """The state, as plain values."""
        return snapshots.begin(
            _KIND,
            rule=repr(self._rule),
            decided=self.decided,
            blocked_until=self._blocked_until,
            row=self._row,
            rows=np.array(self._rows, np.float64),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of a mask with the same rule."""
        values = snapshots.check(snapshot, _KIND)
        snapshots.same(values, "rule", repr(self._rule))
        self.decided = snapshots.number(values, "decided")
        self._blocked_until = snapshots.number(values, "blocked_until")
        self._row = snapshots.optional(values, "row")
        rows = snapshots.array(values, "rows", "float64", (-1,)).tolist()
        self._rows = deque(rows, maxlen=self._rows.maxlen)


def _log_odds(probability: float) -> float:
    """log(p / (1 - p)); what is no number counts as certain."""
    p = min(max(probability, _SUREST), 1 - _SUREST) if probability == probability else 1 - _SUREST
    return math.log(p / (1 - p))
