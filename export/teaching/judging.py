"""Judging: thresholds for a budget of false alarms, and what is found with them of examples not learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.teaching.head import Head
from export.teaching.learning import FOLDS, Lesson, Trial
from export.teaching.threshold import Tail

Array = NDArray[np.float32]
MARGIN_SHARE = 0.15  # of the way up to what a quarter of the examples does not reach


@dataclass(frozen=True, slots=True)
class Budget:
    """False alarms that are allowed to all taught sounds together.

    Attributes:
        bank: an hour of the bank's speech, music and noise, which is far busier than a home.
        own: an hour of the user's own quiet recordings.
    """

    bank: float = 0.5
    own: float = 1 / 24


@dataclass(frozen=True, eq=False, slots=True)
class Judged:
    """A head with its thresholds.

    Attributes:
        head: its logits are events from 0 on.
        tails: of each sound in the quiet stretches (the user's own, where there are any), before the thresholds were
            taken off.
        thresholds: (C,) that were taken off.
        trial: copies of examples that heads were not learnt from, with thresholds chosen in the same way.
    """

    head: Head
    tails: list[Tail]
    thresholds: Array
    trial: Trial

    def raised(self, sound: int, by: int) -> float:
        """Share of the copies of the sound ``by`` that are taken for ``sound``; of its own: the share found."""
        mine = self.trial.peaks[self.trial.sound == by, sound]
        return float(np.mean(mine >= 0)) if len(mine) else 0.0

    def alike(self, sound: int, other: int) -> float:
        """Share of the copies of ``other`` that mean ``sound`` as much as half of its own do.

        0.5 where the two are one, near 0 where they are not.
        """
        own = self.trial.peaks[self.trial.sound == sound, sound]
        others = self.trial.peaks[self.trial.sound == other, sound]
        return float(np.mean(others >= np.median(own))) if len(own) and len(others) else 0.0

    def rate(self, sound: int) -> float:
        """Events an hour of a sound to be expected in sound like the quiet stretches."""
        return self.tails[sound].rate(float(self.thresholds[sound]))

    def count(self, sound: int) -> int:
        """Events of a sound in the quiet stretches."""
        return self.tails[sound].count(float(self.thresholds[sound]))


def judge(lesson: Lesson, budget: Budget) -> Judged:
    """Learn from all examples; and, to know what that is worth, from all but a part of them, for each part in turn.

    Thresholds leave as many false alarms as ``budget`` says, or fewer: where the examples are far above that, the
    threshold lies some way up to them.
    """
    count = len(lesson.labels)
    peaks, sounds = [], []
    for fold in range(FOLDS):
        copies = [copy for copy in lesson.copies if copy.fold == fold and copy.sound >= 0]
        if copies:
            part = lesson.learn(without=fold)
            trial = lesson.trial(part, _lowest(lesson, part, budget), copies)
            peaks.append(trial.peaks)
            sounds.append(trial.sound)
    trial = Trial(np.concatenate(peaks), np.concatenate(sounds))
    margin = np.zeros(count, np.float32)
    for i in range(count):
        own = trial.peaks[trial.sound == i, i]
        margin[i] = MARGIN_SHARE * max(0.0, float(np.quantile(own, 0.25)))
    head = lesson.learn()
    thresholds = _lowest(lesson, head, budget) + margin
    shifted = Head(head.delays, head.weights, head.bias - thresholds)
    tails = lesson.tails(head, own=lesson.has_own)
    return Judged(shifted, tails, thresholds, Trial(trial.peaks - margin, trial.sound))


def _lowest(lesson: Lesson, head: Head, budget: Budget) -> Array:
    """(C,) thresholds that keep the budget, shared equally, in the bank and in the user's own recordings."""
    count = len(lesson.labels)
    lowest = [tail.threshold(budget.bank / count) for tail in lesson.tails(head)]
    if lesson.has_own:
        own = [tail.threshold(budget.own / count) for tail in lesson.tails(head, own=True)]
        lowest = [max(pair) for pair in zip(lowest, own, strict=True)]
    return np.array(lowest, np.float32)
