"""Thresholds that are changed while a stream runs: at one row, in any chunking, in snapshots, and until reset."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from stream.decisions.detector import Detector
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import SnapshotInvalid, SpecError
from stream.messages import Event, Scores
from stream.snapshot import pack, unpack

RATE, HOP = 16000, 160
LABELS = ("a", "b", "never")
SPEC = DetectorSpec(
    default=ClassRule(threshold=0.5, smoothing=0.0, min_on=0.02, min_off=0.02),
    classes={
        "b": ClassRule(threshold=0.4, release=0.3, peak_threshold=0.6, smoothing=0.03),
        "never": ClassRule(enabled=False),
    },
)


def scores(probs: np.ndarray, first: int) -> Scores:
    sample = (first + np.arange(len(probs))) * HOP
    return Scores(probs.astype(np.float32), sample, np.ones(len(probs), bool), LABELS, RATE, HOP)


def walk(
    probs: np.ndarray, changes: dict[int, tuple[str, float]], sizes: Any
) -> tuple[list[Event], Detector]:
    """Events with changes made before the rows of these numbers, at cuts of ``sizes`` rows and at the changes."""
    detector = Detector(SPEC, LABELS, RATE, HOP)
    events: list[Event] = []
    row = 0
    while row < len(probs):
        if row in changes:
            detector.set_threshold(*changes[row])
        stop = min([row + next(sizes), len(probs), *(at for at in changes if at > row)])
        events += detector.push(scores(probs[row:stop], row))
        row = stop
    return [*events, *detector.flush()], detector


CHANGES = {90: ("a", 0.8), 150: ("b", math.inf), 300: ("a", 0.2), 450: ("b", 0.9), 500: ("b", 0.4)}


def wave() -> np.ndarray:
    rng = np.random.default_rng(3)
    steps = rng.normal(0, 0.12, (600, 3)).cumsum(axis=0)
    return 0.5 + 0.5 * np.sin(steps)


def test_any_chunking_gives_the_same_events() -> None:
    probs = wave()
    whole, _ = walk(probs, CHANGES, iter(lambda: 1000, None))
    single, _ = walk(probs, CHANGES, iter(lambda: 1, None))
    rng = np.random.default_rng(4)
    cut, _ = walk(probs, CHANGES, iter(lambda: int(rng.integers(1, 40)), None))
    unchanged, _ = walk(probs, {}, iter(lambda: 1000, None))
    assert whole == single == cut
    assert whole != unchanged
    assert len(whole) > 10


def test_a_snapshot_holds_them_to_the_bit() -> None:
    probs = wave()
    for cut in (120, 200, 470):
        before = {row: change for row, change in CHANGES.items() if row < cut}
        detector = Detector(SPEC, LABELS, RATE, HOP)
        for row in range(cut):
            if row in before:
                detector.set_threshold(*before[row])
            detector.push(scores(probs[row : row + 1], row))
        other = Detector(SPEC, LABELS, RATE, HOP)
        other.restore(unpack(pack(detector.snapshot())))
        assert other.push(scores(probs[cut:], cut)) == detector.push(scores(probs[cut:], cut))
        assert other.flush() == detector.flush()


def test_a_muted_class_begins_no_more_and_what_is_on_ends_by_itself() -> None:
    detector = Detector(SPEC, LABELS, RATE, HOP)
    high, low = np.full((15, 3), 0.9), np.zeros((15, 3))
    begun = detector.push(scores(high, 0))
    assert [(event.label, event.offset) for event in begun] == [("a", None), ("b", None)]
    detector.set_threshold("a", math.inf)
    detector.set_threshold("b", math.inf)
    assert detector.push(scores(high, 15)) == ()
    ended = detector.push(scores(low, 30)) + detector.push(scores(low, 45))
    assert sorted(event.label for event in ended) == ["a", "b"]
    assert all(event.offset is not None and not event.cut for event in ended)
    assert detector.push(scores(high, 60)) == ()
    detector.set_threshold("a", 0.5)
    assert [event.label for event in detector.push(scores(high, 75))] == ["a"]


def test_reset_takes_them_back() -> None:
    detector = Detector(SPEC, LABELS, RATE, HOP)
    detector.set_threshold("a", math.inf)
    detector.reset()
    assert [event.label for event in detector.push(scores(np.full((15, 3), 0.9), 0))] == ["a", "b"]


def test_what_cannot_be_is_refused() -> None:
    detector = Detector(SPEC, LABELS, RATE, HOP)
    for label, threshold in [
        ("never", 0.5),
        ("other", 0.5),
        ("a", 0.0),
        ("a", 1.1),
        ("a", math.nan),
        ("a", -math.inf),
    ]:
        with pytest.raises(SpecError):
            detector.set_threshold(label, threshold)
    for changed in ({"never": 0.5}, {"a": "x"}, [1], {"a": 7.0}):
        snapshot = detector.snapshot()
        snapshot["changed"] = changed
        with pytest.raises(SnapshotInvalid):
            Detector(SPEC, LABELS, RATE, HOP).restore(snapshot)
