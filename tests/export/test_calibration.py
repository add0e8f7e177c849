"""Rules for a budget of false alarms."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from export.calibration import HeardStream, calibrate, event_report, heard_events
from export.calibration.budget import share_budget
from export.calibration.curve import RulePoint, averaged
from export.calibration.stretches import Axis, ClassRows
from export.data.recording import Interval
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import DataError

RATE, HOP = 16000, 160
LABELS = ("a", "b", "other")


def heard(probs: np.ndarray, truth: tuple[Interval, ...] = (), kind: str = "own") -> HeardStream:
    rows = len(probs)
    samples = 200 + HOP * np.arange(rows, dtype=np.int64)
    return HeardStream(probs.astype(np.float32), samples, RATE, HOP, 200, rows * HOP, truth, kind)


steps = st.sampled_from([0.0, 0.1, 0.2, 0.35, 0.5, 0.6, 0.75, 0.9, 1.0])
runs = st.lists(st.tuples(steps, st.integers(1, 30)), max_size=25)
rules = st.builds(
    lambda threshold, share, peak, **times: ClassRule(
        threshold=threshold,
        release=share * threshold,
        peak_threshold=None if peak is None else max(peak, threshold),
        **times,
    ),
    threshold=st.sampled_from([0.2, 0.35, 0.5, 0.6, 0.9]),
    share=st.sampled_from([0.3, 0.5, 1.0]),
    peak=st.sampled_from([None, 0.75, 0.95]),
    min_on=st.sampled_from([0.0, 0.03, 0.1]),
    min_off=st.sampled_from([0.0, 0.02, 0.1, 0.3]),
    refractory=st.sampled_from([0.0, 0.004, 0.05, 0.5]),
    smoothing=st.sampled_from([0.0, 0.03, 0.2]),
)


@settings(max_examples=300, deadline=None)
@given(streams=st.lists(runs, min_size=1, max_size=4), rule=rules, noise=st.integers(0, 2))
def test_events_of_stretches_are_those_of_whole_streams(
    streams: list[list[tuple[float, int]]], rule: ClassRule, noise: int
) -> None:
    rng = np.random.default_rng(noise)
    made = []
    for parts in streams:
        line = np.array([value for value, length in parts for _ in range(length)])
        line = np.clip(line + rng.normal(0, 0.05 * noise, len(line)), 0, 1)
        made.append(heard(np.stack([rng.random(len(line)), line], axis=1)))
    axis = Axis.of(made)
    found = ClassRows(made, 1, rule.smoothing, axis).events(rule)
    number = axis.stream_of(found.onsets)
    for k, stream in enumerate(made):
        whole = heard_events(
            stream, ("x", "y"), DetectorSpec(classes={"x": ClassRule(enabled=False), "y": rule})
        )
        mine = np.stack([found.onsets, found.offsets, found.decided], axis=1)[number == k] - axis.begins[k]
        np.testing.assert_allclose(
            mine, np.array([(e.onset, e.offset, e.decided) for e in whole]).reshape(-1, 3), atol=1e-9
        )


@settings(max_examples=30, deadline=None)
@given(values=arrays.arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 1, width=32)))
def test_rows_of_a_stream_need_no_warm_up(values: np.ndarray) -> None:
    """The average of the first rows is that of as many as there are, as live."""
    rule = ClassRule(threshold=0.5, min_on=0, min_off=0, smoothing=0.1)
    stream = heard(values[:, None])
    found = ClassRows([stream], 0, rule.smoothing, Axis.of([stream])).events(rule)
    whole = heard_events(stream, ("x",), DetectorSpec(default=rule))
    np.testing.assert_allclose(found.onsets, [e.onset for e in whole], atol=1e-9)


def own(rng: np.random.Generator, seconds: int, peak: float = 0.99) -> HeardStream:
    """Alternately a and b every four seconds, half a second each, with a dip in the middle."""
    probs = rng.uniform(0, 0.1, (seconds * 100, 3))
    truth = []
    for k, begin in enumerate(range(2, seconds - 2, 4)):
        column = k % 2
        row = begin * 100
        probs[row + 5 : row + 50, column] = peak
        probs[row + 25 : row + 30, column] = 0.2
        truth.append(Interval(LABELS[column], begin, begin + 0.5))
    return heard(probs, tuple(truth))


def negative(rng: np.random.Generator, seconds: int, kind: str, babble: float, column: int) -> HeardStream:
    """Bursts of 0.3 s of one class every 20 s."""
    probs = rng.uniform(0, 0.1, (seconds * 100, 3))
    probs[:, 2] = 1.0  # what is no event is always on
    for begin in range(5, seconds - 2, 20):
        probs[begin * 100 : begin * 100 + 30, column] = babble
    return heard(probs, (), kind)


def streams(babble: float = 0.8, peak: float = 0.99) -> list[HeardStream]:
    rng = np.random.default_rng(0)
    return [
        own(rng, 400, peak),
        negative(rng, 3600, "speech", babble, 0),
        negative(rng, 3600, "silence", 0.0, 0),
    ]


def test_a_budget_is_kept_and_everything_found() -> None:
    """At 0.5 a false alarm comes every 20 s of speech; the classes themselves are surer."""
    made = streams()
    loose = heard_events(made[1], LABELS, DetectorSpec(classes={"other": ClassRule(enabled=False)}))
    assert len(loose) > 150
    found = calibrate(made, LABELS, background="other")
    assert found.kept == {"a": True, "b": True}
    assert not found.advice
    total = found.report.total
    assert (total.events, total.missed, total.doubled) == (99, 0, 0)
    assert total.false == {"speech": 0, "silence": 0, "own": 0}
    rule = found.rules.rule("a")
    assert (rule.peak_threshold or rule.threshold) > 0.8
    assert not found.rules.rule("other").enabled
    assert set(found.report.classes) == {"a", "b"}


def test_a_rule_is_not_at_the_edge() -> None:
    """Babble of 0.8 is stopped by a threshold of 0.87; one level further costs nothing, so it is a or above that."""
    found = calibrate(streams(babble=0.86), LABELS, background="other")
    rule = found.rules.rule("a")
    assert (rule.peak_threshold or rule.threshold) > 0.87


def test_a_class_that_cannot_keep_the_budget_says_so_and_still_works() -> None:
    found = calibrate(streams(babble=1.0), LABELS, background="other")
    assert found.kept == {"a": False, "b": True}
    assert "false alarms an hour, not 1: a at any threshold" in found.advice
    assert "--false-alarms" in found.advice
    a = found.report.classes["a"]
    assert a.found >= 0.5 * a.events
    assert found.report.classes["b"].missed == 0


def test_dips_do_not_double_events() -> None:
    probs = np.full((6000, 1), 0.01)
    truth = []
    for begin in range(1, 58, 3):
        row = begin * 100
        probs[row : row + 20] = probs[row + 60 : row + 80] = 0.99  # off for 0.4 s within
        truth.append(Interval("a", begin, begin + 0.8))
    made = [heard(probs, tuple(truth)), heard(np.zeros((360000, 1)), (), "noise")]
    plain = event_report([(s, heard_events(s, ("a",), DetectorSpec())) for s in made], ("a",))
    assert plain.total.doubled == len(truth)
    found = calibrate(made, ("a",))
    assert (found.report.total.missed, found.report.total.doubled) == (0, 0)


def test_few_hours_prove_nothing() -> None:
    rng = np.random.default_rng(1)
    found = calibrate([own(rng, 200), negative(rng, 300, "noise", 0.0, 0)], LABELS, background="other")
    assert "too few to show 1 false alarms an hour" in found.advice
    assert found.report.false_per_hour == 0
    assert found.report.false_per_hour_at_most == pytest.approx(36, abs=0.1)


def test_a_class_that_never_sounds_keeps_its_rule_unless_it_babbles() -> None:
    rng = np.random.default_rng(2)
    base = DetectorSpec(default=ClassRule(threshold=0.5), classes={"other": ClassRule(enabled=False)})
    quiet = [own(rng, 100), negative(rng, 3600, "noise", 0.0, 0)]
    only_a = msgspec.structs.replace(base)
    made = [HeardStream(*_fields(quiet[0], tuple(e for e in quiet[0].truth if e.label == "a"))), quiet[1]]
    found = calibrate(made, LABELS, base=only_a)
    assert found.rules.rule("b").threshold >= 0.5
    assert not found.rules.rule("other").enabled
    assert found.report.classes["b"].events == 0


def _fields(stream: HeardStream, truth: tuple[Interval, ...]) -> tuple[object, ...]:
    return (
        stream.probs, stream.samples, stream.sample_rate, stream.hop, stream.lag, stream.length, truth, stream.kind,
    )  # fmt: skip


def test_bad_streams_are_refused() -> None:
    with pytest.raises(DataError, match="no streams"):
        calibrate([], LABELS)
    with pytest.raises(DataError, match="different rates or classes"):
        calibrate([heard(np.zeros((10, 3))), heard(np.zeros((10, 2)))], LABELS)


def point(level: float, false: float, missed: float, delay: float = 0.1) -> RulePoint:
    return RulePoint(ClassRule(threshold=level, release=0.1), missed, 0.0, 0.0, false, delay)


def test_the_budget_goes_where_it_helps() -> None:
    curves = {
        "deaf": [point(0.9, 0, 40), point(0.5, 3, 5)],  # 35 events for 3 false alarms
        "fine": [point(0.9, 0, 2), point(0.5, 3, 0)],  # 2 events for 3
    }
    events = {"deaf": 100, "fine": 100}
    chosen, kept = share_budget(curves, events, 4.0)
    assert (chosen["deaf"].rule.threshold, chosen["fine"].rule.threshold) == (0.5, 0.9)
    assert kept == {"deaf": True, "fine": True}
    both, _ = share_budget(curves, events, 6.0)
    assert [p.rule.threshold for p in both.values()] == [0.5, 0.5]
    none, _ = share_budget(curves, events, 0.0)
    assert [p.rule.threshold for p in none.values()] == [0.9, 0.9]


def test_delay_decides_between_equals() -> None:
    curves = {"a": [point(0.9, 0, 0, 0.4), point(0.8, 0, 0, 0.1), point(0.5, 9, 0, 0.0)]}
    chosen, _ = share_budget(curves, {"a": 100}, 1.0)
    assert chosen["a"].rule.threshold == 0.8


def test_figures_count_those_of_neighbouring_levels() -> None:
    row = averaged([point(0.5, 8, 0), point(0.6, 0, 0), point(0.7, 0, 0)])
    assert [p.false for p in row] == [6, 2, 0]
