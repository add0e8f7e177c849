"""What a run leaves in its history: events, curves, minutes, gaps, states, marks, clips; the same in any chunks."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import TryAgain, UsageError
from stream.logbook.contents import HeardEvent, Minute
from stream.logbook.promise import promised_rates
from stream.logbook.reader import HistoryReader, read_minutes
from stream.messages import Chunk, Event, Gap, SourceInfo, Status
from stream.outputs.clip_paths import ClipPaths
from stream.outputs.history import History, keep_seconds
from tests.support.simulated_history import HOP, LABELS, NOON, RATE, context, result, rows
from tests.support.toy_models import toy_card

LATER = 1e10  # a reader's clock: whoever has not ended is dead


def event(number: int = 0, offset: int | None = None, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "id": number,
        "label": "knock",
        "onset": 5 * RATE,
        "offset": offset,
        "peak": 0.9,
        "mean": 0.5,
        "sample_rate": RATE,
        "decided": (offset or 6 * RATE) + RATE,
    }
    return Event(**(fields | changes))


def read(path: Path, now: float = LATER) -> tuple[list[HeardEvent], list[Minute]]:
    with HistoryReader(path, now) as history:
        return list(history.events()), list(history.minutes())


def test_an_event_is_there_from_its_onset_on_and_has_its_curve_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    probs = np.zeros((100, 3), np.float32)
    probs[50:80, 1] = 0.75
    history.result(result(rows(0, probs[:65]), 6 * RATE + 500, event(), captured_at=6.5))
    (begun,), _ = read(path, now=NOON)
    assert (begun.label, begun.onset, begun.is_on, begun.cut) == ("knock", NOON + 5, True, False)
    assert begun.seconds >= 0
    history.result(result(rows(65 * HOP, probs[65:]), 10 * RATE, event(offset=8 * RATE), captured_at=10.0))
    (ended,), _ = read(path, now=NOON)
    assert (ended.offset, ended.is_on, ended.cut, ended.peak) == (NOON + 8, False, False, 0.9)
    assert msgspec.json.decode(ended.rule)["threshold"] == 0.5
    # From two seconds before the onset to the decision, a point a row.
    assert (ended.curve_start, ended.curve_step) == (-2.0, HOP / RATE)
    assert len(ended.curve) == 60
    np.testing.assert_allclose(ended.curve, probs[30:90, 1], atol=0.003)
    history.close()
    with HistoryReader(path, LATER) as opened:
        (run,) = opened.runs
        assert run.ended is not None
        assert (run.source, run.labels, run.live, run.promised) == ("kitchen", LABELS, True, None)


def test_a_curve_stays_small_however_long_the_event_and_keeps_its_peaks(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    history.result(result(rows(0, np.full((60, 3), 0.1)), 6 * RATE, event(), captured_at=6.0))
    hour = np.full((36_000, 3), 0.25)
    hour[17_000, 1] = 1.0
    end = 6 * RATE + 36_000 * HOP
    history.result(result(rows(6 * RATE, hour), end, captured_at=3606.0))
    tail = rows(end, np.full((20, 3), 0.1))
    history.result(result(tail, end + 2 * RATE, event(offset=end, decided=end + RATE), captured_at=3608.0))
    history.close()
    (heard,), _ = read(path)
    assert 256 < len(heard.curve) <= 512
    assert heard.curve.max() == 1.0
    at = (6 + 1700 - 5 - heard.curve_start) / heard.curve_step
    assert abs(int(heard.curve.argmax()) - at) <= 1


def test_a_run_that_was_killed_is_cut_by_the_reader_and_then_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    killed = History(context(), str(path))
    killed.result(result(rows(0, np.zeros((200, 3))), 20 * RATE, event(), captured_at=20.0))
    killed._writer._connection.close()  # what a kill leaves: no row for the end
    (seen,), _ = read(path)
    assert (seen.is_on, seen.cut, seen.offset) == (False, True, NOON + 20)
    other = History(context(source=SourceInfo("x", RATE), origin=msgspec_origin("hall")), str(path))
    with HistoryReader(path, NOON + 30) as history:
        assert [event.is_on for event in history.events(source="kitchen")] == [True]
    other.close()
    History(context(wall=lambda: NOON + 90), str(path)).close()
    with HistoryReader(path, NOON + 30) as history:
        (closed,) = history.events(source="kitchen")
        assert (closed.is_on, closed.cut, closed.offset) == (False, True, NOON + 20)
        assert [run.ended is not None for run in history.runs] == [True, True, True]


def msgspec_origin(source: str) -> Any:
    from stream.outputs.records import Origin

    return Origin(source, "toy", "ab" * 32)


def test_a_living_run_takes_back_that_it_was_thought_dead(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    first = History(context(), str(path))
    first.result(result(rows(0, np.zeros((200, 3))), 20 * RATE, event(), captured_at=20.0))
    second = History(context(), str(path))  # another process, with a microphone of the same name
    first.result(
        result(rows(20 * RATE, np.zeros((200, 3))), 40 * RATE, event(offset=30 * RATE), captured_at=40.0)
    )
    events, _ = read(path)
    assert [(e.offset, e.cut) for e in events] == [(NOON + 30, False)]
    with HistoryReader(path, NOON + 41) as history:
        assert history.is_alive(history.runs[0])
    first.close()
    second.close()


def test_minutes_say_what_was_heard(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    probs = np.zeros((1200, 3), np.float32)
    probs[100:150, 0] = 0.6  # five seconds of bark
    probs[700, 2] = 0.3
    sound = np.full(120 * RATE, 0.1, np.float32)
    sound[: RATE // 2] = np.nan
    sound[90 * RATE : 90 * RATE + 200] = 1.0
    history.chunk(Chunk(sound, 0, RATE, 120.0))
    begun = event(label="bark", onset=10 * RATE)
    history.result(result(rows(0, probs), 120 * RATE, begun, captured_at=120.0))
    history.close()
    first, second = read_minutes(path)
    assert (first.start, second.start) == (NOON, NOON + 60)
    assert (first.heard, second.heard, first.lost) == (60.0, 60.0, 0.0)
    assert (first.seconds, second.seconds) == ({"bark": 5.0}, {})
    assert (first.events, second.events) == ({"bark": 1}, {})
    np.testing.assert_allclose(first.peaks, [0.6, 0, 0], atol=1e-5)
    np.testing.assert_allclose(second.peaks, [0, 0, 0.3], atol=1e-5)
    assert (first.sound, second.sound) == (59.5, 60.0)
    assert (first.mean_dbfs, first.max_dbfs) == (-20.0, -20.0)
    assert second.max_dbfs == 0.0
    assert second.mean_dbfs == pytest.approx(10 * math.log10((59.8 * 0.01 + 0.2) / 60), abs=0.01)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=12), st.integers(0, 2**32))
def test_any_chunks_give_the_same_minutes(tmp_path_factory: Any, cuts: list[int], seed: int) -> None:
    numbers = np.random.default_rng(seed)
    probs = numbers.random((900, 3)).astype(np.float32)
    sound = numbers.normal(0, 0.1, 90 * RATE).astype(np.float32)
    folder = tmp_path_factory.mktemp("chunks")

    def minutes(name: str, lengths: list[int]) -> list[Minute]:
        history = History(
            context(
                source=SourceInfo("talk.flac", RATE),
                detector=DetectorSpec(default=ClassRule(smoothing=0.4)),
            ),
            str(folder / name),
        )
        at = 0
        for length in [*lengths, 900]:
            end = min(at + length, 900)
            history.chunk(Chunk(sound[at * HOP : end * HOP], at * HOP, RATE))
            history.result(result(rows(at * HOP, probs[at:end]), end * HOP))
            at = end
        history.close()
        return read_minutes(folder / name)

    for one, other in zip(minutes("whole", []), minutes("cut", cuts), strict=True):
        np.testing.assert_array_equal(one.peaks, other.peaks)
        assert (one.start, one.heard, one.max_dbfs) == (other.start, other.heard, other.max_dbfs)
        assert one.seconds == pytest.approx(other.seconds)
        assert one.mean_dbfs == pytest.approx(other.mean_dbfs, abs=0.011)


def test_lost_sound_states_and_marks_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    history.status(Status("recovering", 30 * RATE, RATE, "unplugged", 30.0))
    gap = Gap(30 * RATE, 100 * RATE, RATE)
    history.result(
        result(
            rows(0, np.zeros((300, 3))), 30 * RATE, captured_at=30.0, opened=(Gap(30 * RATE, 5 * RATE, RATE),)
        )
    )
    with HistoryReader(path, LATER) as reader:
        assert [(lost.seconds, lost.is_open) for lost in reader.lost()] == [(5.0, True)]
    history.result(result(rows(130 * RATE, np.zeros((10, 3))), 131 * RATE, captured_at=131.0, gaps=(gap,)))
    history.mark(NOON, "what was that?")
    history.chunk(Chunk(np.empty(0, np.float32), 131 * RATE, RATE, 131.0))
    with HistoryReader(path, LATER) as reader:
        assert [(lost.start, lost.seconds, lost.is_open) for lost in reader.lost()] == [
            (NOON + 30, 100.0, False)
        ]
        assert [(state.at, state.state, state.detail) for state in reader.states()] == [
            (NOON + 30, "recovering", "unplugged")
        ]
        assert [(mark.at, mark.text) for mark in reader.marks()] == [(NOON, "what was that?")]
    history.close()
    _, minutes = read(path)
    assert [(minute.start - NOON, minute.lost) for minute in minutes] == [(0, 30), (60, 60), (120, 10)]


def test_a_gap_of_months_makes_no_million_rows(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    length = 200 * 86400 * RATE
    end = length + RATE
    history.result(
        result(rows(length, np.zeros((10, 3))), end, captured_at=end / RATE, gaps=(Gap(0, length, RATE),))
    )
    history.close()
    _, minutes = read(path)
    assert len(minutes) < 1500
    with HistoryReader(path, LATER) as reader:
        assert [lost.seconds for lost in reader.lost()] == [200 * 86400.0]


def test_the_times_of_a_recording_count_from_the_start_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(source=SourceInfo("talk.flac", RATE)), str(path))
    history.result(result(rows(0, np.zeros((100, 3))), 10 * RATE, event(), event(offset=7 * RATE)))
    history.close()
    (heard,), _ = read(path)
    assert (heard.onset, heard.offset, heard.run.live) == (NOON + 5, NOON + 7, False)


def test_a_clock_that_is_set_back_adds_to_the_minute_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    for at, captured in ((0, 60.0), (1, 3000.0), (2, 6000.0), (3, 9000.0), (4, 12000.0), (5, 60.0)):
        scores = rows(60 * at * RATE, np.full((600, 3), 0.1 * at))
        history.result(result(scores, 60 * (at + 1) * RATE, captured_at=captured))
    history.close()
    minutes = {minute.start - NOON: minute for minute in read_minutes(path)}
    assert minutes[0].heard == 120.0
    assert minutes[0].peaks[0] == pytest.approx(0.5, abs=1e-4)


def test_what_could_not_be_written_is_counted_once_when_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    from stream.logbook import file

    monkeypatch.setattr(file, "BUSY_SECONDS", 0.05)
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    message = result(rows(0, np.full((600, 3), 0.7)), 60 * RATE, event(), captured_at=60.0)
    for _ in range(3):
        with pytest.raises(TryAgain, match="another program"):
            history.result(message)
    other.execute("ROLLBACK")
    history.result(message)
    other.close()
    history.close()
    events, (minute,) = read(path)
    assert len(events) == 1
    assert minute.heard == 60.0
    assert minute.events == {"knock": 1}


def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    limit = history._writer._connection.execute
    (pages,) = limit("PRAGMA page_count").fetchone()
    limit(f"PRAGMA max_page_count = {pages + 2}")
    reported: list[int] = []
    for number in range(300):
        scores = rows(number * RATE, np.zeros((10, 3)))
        one = event(number, onset=number * RATE)
        message = result(scores, (number + 1) * RATE, one, captured_at=number + 1.0)
        try:
            history.result(message)
        except TryAgain:
            break
        reported.append(number)
    with pytest.raises(TryAgain, match="make room"):
        history.result(message)
    assert 0 < len(reported) < 300
    limit("PRAGMA max_page_count = 100000")
    history.result(message)
    history.close()
    events, _ = read(path)
    assert [event.number for event in events] == [*reported, len(reported)]


def test_a_file_that_is_moved_away_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    history.result(result(rows(0, np.zeros((10, 3))), RATE, event(0), captured_at=1.0))
    path.rename(tmp_path / "old.sqlite")
    history.result(result(rows(70 * RATE, np.zeros((10, 3))), 71 * RATE, captured_at=71.0))
    history.result(
        result(rows(72 * RATE, np.zeros((10, 3))), 73 * RATE, event(1, offset=72 * RATE), captured_at=73.0)
    )
    history.close()
    assert "moved away" in caplog.text
    events, _ = read(path)
    assert [event.number for event in events] == [1]


def test_old_rows_of_this_source_go(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    day = 86400
    for source, began in (("kitchen", NOON - 9 * day), ("hall", NOON - 9 * day), ("kitchen", NOON - day)):
        old = History(context(origin=msgspec_origin(source), wall=lambda began=began: began), str(path))
        old.result(result(rows(0, np.ones((100, 3))), 10 * RATE, event(), captured_at=10.0))
        old.mark(began, "x")
        old.close()
    keeper = History(context(), str(path), keep_seconds("7d"))
    keeper.result(result(rows(0, np.ones((900, 3))), 90 * RATE, captured_at=90.0))
    keeper.close()
    with HistoryReader(path, LATER) as history:
        left = [(event.run.source, event.onset) for event in history.events()]
        assert left == [("hall", NOON - 9 * day + 5), ("kitchen", NOON - day + 5)]
        assert len([run for run in history.runs if run.source == "kitchen"]) == 2
        assert {minute.run.source for minute in history.minutes(until=NOON - 5 * day)} == {"hall"}
        assert len(list(history.marks())) == 2


@pytest.mark.parametrize("text", ["", "7", "0d", "-1d", "nan", "7y", "1e9d", "d"])
def test_a_length_that_is_none_is_refused(text: str) -> None:
    if text == "7":
        assert keep_seconds(text) == 7  # as everywhere: seconds
        return
    with pytest.raises(UsageError, match="--history-keep"):
        keep_seconds(text)


def test_the_clip_of_an_event_is_found_when_it_is_finished(tmp_path: Path) -> None:
    clips = ClipPaths()
    clips.open()
    path = tmp_path / "h.sqlite"
    history = History(context(clips=clips), str(path))
    ended = result(rows(0, np.zeros((100, 3))), 10 * RATE, event(), event(offset=7 * RATE), captured_at=10.0)
    history.result(ended)
    clips.put("", "", 0, tmp_path / "a.flac")
    history.result(result(rows(10 * RATE, np.zeros((10, 3))), 11 * RATE, captured_at=11.0))
    (heard,), _ = read(path)
    assert heard.clip == str(tmp_path / "a.flac")
    history.close()


def test_the_last_clip_of_a_recording_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.outputs.history.LAST_CLIPS_SECONDS", 0.0)  # of sound that is live
    clips = ClipPaths()
    clips.open()
    path = tmp_path / "h.sqlite"
    recording = SourceInfo("a.wav", RATE, live=False)
    history = History(context(clips=clips, source=recording), str(path))
    history.result(result(rows(0, np.zeros((100, 3))), 10 * RATE, event(offset=7 * RATE)))
    late = threading.Timer(0.1, clips.put, ["", "", 0, tmp_path / "a.flac"])
    late.start()
    history.close()
    late.join(20)
    (heard,), _ = read(path)
    assert heard.clip == str(tmp_path / "a.flac")


def test_scores_of_another_model_are_left_out_and_its_events_too(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    history = History(context(), str(path))
    history.result(result(rows(0, np.ones((10, 3))), RATE, captured_at=1.0, model="a"))
    history.result(result(rows(0, np.ones((10, 3))), RATE, event(), captured_at=1.0, model="b"))
    history.close()
    events, (minute,) = read(path)
    assert events == []
    assert minute.heard == 1.0


def test_cold_rows_and_those_beyond_a_gap_are_not_averaged(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    rule = DetectorSpec(default=ClassRule(smoothing=1.0))
    history = History(context(detector=rule), str(path))
    cold = msgspec.structs.replace(rows(0, np.ones((10, 3))), warm=np.zeros(10, np.bool_))
    history.result(result(cold, RATE, captured_at=1.0))
    history.result(result(rows(RATE, np.zeros((10, 3))), 2 * RATE, captured_at=2.0))
    history.result(result(rows(9 * RATE, np.full((1, 3), 0.8)), 10 * RATE, captured_at=10.0))
    history.close()
    (minute,) = read_minutes(path)
    assert minute.heard == pytest.approx(1.1)
    np.testing.assert_allclose(minute.peaks, 0.8, atol=1e-5)


def test_promises_are_found_wherever_a_card_has_them() -> None:
    card = toy_card(metrics={"false_alarms_per_hour": 0.5, "taught": {"music": {"false_per_day": 24}}})
    assert promised_rates(card, card.detector) == {"": 0.5, "music": 1.0}
    released = toy_card(metrics={"events": {"noise": {"false_per_hour": 6.0}, "music": "x"}})
    assert promised_rates(released, released.detector) == {"noise": 6.0}
    calibrated = toy_card(
        metrics={"false_alarms_per_hour": 9.0},
        provenance={
            "calibration": {
                "promise": {"at_most_per_hour": 0.25},
                "classes": {"music": {"at_most_per_hour": 0.1}},
            }
        },
    )
    assert promised_rates(calibrated, calibrated.detector) == {"": 0.25, "music": 0.1}
    assert promised_rates(calibrated, DetectorSpec()) is None
    assert promised_rates(toy_card(), toy_card().detector) is None
