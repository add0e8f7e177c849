"""Polyphonic sound detection score, without a choice of threshold.

After Bilen, Ferroni, Tuveri, Azcarreta and Krstulovic, "A framework for the robust evaluation of sound event
detection", ICASSP 2020. Thresholds are the quantiles of each class's scores, not every score there is; with 200
of them the area comes out up to 0.01 below the exact one (0.787 for 0.794, 0.984 for 0.984 on a random set, the
exact one by sed_scores_eval).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.evaluation.listen import Heard

MAX_FALSE_ALARMS = 100.0  # per hour, the right edge of the area
THRESHOLDS = 200


@dataclass(frozen=True, slots=True)
class Scenario:
    """What counts as found.

    Attributes:
        detection: share of a detection that true events of its class must cover.
        truth: share of a true event that such detections must cover.
        cross: share of a wrong detection that another class's events must cover to make it a confusion.
        confusion_cost, spread_cost: weights of confusions, and of the spread between classes.
    """

    detection: float
    truth: float
    cross: float
    confusion_cost: float
    spread_cost: float


PSDS1 = Scenario(0.7, 0.7, 0.3, 0.0, 1.0)  # reacts quickly
PSDS2 = Scenario(0.1, 0.1, 0.3, 0.5, 1.0)  # confuses little

_Spans = NDArray[np.float64]  # (k, 2) onset, offset


def psds(heard: Sequence[Heard], labels: tuple[str, ...], scenario: Scenario) -> float:
    """The score, 0 to 1. Classes with no true event are left out."""
    hours = sum(each.duration for each in heard) / 3600
    truth = {label: [_true(each, label) for each in heard] for label in labels}
    present = [label for label in labels if any(len(spans) for spans in truth[label])]
    if not present or hours <= 0:
        return 0.0
    grid = np.linspace(0.0, MAX_FALSE_ALARMS, 2001)
    curves = []
    for label in present:
        others = {other: truth[other] for other in present if other != label}
        points = _points(heard, labels.index(label), truth[label], others, scenario, hours)
        curves.append(_best_below(points, grid))
    ratios = np.array(curves)
    effective = np.maximum(ratios.mean(axis=0) - scenario.spread_cost * ratios.std(axis=0), 0.0)
    return float(np.trapezoid(effective, grid) / MAX_FALSE_ALARMS)


def _true(heard: Heard, label: str) -> _Spans:
    """True spans of one class, overlapping ones joined."""
    spans = sorted((e.onset, e.offset) for e in heard.recording.events or () if e.label == label)
    joined: list[list[float]] = []
    for onset, offset in spans:
        if joined and onset <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], offset)
        else:
            joined.append([onset, offset])
    return np.array(joined).reshape(-1, 2)


def _points(
    heard: Sequence[Heard],
    column: int,
    truth: Sequence[_Spans],
    others: dict[str, list[_Spans]],
    scenario: Scenario,
    hours: float,
) -> list[tuple[float, float]]:
    """(effective false alarms per hour, share of true events found) at each threshold."""
    total = sum(len(spans) for spans in truth)
    scores = np.concatenate([each.probs[:, column] for each in heard])
    thresholds = np.unique(np.quantile(scores, np.linspace(0, 1, THRESHOLDS)))
    other_hours = {o: sum(float((s[:, 1] - s[:, 0]).sum()) for s in t) / 3600 for o, t in others.items()}
    points = []
    for threshold in thresholds:
        found = alarms = 0
        confused = dict.fromkeys(others, 0)
        for number, each in enumerate(heard):
            spans = _spans(each, column, float(threshold))
            length = spans[:, 1] - spans[:, 0]
            good = _covered(spans, truth[number]) >= scenario.detection * length
            found += int(
                (
                    _covered(truth[number], spans[good])
                    >= scenario.truth * (truth[number][:, 1] - truth[number][:, 0])
                ).sum()
            )
            wrong = spans[~good]
            alarms += len(wrong)
            for other, spans_of in others.items():
                share = _covered(wrong, spans_of[number]) >= scenario.cross * (wrong[:, 1] - wrong[:, 0])
                confused[other] += int(share.sum())
        rate = alarms / hours
        if others:
            rates = [n / max(other_hours[o], 1e-9) for o, n in confused.items()]
            rate += scenario.confusion_cost * float(np.mean(rates))
        points.append((rate, found / total))
    return points


def _spans(heard: Heard, column: int, threshold: float) -> _Spans:
    """Runs of rows at or above a threshold."""
    if not len(heard.seconds):
        return np.empty((0, 2))
    on = np.concatenate(([False], heard.probs[:, column] >= threshold, [False]))
    edges = np.flatnonzero(on[1:] != on[:-1]).reshape(-1, 2)
    step = float(np.median(np.diff(heard.seconds))) if len(heard.seconds) > 1 else 0.01
    return np.stack([heard.seconds[edges[:, 0]], heard.seconds[edges[:, 1] - 1] + step], axis=1) - step / 2


def _covered(spans: _Spans, by: _Spans) -> NDArray[np.float64]:
    """Seconds of each span that lie within ``by`` (whose spans do not overlap each other)."""
    if not len(by) or not len(spans):
        return np.zeros(len(spans))
    low = np.maximum(spans[:, None, 0], by[None, :, 0])
    high = np.minimum(spans[:, None, 1], by[None, :, 1])
    return np.maximum(high - low, 0).sum(axis=1)


def _best_below(points: Sequence[tuple[float, float]], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best share found at or below each false-alarm rate."""
    ordered = sorted(points)
    rates = np.array([rate for rate, _ in ordered])
    best = np.maximum.accumulate([share for _, share in ordered])
    at = np.searchsorted(rates, grid, side="right") - 1
    return np.where(at >= 0, best[np.maximum(at, 0)], 0.0)
