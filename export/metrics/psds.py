"""Polyphonic sound detection score: an area under detection curves, without a choice of threshold.

After Bilen, Ferroni, Tuveri, Azcarreta and Krstulovic, "A framework for the robust evaluation of sound event
detection", ICASSP 2020, with the names of that paper.

Thresholds are quantiles of each class's scores, most of them in the part that matters, not every score there is. In
the cases of tests/export/test_psds.py the result is within 0.001 of the one over all thresholds, computed by brute
force; ``sed_scores_eval`` 0.0.4 equals that brute force to four digits. It is not used here because it needs numba,
librosa, pandas and, to install, a C compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.metrics.prediction import Prediction

MAX_FALSE_ALARMS_PER_HOUR = 100.0  # the right edge of the area
COARSE_THRESHOLDS = 100  # quantiles of all scores
FINE_THRESHOLDS = 300  # quantiles of the scores from the lowest threshold with few enough false alarms on
GRID_POINTS = 2001  # of the false-alarm axis
ROUNDING_SECONDS = 1e-9  # a span that is covered exactly as far as asked for counts


@dataclass(frozen=True, slots=True)
class PsdsParameters:
    """What counts as found, and what confusions and differences between classes cost.

    Attributes:
        dtc: detection tolerance: share of a detection that true events of its class must cover.
        gtc: ground truth intersection: share of a true event that such detections must cover.
        cttc: cross-trigger tolerance: share of a false detection that another class's events must cover to make it
            a cross-trigger (a confusion).
        alpha_ct: cost of cross-triggers.
        alpha_st: cost of the standard deviation between classes.
    """

    dtc: float
    gtc: float
    cttc: float
    alpha_ct: float
    alpha_st: float


# The two scenarios of DCASE challenges, task 4.
PSDS1 = PsdsParameters(dtc=0.7, gtc=0.7, cttc=0.3, alpha_ct=0.0, alpha_st=1.0)  # reacts quickly
PSDS2 = PsdsParameters(dtc=0.1, gtc=0.1, cttc=0.3, alpha_ct=0.5, alpha_st=1.0)  # confuses few classes

_Spans = NDArray[np.float64]  # (k, 2) onset, offset
_Curve = Sequence[tuple[float, float]]  # (effective false alarms an hour, share of true events found)


def psds(predictions: Sequence[Prediction], labels: tuple[str, ...], parameters: PsdsParameters) -> float:
    """The score, 0 to 1. Classes without a true event are left out."""
    hours = sum(each.duration for each in predictions) / 3600
    truth = {label: [_true_spans(each, label) for each in predictions] for label in labels}
    present = [label for label in labels if any(len(spans) for spans in truth[label])]
    if not present or hours <= 0:
        return 0.0
    curves = []
    for label in present:
        others = {other: truth[other] for other in present if other != label}
        curves.append(_curve(predictions, labels.index(label), truth[label], others, parameters, hours))
    return area(curves, parameters.alpha_st)


def area(curves: Sequence[_Curve], alpha_st: float) -> float:
    """The area under the mean over classes less ``alpha_st`` standard deviations, 0 to 1."""
    grid = np.linspace(0.0, MAX_FALSE_ALARMS_PER_HOUR, GRID_POINTS)
    found = np.array([_best_at_or_below(curve, grid) for curve in curves])
    effective = np.maximum(found.mean(axis=0) - alpha_st * found.std(axis=0), 0.0)
    return float(np.trapezoid(effective, grid) / MAX_FALSE_ALARMS_PER_HOUR)


def _true_spans(prediction: Prediction, label: str) -> _Spans:
    """True spans of one class, overlapping ones joined."""
    spans = sorted((e.onset, e.offset) for e in prediction.reference or () if e.label == label)
    joined: list[list[float]] = []
    for onset, offset in spans:
        if joined and onset <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], offset)
        else:
            joined.append([onset, offset])
    return np.array(joined).reshape(-1, 2)


def _curve(
    predictions: Sequence[Prediction],
    column: int,
    truth: Sequence[_Spans],
    others: dict[str, list[_Spans]],
    parameters: PsdsParameters,
    hours: float,
) -> _Curve:
    """A point for each of the thresholds of one class: coarse ones, then fine ones where the area lies."""
    scores = np.concatenate([each.probs[:, column] for each in predictions])

    def points(among: NDArray[np.float32], count: int) -> list[tuple[float, float, float]]:
        chosen = np.unique(np.quantile(among, np.linspace(0, 1, count), method="nearest"))
        return [
            (
                *_point(predictions, column, float(threshold), truth, others, parameters, hours),
                float(threshold),
            )
            for threshold in chosen
        ]

    coarse = points(scores, COARSE_THRESHOLDS)
    useful = min(
        (threshold for rate, _, threshold in coarse if rate <= MAX_FALSE_ALARMS_PER_HOUR), default=-1.0
    )
    below = max((threshold for _, _, threshold in coarse if threshold < useful), default=-1.0)
    fine = points(np.unique(scores[scores > below]), FINE_THRESHOLDS)
    return [(rate, share) for rate, share, _ in (*coarse, *fine)]


def _point(
    predictions: Sequence[Prediction],
    column: int,
    threshold: float,
    truth: Sequence[_Spans],
    others: dict[str, list[_Spans]],
    parameters: PsdsParameters,
    hours: float,
) -> tuple[float, float]:
    """Effective false alarms an hour and share of true events found at one threshold of one class."""
    found = total = false_alarms = 0
    cross_triggers = dict.fromkeys(others, 0)
    for number, each in enumerate(predictions):
        spans, true = _spans(each, column, threshold), truth[number]
        good = _covered(spans, true) >= parameters.dtc * (spans[:, 1] - spans[:, 0]) - ROUNDING_SECONDS
        enough = parameters.gtc * (true[:, 1] - true[:, 0]) - ROUNDING_SECONDS
        found += int((_covered(true, spans[good]) >= enough).sum())
        total += len(true)
        wrong = spans[~good]
        false_alarms += len(wrong)
        for other, spans_of in others.items():
            enough = parameters.cttc * (wrong[:, 1] - wrong[:, 0]) - ROUNDING_SECONDS
            cross_triggers[other] += int((_covered(wrong, spans_of[number]) >= enough).sum())
    rate = false_alarms / hours
    if others:
        seconds = {
            o: sum(float((s[:, 1] - s[:, 0]).sum()) for s in spans_of) for o, spans_of in others.items()
        }
        rates = [n / max(seconds[o] / 3600, 1e-9) for o, n in cross_triggers.items()]
        rate += parameters.alpha_ct * float(np.mean(rates))
    return rate, found / total


def _spans(prediction: Prediction, column: int, threshold: float) -> _Spans:
    """Runs of rows at or above a threshold."""
    seconds = prediction.seconds
    if not len(seconds):
        return np.empty((0, 2))
    on = np.concatenate(([False], prediction.probs[:, column] >= threshold, [False]))
    edges = np.flatnonzero(on[1:] != on[:-1]).reshape(-1, 2)
    step = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.01
    spans: _Spans = np.stack([seconds[edges[:, 0]], seconds[edges[:, 1] - 1] + step], axis=1) - step / 2
    return spans


def _covered(spans: _Spans, by: _Spans) -> NDArray[np.float64]:
    """Seconds of each span that lie within ``by`` (whose spans do not overlap each other)."""
    if not len(by) or not len(spans):
        return np.zeros(len(spans))
    low = np.maximum(spans[:, None, 0], by[None, :, 0])
    high = np.minimum(spans[:, None, 1], by[None, :, 1])
    covered: NDArray[np.float64] = np.maximum(high - low, 0).sum(axis=1)
    return covered


def _best_at_or_below(points: _Curve, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """The best share found at or below each false-alarm rate."""
    ordered = sorted(points)
    rates = np.array([rate for rate, _ in ordered])
    best = np.maximum.accumulate([share for _, share in ordered])
    at = np.searchsorted(rates, grid, side="right") - 1
    return np.where(at >= 0, best[np.maximum(at, 0)], 0.0)
