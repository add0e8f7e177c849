"""Rules that change while a detector runs: from the next row on, with what is on staying on."""

from __future__ import annotations

import numpy as np
import pytest

from stream.decisions.detector import Detector
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import SpecError
from stream.messages import Event, Scores

RATE, HOP = 1000, 10
LABELS = ("bark", "bell")
RULE = ClassRule(threshold=0.5, min_on=0.0, min_off=0.05, smoothing=0.0)


def scores(values: list[float], start: int) -> Scores:
    probs = np.zeros((len(values), 2), np.float32)
    probs[:, 0] = values
    sample = HOP * (start + np.arange(len(values), dtype=np.int64)) + HOP // 2
    return Scores(probs, sample, np.ones(len(values), np.bool_), LABELS, RATE, HOP)


def heard(first: list[float], rules: DetectorSpec, then: list[float], *, single: bool) -> list[Event]:
    detector = Detector(DetectorSpec(default=RULE), LABELS, RATE, HOP)
    found: list[Event] = []
    for part, at in ((first, 0), (then, len(first))):
        if part is then:
            found += detector.change_rules(rules)
        for start in range(len(part)) if single else (0,):
            found += detector.push(scores(part[start : start + 1] if single else part, at + start))
    return [*found, *detector.flush()]


@pytest.mark.parametrize("single", [True, False])
def test_a_threshold_moves_for_what_begins(single: bool) -> None:
    higher = DetectorSpec(default=ClassRule(threshold=0.8, min_on=0.0, min_off=0.05, smoothing=0.0))
    events = heard(
        [0.6] * 5 + [0.1] * 8, higher, [0.6] * 5 + [0.1] * 8 + [0.9] * 5 + [0.1] * 8, single=single
    )
    assert [(event.onset, event.offset) for event in events] == [(0, None), (0, 50), (260, None), (260, 310)]
    assert [event.id for event in events] == [0, 0, 1, 1]


@pytest.mark.parametrize("single", [True, False])
def test_what_is_on_goes_by_the_new_rules(single: bool) -> None:
    higher = DetectorSpec(
        default=ClassRule(threshold=0.9, release=0.7, min_on=0.0, min_off=0.05, smoothing=0.0)
    )
    onset, end = heard([0.6] * 5, higher, [0.6] * 20, single=single)
    assert (onset.onset, end.offset, end.cut) == (0, 50, False)


def test_a_class_that_is_muted_ends_at_once() -> None:
    mute = DetectorSpec(default=RULE, classes={"bark": ClassRule(enabled=False)})
    onset, end = heard([0.6] * 5, mute, [0.6] * 20, single=True)
    assert (end.offset, end.cut, end.id) == (50, True, onset.id)


def test_averages_go_on_unless_their_length_changes() -> None:
    rule = ClassRule(threshold=0.5, min_on=0.0, smoothing=0.05)
    detector = Detector(DetectorSpec(default=rule), LABELS, RATE, HOP)
    detector.push(scores([0.1] * 20, 0))
    detector.change_rules(DetectorSpec(default=ClassRule(threshold=0.4, min_on=0.0, smoothing=0.05)))
    assert detector.push(scores([1.0], 20)) == ()
    assert detector.smoothed[0] == pytest.approx(0.28)
    detector.change_rules(DetectorSpec(default=ClassRule(threshold=0.4, min_on=0.0, smoothing=0.1)))
    assert len(detector.push(scores([1.0], 21))) == 1


def test_rules_of_other_classes_are_refused_and_change_nothing() -> None:
    detector = Detector(DetectorSpec(default=RULE), LABELS, RATE, HOP)
    with pytest.raises(SpecError, match="cat"):
        detector.change_rules(DetectorSpec(classes={"cat": RULE}))
    assert detector.spec == DetectorSpec(default=RULE)
    assert len(detector.push(scores([0.6], 0))) == 1
