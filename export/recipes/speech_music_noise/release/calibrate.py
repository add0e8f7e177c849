"""Choose the thresholds and detector rules that go into the card, on both validations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from export.metrics import event_figures, f1_score
from export.metrics.frames import CANDIDATE_THRESHOLDS
from export.recipes.speech_music_noise.sources.rules import KINDS, Kind
from export.recipes.speech_music_noise.training.predictions import Probs, predictions, stream_cells
from export.recipes.speech_music_noise.training.streams import ComposedStreams, ValidationStreams
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.features.spec import FeatureSpec

# Rules that are tried for each class; times in seconds.
PEAK_THRESHOLDS: dict[Kind, tuple[float, ...]] = {
    "speech": (0.0, 0.8, 0.9, 0.93, 0.95, 0.96, 0.965, 0.97, 0.98), "music": (0.0, 0.9, 0.95),
    "noise": (0.0, 0.8, 0.9),
}  # fmt: skip
MIN_ON_SECONDS: dict[Kind, tuple[float, ...]] = {
    "speech": (0.04, 0.06, 0.1, 0.14, 0.2), "music": (0.2, 0.5), "noise": (0.1, 0.2),
}  # fmt: skip
SMOOTHING_SECONDS: dict[Kind, tuple[float, ...]] = {
    "speech": (0.02, 0.04, 0.1), "music": (0.2,), "noise": (0.1,),
}  # fmt: skip
MIN_OFF_SECONDS: dict[Kind, float] = {"speech": 0.3, "music": 0.5, "noise": 0.3}
# What is allowed.
MAX_FALSE_ALARMS_PER_HOUR: dict[Kind, float] = {"speech": 1.0, "music": 10.0, "noise": 10.0}
MAX_MEDIAN_DELAY_SECONDS: dict[Kind, float] = {"speech": 0.15, "music": 1.0, "noise": 1.0}
MAX_MISSED_SHARE = 0.25
RELEASE_SHARE = 0.7  # of the threshold


@dataclass(frozen=True)
class RuleFigures:
    """A rule and what it gives: false alarms an hour, missed share of events, median delay in seconds."""

    rule: ClassRule
    false_alarms: float
    missed: float
    delay: float


@dataclass(frozen=True, eq=False)
class ScoredValidation:
    """Probabilities (S, T, 3) for the two parts of a validation, and rows by which they lag."""

    data: ValidationStreams
    mixed: Probs
    no_speech: Probs
    delay: int = 0


def calibrate(
    plain: Sequence[ScoredValidation], hard: Sequence[ScoredValidation], spec: FeatureSpec
) -> DetectorSpec:
    """Rules by class: thresholds for the best frame F1 on all draws of both validations, the rest for few false alarms
    on the plain ones."""
    best = best_thresholds((*plain, *hard), spec)
    classes: dict[str, ClassRule] = {}
    for kind in KINDS:
        draws = [figures_of_rules(kind, best[kind], each, spec) for each in plain]
        classes[kind] = choose([_mean_figures(rules) for rules in zip(*draws, strict=True)], kind)
    return DetectorSpec(classes=classes)


def _mean_figures(draws: Sequence[RuleFigures]) -> RuleFigures:
    """One rule on several draws; the draws are of equal length."""
    return RuleFigures(
        draws[0].rule,
        float(np.mean([each.false_alarms for each in draws])),
        float(np.mean([each.missed for each in draws])),
        float(np.mean([each.delay for each in draws])),
    )


def best_thresholds(validations: Sequence[ScoredValidation], spec: FeatureSpec) -> dict[Kind, float]:
    """By class, the threshold of the best frame F1, on average over the validations."""
    best: dict[Kind, float] = {}
    for column, kind in enumerate(KINDS):
        found = np.zeros(len(CANDIDATE_THRESHOLDS))
        for each in validations:
            active = each.data.mixed.active.astype(bool)
            score = stream_cells(each.mixed, active.shape[1], spec, each.delay)[..., column]
            found += [f1_score(score >= step, active[..., column]) for step in CANDIDATE_THRESHOLDS]
        best[kind] = round(float(CANDIDATE_THRESHOLDS[np.argmax(found)]), 2)
    return best


def figures_of_rules(
    kind: Kind, threshold: float, validation: ScoredValidation, spec: FeatureSpec
) -> list[RuleFigures]:
    """Every rule with that threshold. False alarms of speech are counted in the part without speech, those of the
    others in the mixed one."""

    def events(rule: ClassRule, probs: Probs, data: ComposedStreams) -> dict[str, Any]:
        rules = DetectorSpec(classes={kind: rule})
        found = event_figures(predictions(probs, data, rules, spec, validation.delay), (kind,))
        figures: dict[str, Any] = found["classes"][kind]
        return figures

    out = []
    for rule in _candidates(kind, threshold):
        mixed = events(rule, validation.mixed, validation.data.mixed)
        where = mixed if kind != "speech" else events(rule, validation.no_speech, validation.data.no_speech)
        delay = mixed["median_delay_seconds"]
        out.append(
            RuleFigures(
                rule,
                where["false_alarms_per_hour"],
                mixed["missed_share"],
                math.nan if delay is None else delay,
            )
        )
    return out


def choose(rules: Sequence[RuleFigures], kind: Kind) -> ClassRule:
    """The quickest rule within all limits; else, of those quick enough, the one with fewest false alarms."""
    sensitive = [
        each
        for each in rules
        if each.delay < MAX_MEDIAN_DELAY_SECONDS[kind] and each.missed < MAX_MISSED_SHARE
    ] or list(rules)
    rare = [each for each in sensitive if each.false_alarms < MAX_FALSE_ALARMS_PER_HOUR[kind]]
    if rare:
        return min(rare, key=lambda each: each.delay).rule
    return min(sensitive, key=lambda each: (each.false_alarms, each.delay)).rule


def _candidates(kind: Kind, threshold: float) -> Iterable[ClassRule]:
    for peak, min_on, smoothing in product(
        PEAK_THRESHOLDS[kind], MIN_ON_SECONDS[kind], SMOOTHING_SECONDS[kind]
    ):
        yield ClassRule(
            threshold=threshold,
            release=round(RELEASE_SHARE * threshold, 3),
            peak_threshold=peak if peak > threshold else None,
            min_on=min_on,
            min_off=MIN_OFF_SECONDS[kind],
            smoothing=smoothing,
        )
