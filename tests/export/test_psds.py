"""PSDS: its ends, the cost of each of its parameters, and its error against a brute-force computation."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from export.data.recording import Interval
from export.metrics import PSDS1, PSDS2, Prediction, PsdsParameters, psds
from export.metrics.psds import MAX_FALSE_ALARMS_PER_HOUR
from tests.support.extras import needs

needs("sklearn", "scipy")

LABELS = ("a", "b")
Spans = list[tuple[float, float]]


def prediction(probs: np.ndarray, reference: list[Interval]) -> Prediction:
    """Of rows every 10 ms, each about its own 10 ms."""
    seconds = 0.005 + 0.01 * np.arange(len(probs))
    return Prediction((), tuple(reference), probs.astype(np.float32), seconds, (), len(probs) / 100)


def scene(rng: np.random.Generator, rows: int = 1000) -> tuple[np.ndarray, list[Interval]]:
    """(rows, 2) float64, 1 where the class is on for two seconds, and the same as labels."""
    probs, truth = np.zeros((rows, 2)), []
    for c, label in enumerate(LABELS):
        at = int(rng.integers(50, rows // 2))
        truth.append(Interval(label, at / 100, (at + 200) / 100))
        probs[at : at + 200, c] = 1.0
    return probs, truth


def noise(rng: np.random.Generator, rows: int = 1000) -> np.ndarray:
    return np.repeat(rng.random((rows // 25, 2)), 25, axis=0)


def test_a_perfect_model_has_one_and_noise_little() -> None:
    rng = np.random.default_rng(0)
    perfect, noisy, blind = [], [], []
    for _ in range(6):
        probs, truth = scene(rng)
        perfect.append(prediction(probs, truth))
        mixed = np.clip(probs * rng.uniform(0.3, 1, (1, 2)) + noise(rng) * 0.6, 0, 1)
        noisy.append(prediction(mixed, truth))
        blind.append(prediction(noise(rng), truth))
    assert psds(perfect, LABELS, PSDS1) > 0.99
    assert psds(perfect, LABELS, PSDS2) > 0.99
    assert psds(blind, LABELS, PSDS1) < psds(noisy, LABELS, PSDS1) < psds(perfect, LABELS, PSDS1)


@pytest.mark.parametrize(("alpha_st", "expected"), [(0.0, 0.5), (0.5, 0.25), (1.0, 0.0)])
def test_what_one_class_gains_over_the_other_is_charged(alpha_st: float, expected: float) -> None:
    """One class is found without a false alarm, the other never: mean 0.5, standard deviation 0.5."""
    rows = np.zeros((1000, 2))
    rows[200:400, 0] = 1.0
    one = prediction(rows, [Interval("a", 2.0, 4.0), Interval("b", 6.0, 8.0)])
    assert psds([one], LABELS, replace(PSDS1, alpha_st=alpha_st)) == pytest.approx(expected, abs=1e-6)


def test_what_is_taken_for_another_class_is_charged() -> None:
    """Class a is also predicted where b is: at full cost the confusion counts per hour of b besides."""
    predictions = []
    for turn in range(4):
        rows = np.zeros((30_000, 2))
        rows[1000:1200] = (0.9, 0.0)
        rows[3000:3200] = (0.95 if turn else 0.0, 1.0)  # in three of four, a more surely than where it is
        predictions.append(prediction(rows, [Interval("a", 10, 12), Interval("b", 30, 32)]))
    free = psds(predictions, LABELS, replace(PSDS2, alpha_ct=0.0, alpha_st=0.0))
    charged = psds(predictions, LABELS, replace(PSDS2, alpha_ct=0.1, alpha_st=0.0))
    hours = 4 * 300 / 3600
    false_alarms = 3 / hours  # of a, before its first true event is found
    assert free == pytest.approx(1 - false_alarms / 100 / 2, abs=1e-3)
    assert charged == pytest.approx(
        0.5, abs=1e-3
    )  # 3 in 8 s of b, 1 350 an hour, a tenth of it is beyond 100


@pytest.mark.parametrize("parameters", [PSDS1, PSDS2], ids=["psds1", "psds2"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_error_against_all_thresholds_is_what_the_docstring_says(
    parameters: PsdsParameters, seed: int
) -> None:
    predictions = noisy_predictions(seed, rows=1000 if parameters is PSDS1 else 3000)
    exact = brute_force(predictions, parameters)
    assert 0.02 < exact < 0.98, "a case in which thresholds matter"
    assert psds(predictions, LABELS, parameters) == pytest.approx(exact, abs=1e-3)


def noisy_predictions(seed: int, rows: int) -> list[Prediction]:
    """True events at levels that differ, over noise that is now and then as strong."""
    rng = np.random.default_rng(seed)
    predictions = []
    for _ in range(20):
        probs, truth = scene(rng, rows)
        slow = np.apply_along_axis(
            np.convolve, 0, rng.standard_normal((rows + 99, 2)), np.ones(100) / 10, "valid"
        )
        scores = 1 / (1 + np.exp(3 - rng.uniform(1, 6, (1, 2)) * probs - 1.2 * slow))
        predictions.append(prediction(np.round(scores, 3), truth))
    return predictions


def brute_force(predictions: list[Prediction], parameters: PsdsParameters) -> float:
    """By the definitions, over every score there is, with loops and intervals."""
    hours = sum(p.duration for p in predictions) / 3600
    curves = []
    for column, label in enumerate(LABELS):
        points = []
        for threshold in np.unique(np.concatenate([p.probs[:, column] for p in predictions])):
            found = total = false_alarms = cross_triggers = 0
            other_seconds = 0.0
            for p in predictions:
                truth = [(e.onset, e.offset) for e in p.reference or () if e.label == label]
                other = [(e.onset, e.offset) for e in p.reference or () if e.label != label]
                other_seconds += sum(b - a for a, b in other)
                detected = runs(p.probs[:, column] >= threshold)
                good = [d for d in detected if within(d, truth) >= parameters.dtc * (d[1] - d[0]) - 1e-9]
                wrong = [d for d in detected if d not in good]
                found += sum(within(t, good) >= parameters.gtc * (t[1] - t[0]) - 1e-9 for t in truth)
                total += len(truth)
                false_alarms += len(wrong)
                cross_triggers += sum(
                    within(d, other) >= parameters.cttc * (d[1] - d[0]) - 1e-9 for d in wrong
                )
            rate = false_alarms / hours + parameters.alpha_ct * cross_triggers / (other_seconds / 3600)
            points.append((rate, found / total))
        curves.append(points)
    edges = np.unique([0.0, MAX_FALSE_ALARMS_PER_HOUR, *(r for c in curves for r, _ in c)])
    edges = edges[edges <= MAX_FALSE_ALARMS_PER_HOUR]
    area = 0.0
    for left, right in pairwise(edges):
        shares = [max((s for r, s in points if r <= left), default=0.0) for points in curves]
        area += (right - left) * max(np.mean(shares) - parameters.alpha_st * np.std(shares), 0.0)
    return float(area / MAX_FALSE_ALARMS_PER_HOUR)


def runs(on: np.ndarray) -> Spans:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], on.astype(int), [0])))) / 100
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def within(span: tuple[float, float], others: Spans) -> float:
    """Seconds of the span that the others (which do not overlap) cover."""
    return sum(max(min(span[1], b) - max(span[0], a), 0.0) for a, b in others)
