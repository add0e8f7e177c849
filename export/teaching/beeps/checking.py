"""Checking: a threshold for a budget of false alarms, and what is found with it and what is taken for the beep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.scenes.look_alikes import look_alike
from export.scenes.negatives import Negatives
from export.teaching.background import Amount, Stretch, bank_background
from export.teaching.beeps import scoring
from export.teaching.beeps.line_spectrum import RATE
from export.teaching.beeps.pattern import Beep
from export.teaching.beeps.template import SPEC, Template
from export.teaching.beeps.trials import Trial, other_cadences, trials
from export.teaching.judging import MARGIN_SHARE, Budget
from export.teaching.threshold import Tail
from stream.features.frontend import extract

Array = NDArray[np.float32]
WITHOUT = ("beep", "alarm")  # the bank's own, which may be this one
_CLEAR_DB = 10.0  # above what is behind it
_MARGIN_FROM = 0.25  # the quarter of trials at 10 dB that scores least
_STRETCH_SECONDS = 60.0
_PAUSE_SECONDS, _LEVEL_DBFS, _FLOOR_DBFS = (0.3, 3.0), (-40.0, -8.0), (-80.0, -50.0)


BANK = Amount(voices=10, things=8, music=60, noises=120, silences=6)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is heard.

    Attributes:
        bank: of the bundled negatives.
        look_alikes: minutes of single beeps, telephones, sirens, bells, birds and the like, made by rule.
        trials: of each background and ratio.
        others: of each other cadence, over each background.
    """

    bank: Amount = BANK
    look_alikes: int = 25
    trials: int = 12
    others: int = 3


@dataclass(frozen=True, eq=False, slots=True)
class Checked:
    """What is known of a detector.

    Attributes:
        threshold: of its score.
        found: share of trials in time, by (background, dB).
        trials: how many of each.
        taken: share of trials of other cadences of the same pitch that are taken for it.
        other_trials: how many.
        tail: of the scores in the background that false alarms are counted in.
        own: the background is the user's own recordings.
        names: what in the background is as good as it, the user's own first, and keeps the threshold high.
    """

    threshold: float
    found: dict[tuple[str, float], float]
    trials: int
    taken: float
    other_trials: int
    tail: Tail
    own: bool
    names: tuple[str, ...]

    @property
    def share_found(self) -> float:
        """Over all backgrounds, 10 dB above them."""
        return float(np.mean([share for (_, at), share in self.found.items() if at == _CLEAR_DB]))


def check(
    beep: Beep,
    template: Template,
    quiet: Iterable[Stretch],
    budget: Budget,
    extent: Extent,
    label: str,
    seed: int = 0,
) -> Checked:
    """Choose the threshold and see what it is worth.

    It leaves as many false alarms as the budget says in the bundled negatives and in the user's own recordings, or
    fewer; it is never below ``scoring.LEAST``, so that cadences that are nearly the same stay out.
    """
    rng = np.random.default_rng((seed, 23))
    without = (*WITHOUT, label)
    own = _heard(quiet, template)
    bank = bank_background("validation", RATE, extent.bank, without=without, seed=seed + 1)
    dense = _heard([*bank, *(_look_alikes(rng) for _ in range(extent.look_alikes))], template)
    tails = [Tail.of(heard.scores, SPEC.frame_rate) for heard in (dense, own) if heard.scores]
    behind = Negatives("test", RATE, without, loops=2)
    mine = [(trial, _best(trial, template)) for trial in trials(beep, behind, extent.trials, rng)]
    budgets = (budget.bank, budget.own)[: len(tails)]
    lowest = max(scoring.LEAST, *(tail.threshold(rate) for tail, rate in zip(tails, budgets, strict=True)))
    clear = float(np.quantile([score for trial, score in mine if trial.ratio == _CLEAR_DB], _MARGIN_FROM))
    threshold = lowest + MARGIN_SHARE * max(0.0, clear - lowest)
    cells = sorted({(trial.kind, trial.ratio) for trial, _ in mine})
    others = [
        _best(trial, template) >= threshold
        for other in other_cadences(beep)
        for trial in trials(beep, behind, extent.others, rng, sounds=other, ratios=(_CLEAR_DB,))
    ]
    return Checked(
        threshold=threshold,
        found={
            cell: float(np.mean([s >= threshold for t, s in mine if (t.kind, t.ratio) == cell]))
            for cell in cells
        },
        trials=extent.trials,
        taken=float(np.mean(others)),
        other_trials=len(others),
        tail=tails[-1],
        own=len(tails) > 1,
        names=(*sorted(own.names), *sorted(dense.names)),
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Heard:
    """Scores of stretches, (T,) each, and the names of what in them is as good as the beep."""

    scores: list[Array]
    names: set[str]


def _heard(stretches: Iterable[Stretch], template: Template) -> _Heard:
    """What the detector makes of stretches, one after the other: the user's own may be hours."""
    found, names = [], set()
    for stretch in stretches:
        values = scoring.scores(extract(stretch.samples, SPEC), template)
        if len(values):
            found.append(values)
        names |= {
            stretch.name_at(int(frame) * SPEC.hop_length) for frame in np.flatnonzero(values >= scoring.LEAST)
        }
    return _Heard(found, names)


def _best(trial: Trial, template: Template) -> float:
    """The highest score by the time that the beep is to be found."""
    found = scoring.scores(extract(trial.samples, SPEC), template)
    frames = int(((trial.begin + trial.within) * RATE - SPEC.span) / SPEC.hop_length) + 1
    return float(found[:frames].max(initial=scoring.NEVER))


def _look_alikes(rng: np.random.Generator) -> Stretch:
    """A minute of sounds that are near to an alarm's and are none, with pauses, on a microphone's noise."""
    parts: list[Array] = []
    while sum(map(len, parts)) < _STRETCH_SECONDS * RATE:
        level = np.float32(10 ** (rng.uniform(*_LEVEL_DBFS) / 20))
        pause = np.zeros(round(rng.uniform(*_PAUSE_SECONDS) * RATE), np.float32)
        parts += [look_alike(rng, RATE) * level, pause]
    whole = np.concatenate(parts)
    whole += rng.normal(0, 10 ** (rng.uniform(*_FLOOR_DBFS) / 20), len(whole)).astype(np.float32)
    return Stretch(np.clip(whole, -1, 1), (len(whole),), ("a sound like an alarm's",))
