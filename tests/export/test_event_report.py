"""Found, missed, doubled, false: definitions on cases small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from export.calibration import EventReport, HeardStream, event_report, heard_events
from export.calibration.matching import match, true_times
from export.data.recording import Interval
from export.metrics import DetectedEvent
from stream.decisions.poisson import upper_bound
from stream.decisions.spec import ClassRule, DetectorSpec

LABELS = ("a", "b")


def heard(
    seconds: float, truth: tuple[Interval, ...] = (), kind: str = "own", probs: np.ndarray | None = None
) -> HeardStream:
    """A stream of 100 rows a second at 16 kHz."""
    rows = round(seconds * 100)
    values = np.zeros((rows, 2), np.float32) if probs is None else probs.astype(np.float32)
    samples = 200 + 160 * np.arange(rows, dtype=np.int64)
    return HeardStream(values, samples, 16000, 160, 200, rows * 160, truth, kind)


def matched(truth: list[tuple[float, float]], found: list[tuple[float, float]]) -> tuple[int, int, int, int]:
    """found, merged, doubled, false."""
    times = np.array(found).reshape(-1, 2)
    events = true_times([Interval("a", *each) for each in truth], "a")
    result = match(events, times[:, 0], times[:, 1], times[:, 0] + 0.1)
    return (
        int(result.found.sum()),
        int(result.merged.sum()),
        int(result.doubled.sum()),
        int(result.false.sum()),
    )


@pytest.mark.parametrize(
    ("truth", "found", "counts"),
    [
        ([(1, 2)], [(1.2, 1.9)], (1, 0, 0, 0)),
        ([(1, 2)], [(2.4, 2.6)], (1, 0, 0, 0)),  # late, within half a second
        ([(1, 2)], [(2.6, 2.8)], (0, 0, 0, 1)),  # too late
        ([(1, 2)], [(0.2, 0.9)], (0, 0, 0, 1)),  # over before it began
        ([(1, 2)], [(1.1, 1.3), (1.6, 1.9)], (1, 0, 1, 0)),
        ([(1, 2)], [(1.1, 1.3), (1.6, 1.9), (2.1, 2.2)], (1, 0, 2, 0)),
        ([(1, 2), (3, 4)], [(1.1, 3.9)], (1, 1, 0, 0)),  # one report for two events
        ([(1, 2), (2.3, 3)], [(1.2, 1.9), (2.35, 3)], (2, 0, 0, 0)),
        ([(1, 2), (2.2, 3)], [(1.2, 3)], (1, 0, 0, 0)),  # pieces close together are one event
        ([], [(1, 1.5), (3, 4)], (0, 0, 0, 2)),
        ([], [(0, 59.5)], (0, 0, 0, 6)),  # what goes on counts every ten seconds
        ([(1, 2)], [(0.6, 1.9)], (1, 0, 0, 0)),  # a little early
        ([(5, 6)], [(4, 7)], (0, 1, 0, 1)),  # on before there was anything: told of nothing
        ([(5, 6), (8, 9)], [(1, 20)], (0, 2, 0, 2)),
        ([(1, 2)], [(1.2, 31)], (1, 0, 0, 2)),  # nor is a right beginning an excuse
    ],
)
def test_matching_by_hand(
    truth: list[tuple[float, float]], found: list[tuple[float, float]], counts: tuple[int, int, int, int]
) -> None:
    assert matched(truth, found) == counts


def test_no_count_says_little_of_few_minutes() -> None:
    assert upper_bound(0, 1) == pytest.approx(2.996, abs=1e-3)  # the rule of three
    assert upper_bound(0, 0.1) == pytest.approx(29.96, abs=1e-2)
    assert upper_bound(3, 1) == pytest.approx(7.754, abs=1e-3)  # tables of Poisson limits
    assert upper_bound(500, 1) == pytest.approx(538.6, abs=0.3)
    assert upper_bound(0, 0) == np.inf


def report() -> EventReport:
    truth = (Interval("a", 1, 2), Interval("a", 5, 6), Interval("b", 8, 9))
    events = (
        DetectedEvent("a", 1.2, 1.9, 1.4),
        DetectedEvent("a", 1.95, 2.2, 2.1),  # doubled
        DetectedEvent("b", 5.1, 5.8, 5.3),  # another class: false
        DetectedEvent("b", 7.8, 9.0, 7.9),  # found, and on before: no delay
    )
    return event_report(
        [
            (heard(36, truth), events),
            (heard(36, kind="music"), (DetectedEvent("b", 3.0, 4.0, 3.2),)),
            (heard(72, kind="noise"), ()),
        ],
        LABELS,
    )


def test_report_by_hand() -> None:
    found = report()
    a, b, both = found.classes["a"], found.classes["b"], found.total
    assert (a.events, a.found, a.missed, a.doubled, a.false["own"]) == (2, 1, 1, 1, 0)
    assert (b.events, b.found, b.missed, b.doubled, b.false["own"]) == (1, 1, 0, 0, 1)
    assert (both.events, both.found, both.missed, both.doubled) == (3, 2, 1, 1)
    assert both.false == {"music": 1, "noise": 0, "own": 1}
    assert a.delay() == pytest.approx(0.4)
    assert b.delay() is None
    # 100 an hour in music, none in noise: 50 in an hour of both halves.
    assert found.false_per_hour == pytest.approx(50)
    assert found.false_per_hour_at_most > 90


def test_report_as_plain_figures() -> None:
    plain = report().to_dict()
    assert plain["hours"] == pytest.approx({"music": 0.01, "noise": 0.02, "own": 0.01})
    assert plain["classes"]["b"]["false"]["music"]["per_hour"] == pytest.approx(100)
    assert plain["all"]["false"]["noise"] == {
        "events": 0,
        "per_hour": 0.0,
        "per_hour_at_most": pytest.approx(149.8, abs=0.1),
    }
    assert set(plain["classes"]) == {"a", "b"}


def test_a_class_that_is_no_event_is_left_out() -> None:
    found = event_report([(heard(10, (Interval("a", 1, 2), Interval("b", 3, 4))), ())], LABELS, ("b",))
    assert list(found.classes) == ["a"]
    assert found.total.events == 1


def test_heard_events_are_those_of_the_live_detector() -> None:
    """Onset, end and time of report follow the rows' samples and lag."""
    probs = np.zeros((500, 2))
    probs[100:200, 0] = 0.9
    rule = DetectorSpec(default=ClassRule(threshold=0.5, min_on=0.1, smoothing=0))
    (event,) = heard_events(heard(5, probs=probs), LABELS, rule)
    assert event.label == "a"
    assert (event.onset, event.offset) == pytest.approx(
        (1.0075, 2.0075)
    )  # half a hop before the row's sample
    assert event.decided == pytest.approx((200 + 109 * 160 + 200) / 16000)
