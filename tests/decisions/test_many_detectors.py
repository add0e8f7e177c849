"""Detectors pushed together decide, and keep, to the bit what each would alone."""

from __future__ import annotations

import numpy as np
import pytest

from stream.decisions.detector import Detector
from stream.decisions.many_detectors import LONGEST_AVERAGE, MOST_KINDS, MOST_ROWS, ManyDetectors, can_join
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.messages import Event, Scores
from stream.snapshot import pack

LABELS = ("a", "b", "c", "d")
RATE, HOP = 16000, 320


def rules(rng: np.random.Generator, smoothing: list[float]) -> DetectorSpec:
    def rule(seconds: float) -> ClassRule:
        threshold = float(rng.uniform(0.2, 0.9))
        return ClassRule(
            threshold=threshold,
            release=float(rng.uniform(0, threshold)),
            peak_threshold=float(rng.uniform(threshold, 1)) if rng.random() < 0.5 else None,
            min_on=float(rng.choice([0, 0.02, 0.3])),
            min_off=float(rng.choice([0, 0.04, 0.3])),
            refractory=float(rng.choice([0, 0.5])),
            smoothing=seconds,
            enabled=bool(rng.random() < 0.85),
        )

    return DetectorSpec(classes=dict(zip(LABELS, map(rule, smoothing), strict=True)))


def scores(rng: np.random.Generator, start: int, rows: int) -> Scores:
    """Long stretches near 0 and near 1, and some that wander between."""
    level = np.where(rng.random(len(LABELS)) < 0.5, rng.choice([0.02, 0.98]), rng.random(len(LABELS)))
    probs = np.clip(level + rng.normal(0, 0.1, (rows, len(LABELS))), 0, 1).astype(np.float32)
    return Scores(
        probs, start + HOP * np.arange(rows, dtype=np.int64), np.ones(rows, np.bool_), LABELS, RATE, HOP
    )


@pytest.mark.parametrize("smoothing", [[0.02] * 4, [0.1] * 4, [0.02, 0.2, 0.1, 0.06]], ids=str)
@pytest.mark.parametrize("seed", range(8))
def test_as_alone(seed: int, smoothing: list[float]) -> None:
    rng = np.random.default_rng(seed)
    specs = [rules(rng, smoothing) for _ in range(7)]
    together = [Detector(spec, LABELS, RATE, HOP, 400) for spec in specs]
    alone = [Detector(spec, LABELS, RATE, HOP, 400) for spec in specs]
    at = [int(rng.integers(10_000)) for _ in specs]
    many = ManyDetectors(2 * len(specs), len(LABELS))
    inside: set[int] = set()

    def leave(i: int) -> None:
        if i in inside:
            inside.discard(i)
            many.leave(2 * i, at[i] - HOP)

    events: list[Event] = []
    joined = quiet = 0
    for _ in range(120):
        rows = int(rng.choice([1, 3, 5, 5, 12, 25, MOST_ROWS]))
        taking = []
        for i in rng.permutation(len(specs)).tolist():
            if rng.random() < 0.05:
                leave(i)
                length, carried = int(rng.integers(1, 5000)), bool(rng.random() < 0.5)
                at[i] += length
                assert alone[i].gap(length, carried=carried) == together[i].gap(length, carried=carried)
            if i in inside or can_join(together[i], rows):
                taking.append(i)
                if i not in inside:
                    assert many.enter(2 * i, together[i])
            else:
                given = scores(rng, at[i], rows)
                at[i] += HOP * rows
                assert alone[i].push(given) == together[i].push(given)
        if not taking:
            continue
        numbers = np.array([2 * i for i in taking])
        assert len(set(many.kind[numbers].tolist())) == 1
        given_all = [scores(rng, at[i], rows) for i in taking]
        found = many.push(
            numbers, np.stack([each.probs for each in given_all]), np.array([at[i] for i in taking])
        )
        for place, (i, given) in enumerate(zip(taking, given_all, strict=True)):
            got = found.get(place, ())
            want = alone[i].push(given)
            assert got == want
            at[i] += HOP * rows
            inside.add(i)
            if rng.random() < 0.3:
                leave(i)
                assert pack(together[i].snapshot()) == pack(alone[i].snapshot())
            events += got
            joined += 1
            quiet += not got
    assert joined > 400
    assert len(events) > 50
    assert quiet > 100
    for i, (one, other) in enumerate(zip(together, alone, strict=True)):
        leave(i)
        assert one.flush() == other.flush()


def test_who_cannot_join() -> None:
    detector = Detector(DetectorSpec(default=ClassRule(smoothing=0.1)), LABELS, RATE, HOP)
    assert can_join(detector, 1)
    assert not can_join(detector, MOST_ROWS + 1)
    detector.flush()
    assert not can_join(detector, 1)


def test_rules_of_ever_other_kinds_take_no_ever_more_memory() -> None:
    many = ManyDetectors(2, len(LABELS))

    def smoothed(rows: int) -> Detector:
        return Detector(DetectorSpec(default=ClassRule(smoothing=rows * HOP / RATE)), LABELS, RATE, HOP)

    assert not many.enter(0, smoothed(LONGEST_AVERAGE + 1))
    taken = [many.enter(0, smoothed(rows)) for rows in range(1, 2 * MOST_KINDS)]
    assert taken.count(True) == MOST_KINDS
    assert len(many._past) == MOST_KINDS
    assert many.enter(1, smoothed(1)), "a kind that is known"
