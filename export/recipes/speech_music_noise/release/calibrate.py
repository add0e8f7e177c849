"""Choose the thresholds and detector rules that go into the card, on both validations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from export.models import FrameClassifier
from export.recipes.speech_music_noise.training.streams import Trial
from export.recipes.speech_music_noise.training.figures import STEPS, Active, Probs, detect, event_figures, f1, on_grid
from export.recipes.speech_music_noise.training.network import scores
from export.recipes.speech_music_noise.sources.rules import KINDS, Kind
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.features.spec import MfccSpec

# Rules that are tried for each class.
CONFIRM: dict[Kind, tuple[float, ...]] = {
    "speech": (0.0, 0.8, 0.9, 0.93, 0.95, 0.96, 0.965, 0.97, 0.98), "music": (0.0, 0.9, 0.95),
    "noise": (0.0, 0.8, 0.9),
}  # fmt: skip
MIN_ON: dict[Kind, tuple[float, ...]] = {
    "speech": (0.04, 0.06, 0.1, 0.14, 0.2), "music": (0.2, 0.5), "noise": (0.1, 0.2),
}  # fmt: skip
SMOOTHING: dict[Kind, tuple[float, ...]] = {"speech": (0.02, 0.04, 0.1), "music": (0.2,), "noise": (0.1,)}
MIN_OFF: dict[Kind, float] = {"speech": 0.3, "music": 0.5, "noise": 0.3}
FALSE: dict[Kind, float] = {"speech": 1.0, "music": 10.0, "noise": 10.0}  # events an hour that are allowed
DELAY: dict[Kind, float] = {"speech": 0.15, "music": 1.0, "noise": 1.0}  # median onset delay, s, likewise
MISSED = 0.25  # share of stretches, likewise


@dataclass(frozen=True)
class Tried:
    """A rule and what it gives: false events an hour, missed share of stretches, median onset delay in seconds."""

    rule: ClassRule
    false: float
    missed: float
    delay: float


@dataclass(frozen=True, eq=False)
class Heard:
    """Frame scores (S, T, 3) of a trial's two parts and their truth (S, n, 3) every 10 ms; rows that answers lag."""

    mixed: Probs
    active: Active
    quiet: Probs
    quiet_active: Active
    delay: int = 0

    @classmethod
    def of(cls, model: FrameClassifier, trial: Trial, delay: int) -> Heard:
        return cls(
            scores(model, trial.mixed),
            trial.mixed.active.astype(bool),
            scores(model, trial.quiet),
            trial.quiet.active.astype(bool),
            delay,
        )


def calibrate(plain: Heard, hard: Heard, spec: MfccSpec) -> DetectorSpec:
    """Rules by class: thresholds for the best frame F1 on both validations, the rest for few false events on
    the plain one."""
    best = thresholds((plain, hard), spec)
    return DetectorSpec(classes={kind: choose(tried(kind, best[kind], plain, spec), kind) for kind in KINDS})


def thresholds(trials: Sequence[Heard], spec: MfccSpec) -> dict[Kind, float]:
    """By class, the threshold of the best frame F1, on average over the trials."""
    best: dict[Kind, float] = {}
    for column, kind in enumerate(KINDS):
        found = np.zeros(len(STEPS))
        for trial in trials:
            score = on_grid(trial.mixed, trial.active.shape[1], spec, trial.delay)[..., column]
            found += [f1(score >= step, trial.active[..., column]) for step in STEPS]
        best[kind] = round(float(STEPS[np.argmax(found)]), 2)
    return best


def tried(kind: Kind, threshold: float, trial: Heard, spec: MfccSpec) -> list[Tried]:
    """Every rule with that threshold. Speech is falsely heard in the quiet part, the others in the mixed one."""

    def events(rule: ClassRule, probs: Probs, active: Active) -> dict[str, float]:
        rules = DetectorSpec(classes={kind: rule})
        return event_figures([detect(stream, rules, spec, trial.delay) for stream in probs], active, kind)

    out = []
    for rule in _candidates(kind, threshold):
        figures = events(rule, trial.mixed, trial.active)
        false = events(rule, trial.quiet, trial.quiet_active) if kind == "speech" else figures
        out.append(
            Tried(rule, false["false_per_hour"], figures["missed_share"], figures["onset_delay_median_s"])
        )
    return out


def choose(rules: Sequence[Tried], kind: Kind) -> ClassRule:
    """The quickest rule within all allowances; else of those quick and keen enough the one with fewest false events."""
    keen = [each for each in rules if each.delay < DELAY[kind] and each.missed < MISSED] or list(rules)
    rare = [each for each in keen if each.false < FALSE[kind]]
    if rare:
        return min(rare, key=lambda each: each.delay).rule
    return min(keen, key=lambda each: (each.false, each.delay)).rule


def _candidates(kind: Kind, threshold: float) -> Iterable[ClassRule]:
    for confirm, min_on, smoothing in product(CONFIRM[kind], MIN_ON[kind], SMOOTHING[kind]):
        yield ClassRule(
            threshold=threshold,
            release=round(0.7 * threshold, 3),
            confirm=confirm if confirm > threshold else None,
            min_on=min_on,
            min_off=MIN_OFF[kind],
            smoothing=smoothing,
        )
