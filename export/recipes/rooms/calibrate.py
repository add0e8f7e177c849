"""Choose the thresholds and detector rules that go into the card, on validation streams."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

import numpy as np

from export.recipes.rooms.corpora import KINDS, Kind
from export.recipes.rooms.figures import Active, Probs, best_threshold, detect, event_figures
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.features.spec import FeatureSpec

# Tried in this order for each class: the quickest rule that keeps false events rare is taken.
MIN_ON: dict[Kind, tuple[float, ...]] = {
    "speech": (0.04, 0.06, 0.1, 0.14, 0.2),
    "music": (0.2, 0.5),
    "noise": (0.1, 0.2),
}
SMOOTHING: dict[Kind, tuple[float, ...]] = {"speech": (0.04, 0.1), "music": (0.2,), "noise": (0.1,)}
MIN_OFF: dict[Kind, float] = {"speech": 0.3, "music": 0.5, "noise": 0.3}
# F1 given away for a higher threshold: false speech costs more than a missed syllable.
SLACK: dict[Kind, float] = {"speech": 0.004}
ALLOWED: dict[Kind, float] = {"speech": 1.0, "music": 20.0, "noise": 20.0}  # false events an hour


def calibrate(
    probs: Probs, active: Active, graded: Probs, quiet: Probs, quiet_active: Active, spec: FeatureSpec
) -> DetectorSpec:
    """Rules by class: the threshold is the highest of (nearly) the best frame F1; the times keep false events rare.

    Args:
        probs: (S, T, 3) frame scores of validation streams.
        active: (S, n, 3) truth every 10 ms.
        graded: (S, n, 3) the same scores on the 10 ms grid.
        quiet, quiet_active: frame scores and truth of streams in which nobody speaks.
    """
    rules = {}
    for column, kind in enumerate(KINDS):
        slack = SLACK.get(kind, 0.0)
        threshold = best_threshold(graded[:, :, column].ravel(), active[:, :, column].ravel(), slack)[0]
        where, truth = (quiet, quiet_active) if kind == "speech" else (probs, active)
        rules[kind] = _first_good(_candidates(kind, threshold), kind, where, truth, spec)
    return DetectorSpec(classes=rules)


def _candidates(kind: Kind, threshold: float) -> Iterable[ClassRule]:
    pairs = sorted(product(MIN_ON[kind], SMOOTHING[kind]), key=lambda pair: pair[0] + pair[1] / 2)
    for min_on, smoothing in pairs:
        yield ClassRule(
            threshold=threshold,
            release=round(0.7 * threshold, 3),
            min_on=min_on,
            min_off=MIN_OFF[kind],
            smoothing=smoothing,
        )


def _first_good(
    rules: Iterable[ClassRule], kind: Kind, probs: Probs, active: Active, spec: FeatureSpec
) -> ClassRule:
    """The first rule within the allowance; if none is, the one with the fewest false events."""
    fewest: tuple[float, ClassRule] | None = None
    for rule in rules:
        events = [detect(stream, DetectorSpec(classes={kind: rule}), spec) for stream in np.asarray(probs)]
        false = event_figures(events, active, kind)["false_per_hour"]
        if fewest is None or false < fewest[0]:
            fewest = (false, rule)
        if false < ALLOWED[kind]:
            break
    assert fewest is not None  # there is always a candidate
    return fewest[1]
