"""Near misses: each reason, forced by a score curve that is made for it; and that watching changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from stream.decisions.detector import Detector
from stream.decisions.near_miss import NearMiss, WatchedDetector
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.messages import Event, Scores

RATE, HOP = 1000, 10
LABELS = ("bark", "bell")
RULE = ClassRule(
    threshold=0.5, peak_threshold=0.7, release=0.4, min_on=0.1, min_off=0.05, refractory=0.3, smoothing=0.0
)


def scores(values: list[float] | np.ndarray, start: int = 0, cold: int = 0) -> Scores:
    """Rows of "bark"; "bell" is silent."""
    probs = np.zeros((len(values), 2), np.float32)
    probs[:, 0] = values
    sample = start + HOP // 2 + HOP * np.arange(len(values), dtype=np.int64)
    return Scores(probs, sample, np.arange(len(values)) >= cold, LABELS, RATE, HOP)


def watched(rule: ClassRule = RULE) -> WatchedDetector:
    return WatchedDetector(DetectorSpec(default=rule), LABELS, RATE, HOP)


def misses(values: list[float], cold: int = 0, rule: ClassRule = RULE) -> list[NearMiss]:
    detector = watched(rule)
    detector.push(scores(values, cold=cold))
    return detector.misses


def test_below_the_peak_threshold() -> None:
    (miss,) = misses([0.1] * 5 + [0.55, 0.61] * 10 + [0.1] * 5)
    assert miss.reasons == ("peak",)
    assert (miss.label, miss.start, miss.end) == ("bark", 50, 250)
    assert miss.peak == pytest.approx(0.61)
    assert miss.wanted == pytest.approx(0.7)


def test_too_short() -> None:
    (miss,) = misses([0.1] * 5 + [0.9] * 7 + [0.1] * 5)
    assert miss.reasons == ("short",)
    assert (miss.rows, miss.rows_wanted) == (7, 10)


def test_both() -> None:
    (miss,) = misses([0.6] * 3 + [0.1] * 5)
    assert miss.reasons == ("peak", "short")


def test_within_the_refractory_time() -> None:
    detector = watched()
    events = detector.push(scores([0.9] * 15 + [0.1] * 10 + [0.8] * 10 + [0.1] * 30))
    assert [event.offset for event in events] == [None, 150]
    (miss,) = detector.misses
    assert miss.reasons == ("refractory",)
    assert (miss.start, miss.end, miss.free_from, miss.event) == (250, 350, 450, events[0].id)
    assert miss.peak == pytest.approx(0.8)


def test_the_end_of_the_refractory_time_within_a_stretch() -> None:
    detector = watched()
    events = detector.push(scores([0.9] * 15 + [0.1] * 10 + [0.8] * 40 + [0.1] * 30))
    assert [event.onset for event in events] == [0, 0, 450, 450]
    (miss,) = detector.misses
    assert (miss.start, miss.end) == (250, 450)


def test_warm_up() -> None:
    (miss,) = misses([0.1, 0.9, 0.8, 0.1, 0.1, 0.2, 0.1], cold=5)
    assert miss.reasons == ("warm-up",)
    assert (miss.start, miss.end) == (10, 30)


@pytest.mark.parametrize("how", ["gap", "end"])
def test_cut_before_it_was_decided(how: str) -> None:
    detector = watched()
    detector.push(scores([0.1] * 5 + [0.9] * 4))
    events = detector.flush() if how == "end" else detector.gap(5000, carried=False)
    assert events == ()
    (miss,) = detector.misses
    assert miss.reasons == ("gap",)
    assert (miss.start, miss.end) == (50, 90)


def test_a_short_gap_is_no_reason() -> None:
    detector = watched()
    detector.push(scores([0.1] * 5 + [0.9] * 4))
    detector.gap(200, carried=True)
    assert detector.push(scores([0.9] * 8 + [0.1] * 9, start=290))
    assert detector.misses == []


def test_nothing_near_is_nothing_to_tell() -> None:
    assert misses([0.1, 0.49, 0.2] * 20) == []
    rule = ClassRule(threshold=0.5, enabled=False)
    assert misses([0.9] * 20 + [0.1] * 20, rule=rule) == []
    assert watched(rule).threshold("bark") is None
    assert watched().threshold("bark") == 0.5


@pytest.mark.parametrize("seed", range(8))
def test_it_decides_as_the_detector_and_tells_the_same_at_any_chunking(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.clip(np.cumsum(rng.normal(0, 0.12, 3000)) % 2 - 0.5, 0, 1)
    rule = ClassRule(
        threshold=0.5, peak_threshold=0.8, min_on=0.05, min_off=0.05, refractory=0.2, smoothing=0.03
    )
    plain = Detector(DetectorSpec(default=rule), LABELS, RATE, HOP)
    wanted = plain.push(scores(values, cold=20)) + plain.flush()
    told = []
    for sizes in ([3000], [1] * 3000, rng.integers(1, 60, 3000).tolist()):
        detector = watched(rule)
        found: tuple[Event, ...] = ()
        at = 0
        for size in sizes:
            part = values[at : at + size]
            if len(part):
                found += detector.push(scores(part, start=at * HOP, cold=min(len(part), max(0, 20 - at))))
            at += size
        found += detector.flush()
        assert found == wanted
        assert np.concatenate([rows for _, rows in detector.rows]).shape == (3000, 2)
        told.append(sorted(detector.misses, key=lambda miss: (miss.start, miss.reasons)))
    assert len(told[0]) > 10
    assert told[0] == told[1] == told[2]
