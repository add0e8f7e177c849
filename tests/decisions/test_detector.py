"""Events from probabilities: each rule by itself, and everything against a plain state machine written here."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.decisions.detector import Detector
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import ClosedError, SpecError
from stream.messages import Event, Scores

RATE, HOP, LAG = 16000, 160, 256
FIRST = 256  # sample of the first row


def scores(rows: Any, at: int = 0, cold: int = 0) -> Scores:
    probs = np.atleast_2d(np.asarray(rows, np.float32))
    if np.ndim(rows) == 1:
        probs = probs.T
    sample = FIRST + HOP * (at + np.arange(len(probs), dtype=np.int64))
    warm = np.arange(len(probs)) >= cold
    return Scores(probs, sample, warm, tuple("abcdefgh"[: probs.shape[1]]), RATE, HOP)


def detector(classes: int = 1, **rule: Any) -> Detector:
    fields = {"threshold": 0.5, "min_on": 0.0, "min_off": 0.0, "smoothing": 0.0} | rule
    spec = DetectorSpec(default=ClassRule(**fields))
    return Detector(spec, tuple("abcdefgh"[:classes]), RATE, HOP, LAG)


def edge(row: int) -> int:
    """The sample at which a row begins."""
    return FIRST - HOP // 2 + HOP * row


def spans(events: tuple[Event, ...]) -> list[tuple[int, int]]:
    """(onset, offset) of complete events, in rows."""
    return [((e.onset - edge(0)) // HOP, (e.offset - edge(0)) // HOP) for e in events if e.offset is not None]


def detect(rows: list[float], **rule: Any) -> list[tuple[int, int]]:
    machine = detector(**rule)
    return spans(machine.push(scores(rows)) + machine.flush())


# ---- each rule by itself


def test_an_event_to_the_sample() -> None:
    onset, whole = detector().push(scores([0.1, 0.6, 0.9, 0.2, 0.1]))
    assert onset.offset is None
    assert (onset.id, onset.onset, onset.decided) == (0, edge(1), FIRST + HOP + LAG)
    assert (whole.id, whole.onset, whole.offset) == (0, edge(1), edge(3))
    assert whole.decided == FIRST + 3 * HOP + LAG
    assert whole.peak == pytest.approx(0.9)
    assert whole.mean == pytest.approx(0.75)
    assert whole.onset_s == edge(1) / RATE
    assert not whole.cut


def test_hysteresis() -> None:
    rows = [0.4, 0.6, 0.4, 0.3, 0.4, 0.29, 0.4]
    assert detect(rows, release=0.3) == [(1, 5)]
    assert detect(rows, release=0.5) == [(1, 2)]
    assert detect([0.6, 0.36, 0.34, 0.36]) == [(0, 2)]  # 0.7 of the threshold unless told


def test_the_threshold_itself_is_on_and_the_release_itself_is_not_off() -> None:
    assert detect([0.5, 0.25, 0.2], release=0.25) == [(0, 2)]


def test_min_on_drops_what_is_short() -> None:
    assert detect([0.9, 0.9, 0, 0.9, 0.9, 0.9, 0], min_on=0.03) == [(3, 6)]
    late = detector(min_on=0.03).push(scores([0, 0.9, 0.9, 0.9, 0.9]))
    assert [(e.onset, e.decided) for e in late] == [(edge(1), FIRST + 3 * HOP + LAG)]


def test_min_on_rounds_up_to_rows() -> None:
    assert detect([0.9, 0.9, 0.9, 0], min_on=0.031) == []
    assert detect([0.9, 0.9, 0.9, 0], min_on=0.030) == [(0, 3)]


def test_confirm_reports_only_what_is_sure_and_keeps_the_onset() -> None:
    assert detect([0.0, 0.6, 0.7, 0.6, 0.0], peak_threshold=0.8) == []
    assert detect([0.0, 0.6, 0.7, 0.8, 0.6, 0.0], peak_threshold=0.8) == [(1, 5)]
    machine = detector(peak_threshold=0.8, min_on=0.02)
    onset = machine.push(scores([0.0, 0.6, 0.6, 0.6, 0.9, 0.6]))[0]
    assert (onset.onset, onset.decided) == (edge(1), FIRST + 4 * HOP + LAG)


def test_confirm_does_not_shorten_min_on() -> None:
    machine = detector(peak_threshold=0.8, min_on=0.03)
    onset = machine.push(scores([0.9, 0.6, 0.6, 0.6]))[0]
    assert (onset.onset, onset.decided) == (edge(0), FIRST + 2 * HOP + LAG)


def test_what_was_not_confirmed_starts_again_after_it_ended() -> None:
    assert detect([0.6, 0.6, 0.1, 0.6, 0.9, 0.1], peak_threshold=0.8) == [(3, 5)]
    # Sure of one event is not sure of the next.
    assert detect([0.9, 0.1, 0.6, 0.1, 0.6], peak_threshold=0.8) == [(0, 1)]


def test_min_off_bridges_dips() -> None:
    rows = [0.9, 0, 0, 0.9, 0, 0, 0, 0.9]
    assert detect(rows, min_off=0.03) == [(0, 4), (7, 8)]
    assert detect(rows, min_off=0.02) == [(0, 1), (3, 4), (7, 8)]
    assert detect(rows, min_off=0.04) == [(0, 8)]


def test_the_mean_counts_bridged_dips_and_not_the_fall() -> None:
    events = detector(min_off=0.02).push(scores([0.8, 0.0, 0.8, 0.0, 0.0]))
    assert events[-1].mean == pytest.approx(1.6 / 3)


def test_refractory() -> None:
    rows = [0.9, 0, 0.9, 0.9, 0.9, 0.9, 0]
    assert detect(rows) == [(0, 1), (2, 6)]
    assert detect(rows, refractory=0.03) == [(0, 1), (4, 6)]  # from the offset, not from its decision
    assert detect(rows, refractory=1.0) == [(0, 1)]


def test_smoothing_is_the_mean_of_the_last_rows() -> None:
    rows = [0.9, 0.0, 0.0, 0.9, 0.9, 0.0, 0.0, 0.0]
    assert detect(rows, smoothing=0.02, release=0.5) == [(0, 1), (4, 5)]
    machine = detector(smoothing=0.03)
    machine.push(scores([0.3, 0.6, 0.9, 0.0]))
    assert machine.smoothed[0] == pytest.approx(0.5)


def test_rules_per_class_and_disabled_classes() -> None:
    spec = DetectorSpec(
        default=ClassRule(threshold=0.5, min_on=0, min_off=0, smoothing=0),
        classes={
            "b": ClassRule(threshold=0.9, min_on=0, min_off=0, smoothing=0),
            "c": ClassRule(threshold=0.1, min_on=0, min_off=0, smoothing=0, enabled=False),
        },
    )
    machine = Detector(spec, ("a", "b", "c"), RATE, HOP)
    events = machine.push(scores([[0.8, 0.8, 1.0], [0.8, 0.95, 1.0], [0, 0, 0]])) + machine.flush()
    assert [(e.label, e.offset is None) for e in events] == [
        ("a", True),
        ("b", True),
        ("a", False),
        ("b", False),
    ]
    with pytest.raises(SpecError, match="dog"):
        Detector(DetectorSpec(classes={"dog": ClassRule()}), ("a",), RATE, HOP)


def test_cold_rows_never_fire_and_are_not_averaged() -> None:
    assert detector().push(scores([0.9] * 5, cold=5)) == ()
    machine = detector(smoothing=0.03)
    machine.push(scores([1.0, 1.0, 0.0], cold=2))
    assert machine.smoothed[0] == 0.0
    (onset,) = detector().push(scores([0.9] * 5, cold=3))
    assert onset.onset == edge(3)


def test_the_end_cuts() -> None:
    machine = detector(min_off=0.03)
    machine.push(scores([0, 0.9, 0.9]))
    (event,) = machine.flush()
    assert event.cut
    assert event.offset == edge(3)
    assert event.decided == FIRST + 2 * HOP + LAG
    assert machine.flush() == ()
    with pytest.raises(ClosedError):
        machine.push(scores([0.9], 3))


def test_the_end_does_not_cut_what_was_already_falling() -> None:
    machine = detector(min_off=0.03)
    machine.push(scores([0.9, 0.9, 0.0]))
    (event,) = machine.flush()
    assert not event.cut
    assert event.offset == edge(2)


def test_the_end_forgets_what_was_not_yet_an_event() -> None:
    machine = detector(min_on=0.03)
    machine.push(scores([0.9, 0.9]))
    assert machine.flush() == ()


def test_a_gap_that_resets_cuts() -> None:
    machine = detector(min_off=0.03, smoothing=0.03)
    machine.push(scores([0.9, 0.9]))
    (event,) = machine.gap(32000, carried=False)
    assert event.cut
    assert event.offset == edge(2)
    assert event.gap == 0
    machine.push(scores([0.0], 202))
    assert machine.smoothed[0] == 0.0, "averages start anew"


def test_a_gap_that_is_carried_is_counted_in_the_event() -> None:
    machine = detector()
    machine.push(scores([0.9, 0.9]))
    assert machine.gap(1600, carried=True) == ()
    (event,) = machine.push(scores([0.9, 0.0], 12))
    assert (event.onset, event.offset, event.gap) == (edge(0), edge(13), 1600)
    (after,) = machine.push(scores([0.9], 14))
    assert after.gap == 0


def test_ids_count_onsets_in_order_of_decision() -> None:
    machine = detector(classes=3)
    rows = [[0, 0, 0.9], [0.9, 0.9, 0.9], [0, 0.9, 0], [0.9, 0, 0]]
    events = machine.push(scores(rows)) + machine.flush()
    assert [(e.id, e.label) for e in events if e.offset is None] == [(0, "c"), (1, "a"), (2, "b"), (3, "a")]
    ended = {e.id: e.label for e in events if e.offset is not None}
    assert ended == {0: "c", 1: "a", 2: "b", 3: "a"}
    machine.reset()
    assert machine.push(scores([[0.9, 0, 0]]))[0].id == 0


@pytest.mark.parametrize("start", [2**31, 2**33, 2**52])
def test_sample_counters_are_exact_for_ever(start: int) -> None:
    near, far = scores([0, 0.9, 0.9, 0]), scores([0, 0.9, 0.9, 0])
    far = Scores(far.probs, far.sample + start, far.warm, far.labels, RATE, HOP)
    here, there = detector(refractory=1.0).push(near), detector(refractory=1.0).push(far)
    assert [e.onset + start for e in here] == [e.onset for e in there]
    assert [e.decided + start for e in here] == [e.decided for e in there]
    assert here[1].offset is not None
    assert here[1].offset + start == there[1].offset


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 0.0},
        {"threshold": 1.1},
        {"threshold": math.nan},
        {"release": 0.6},
        {"release": -0.1},
        {"min_on": -1},
        {"min_off": 3601},
        {"refractory": math.inf},
        {"peak_threshold": 0.4},
        {"peak_threshold": 1.1},
        {"peak_threshold": math.nan},
        {"smoothing": 11},
        {"smoothing": math.nan},
    ],
    ids=str,
)
def test_rules_out_of_range(changes: dict[str, float]) -> None:
    with pytest.raises(SpecError, match="must be"):
        ClassRule(**({"threshold": 0.5} | changes))


# ---- all together, against a machine that looks at one row at a time


class Naive:
    """One class, one row after another, every number kept in the plainest way."""

    def __init__(self, rule: ClassRule) -> None:
        self.threshold, self.release = np.float32(rule.threshold), np.float32(rule.off_threshold)
        self.need_on = max(1, math.ceil(rule.min_on * 100 - 1e-9))
        self.need_off = max(1, math.ceil(rule.min_off * 100 - 1e-9))
        self.width = max(1, round(rule.smoothing * 100))
        self.refractory = round(rule.refractory * RATE)
        self.enabled = rule.enabled
        self.history: list[np.float32] = []
        self.blocked_until = -math.inf
        self.peak_threshold = np.float32(
            rule.threshold if rule.peak_threshold is None else rule.peak_threshold
        )
        self.since: list[float] | None = None  # smoothed values since the onset; None while off
        self.good = 0  # how many of them up to the last one that was on
        self.reported = False
        self.off_rows = 0
        self.onset = 0
        self.lost = 0

    def smooth(self, p: np.float32) -> np.float32:
        self.history = [*self.history, p][-self.width :]
        total = np.float32(0)
        for value in reversed(self.history):
            total = np.float32(total + value)
        return np.float32(total / np.float32(len(self.history)))

    def take(self, p: np.float32, sample: int) -> list[tuple[Any, ...]]:
        s = self.smooth(p)
        if not self.enabled:
            return []
        begin = sample - HOP // 2
        if self.since is None and s >= self.threshold and begin >= self.blocked_until:
            self.since, self.good, self.reported, self.off_rows = [], 0, False, 0
            self.onset, self.lost = begin, 0
        if self.since is None:
            return []
        self.since.append(float(s))
        if s >= self.release:
            self.good, self.off_rows, self.last_on = len(self.since), 0, begin + HOP
            if not self.reported and self.good >= self.need_on and max(self.since) >= self.peak_threshold:
                self.reported = True
                return [("on", *self.summary(), sample + LAG)]
            return []
        self.off_rows += 1
        if not self.reported:
            self.since = None
        elif self.off_rows >= self.need_off:
            return [self.end(sample + LAG, False)]
        return []

    def summary(self) -> tuple[Any, ...]:
        assert self.since is not None
        kept = self.since[: self.good]
        total = 0.0
        for value in kept:
            total += value
        # The peak is of rows that were on; a dip between them can never be higher.
        return self.onset, max(kept), total / len(kept), self.lost

    def end(self, decided: int, cut: bool) -> tuple[Any, ...]:
        out = ("off", *self.summary(), self.last_on, cut, decided)
        self.since = None
        self.blocked_until = self.last_on + self.refractory
        return out

    def cut(self, decided: int) -> list[tuple[Any, ...]]:
        out = []
        if self.since is not None and self.reported:
            out.append(self.end(decided, self.off_rows == 0))
        self.since = None
        return out


def naive(
    spec: DetectorSpec, labels: tuple[str, ...], pieces: list[tuple[Scores, tuple[int, bool] | None]]
) -> list[tuple[Any, ...]]:
    machines = [Naive(spec.rule(label)) for label in labels]
    found: list[tuple[Any, ...]] = []
    ids: dict[str, int] = {}
    decided = 0

    def note(label: str, items: list[tuple[Any, ...]]) -> None:
        for kind, *rest in items:
            if kind == "on":
                ids[label] = sum(1 for f in found if f[2] == "on")
            found.append((ids[label], label, kind, *rest))

    for part, gap in pieces:
        if gap is not None:
            length, carried = gap
            for label, machine in zip(labels, machines, strict=True):
                if carried:
                    machine.lost += length if machine.since is not None else 0
                else:
                    note(label, machine.cut(decided))
                    machine.history = []
        for row in range(len(part)):
            if not part.warm[row]:
                continue
            decided = int(part.sample[row]) + LAG
            for column, (label, machine) in enumerate(zip(labels, machines, strict=True)):
                note(label, machine.take(part.probs[row, column], int(part.sample[row])))
    for label, machine in zip(labels, machines, strict=True):
        note(label, machine.cut(decided))
    return found


def as_tuple(e: Event) -> tuple[Any, ...]:
    head = (e.id, e.label)
    if e.offset is None:
        return (*head, "on", e.onset, e.peak, e.mean, e.gap, e.decided)
    return (*head, "off", e.onset, e.peak, e.mean, e.gap, e.offset, e.cut, e.decided)


TIMES = st.sampled_from([0.0, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2])


@st.composite
def rules(draw: st.DrawFn) -> ClassRule:
    threshold = draw(st.sampled_from([0.25, 0.5, 0.6, 0.9, 1.0]))
    return ClassRule(
        threshold=threshold,
        release=draw(st.none() | st.sampled_from([0.0, 0.2, 0.5, 1.0]).map(lambda r: r * threshold)),
        min_on=draw(TIMES),
        min_off=draw(TIMES),
        refractory=draw(TIMES),
        smoothing=draw(TIMES),
        peak_threshold=draw(
            st.none() | st.sampled_from([0.0, 0.3, 1.0]).map(lambda c: threshold + c * (1 - threshold))
        ),
        enabled=draw(st.integers(0, 9)) > 0,
    )


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[Scores, tuple[int, bool] | None]]:
    """Runs of rows; between them gaps, carried or not; after a reset some rows may be cold."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    out: list[tuple[Scores, tuple[int, bool] | None]] = []
    at = draw(st.sampled_from([0, 10**9]))
    for number in range(draw(st.integers(1, 3))):
        length = draw(st.integers(1, 120))
        dwell = draw(st.integers(1, 15))
        slow = np.repeat(rng.random((length // dwell + 1, 3)), dwell, axis=0)[:length]
        probs = np.clip(slow + 0.15 * rng.standard_normal(slow.shape), 0, 1)
        probs = np.round(probs, 1) if draw(st.booleans()) else probs  # hit thresholds exactly
        gap = None
        cold = draw(st.integers(0, 5)) if number == 0 else 0
        if number:
            rows = draw(st.integers(1, 30))
            carried = draw(st.booleans())
            gap = (rows * HOP, carried)
            at += rows
            cold = 0 if carried else draw(st.integers(0, 5))
        out.append((scores(probs, at, cold), gap))
        at += length
    return out


@settings(max_examples=300, deadline=None)
@given(st.lists(rules(), min_size=3, max_size=3), streams(), st.integers(0, 2**32))
def test_equal_to_the_naive_machine_in_any_chunking(
    three: list[ClassRule], pieces: list[tuple[Scores, tuple[int, bool] | None]], seed: int
) -> None:
    labels = ("a", "b", "c")
    spec = DetectorSpec(classes=dict(zip(labels, three, strict=True)))
    machine = Detector(spec, labels, RATE, HOP, LAG)
    rng = np.random.default_rng(seed)
    got: list[Event] = []
    for part, gap in pieces:
        if gap is not None:
            got += machine.gap(gap[0], carried=gap[1])
        cuts = [0, *np.sort(rng.integers(0, len(part) + 1, int(rng.integers(0, 8)))).tolist(), len(part)]
        for low, high in pairwise(cuts):
            rows = (part.probs[low:high], part.sample[low:high], part.warm[low:high])
            got += machine.push(Scores(*rows, labels, RATE, HOP))
    got += machine.flush()
    assert [as_tuple(e) for e in got] == naive(spec, labels, pieces)
