"""What is shown is what happened: counts, levels, times, and nothing that grows."""

from __future__ import annotations

import threading
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

from stream.features.frontend import extract, picture
from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec, WaveformSpec
from stream.messages import Chunk, Gap, Result, Scores
from stream.telemetry import Readings, Telemetry
from tests.support.watched import HOP, LABELS, RATE, Watched, busy_scene, event

COLUMN = 1600


def same(a: Readings, b: Readings, but: tuple[str, ...] = ()) -> None:
    for field in fields(Readings):
        if field.name not in but:
            np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), err_msg=field.name)


def test_before_anything_was_heard_there_is_a_whole_snapshot() -> None:
    readings = Watched().telemetry.read()
    assert np.isnan(readings.probs).all()
    assert np.isnan(readings.timeline).all()
    assert np.isnan(readings.spectrum).all()
    assert readings.newest_column == -1
    assert readings.rms_dbfs == -100.0
    assert np.isnan(readings.latency_p50_ms)
    assert readings.events == ()
    assert not readings.warm


def test_newest_probabilities_thresholds_and_names() -> None:
    scene = Watched()
    scene.push([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    readings = scene.telemetry.read()
    np.testing.assert_allclose(readings.probs, [0.4, 0.5, 0.6])
    np.testing.assert_allclose(readings.thresholds, [0.6, 0.6, np.nan])
    assert (readings.model, readings.provider, readings.labels) == ("house sounds", "cpu", LABELS)
    assert readings.stream_seconds == 2 * HOP / RATE


def test_one_big_push_shows_the_same_as_many_small_ones() -> None:
    rng = np.random.default_rng(0)
    rows = 6000  # 60 s: more than is kept
    probs = rng.random((rows, 3)).astype(np.float32)
    samples = rng.normal(0, 0.2, rows * HOP).astype(np.float32)
    features = rng.normal(0, 9, (rows, 40)).astype(np.float32)
    whole, pieces = Watched(), Watched()
    whole.push(probs, samples=samples, features=features)
    cuts = [0, 1, 2, 9, 10, 11, 500, 507, *range(508, 700), 3000, 3001, rows]
    for a, b in pairwise(cuts):
        pieces.push(probs[a:b], samples=samples[a * HOP : b * HOP], features=features[a:b])
    a, b = whole.telemetry.read(), pieces.telemetry.read()
    floats = ("spectrum", "rms_dbfs", "lag_seconds", "real_time_factor")
    same(a, b, but=("version", "source", "state_seconds", "latency_p99_ms", "latency_p50_ms", *floats))
    np.testing.assert_allclose(a.spectrum, b.spectrum, atol=1e-3)
    assert a.rms_dbfs == pytest.approx(b.rms_dbfs, abs=1e-4)
    newest = probs[-10:].max(axis=0)
    np.testing.assert_array_equal(a.timeline[:, -1], newest)


def test_the_past_is_forgotten_and_samples_count_past_two_to_the_31() -> None:
    scene = Watched()
    scene.push(np.full((10, 3), 0.9))
    size = scene.telemetry.read().timeline.shape
    scene.end = 2**31 + 7 * COLUMN
    scene.push(np.full((10, 3), 0.2))
    readings = scene.telemetry.read()
    assert readings.timeline.shape == size
    assert readings.newest_column == (scene.end - 1) // COLUMN
    np.testing.assert_array_equal(np.nanmax(readings.timeline, axis=1), np.full(3, 0.2, np.float32))


def test_events_and_compute_times_are_bounded() -> None:
    scene = Watched()
    for i in range(1500):
        speech = event(i, "speech", i * HOP, i * HOP + 80)
        scene.push(np.full((1, 3), 0.1), events=(speech,), busy=1e-4 if i else 1e6)
    readings = scene.telemetry.read()
    assert len(readings.events) == 256
    assert readings.events[0].id == 1499
    assert readings.real_time_factor == pytest.approx(0.01)  # the first push is forgotten


def test_a_peak_stands_a_second_and_then_falls_with_stream_time() -> None:
    scene = Watched()
    scene.push(np.tile([0.9, 0.1, 0.1], (10, 1)))
    scene.push(np.full((90, 3), 0.1))
    assert scene.telemetry.read().peaks[0] == pytest.approx(0.9)
    scene.push(np.full((100, 3), 0.1))
    assert scene.telemetry.read().peaks[0] == pytest.approx(0.9 - 0.45, abs=0.06)
    scene.now += 3600  # the wall clock alone changes nothing
    assert scene.telemetry.read().peaks[0] == pytest.approx(0.9 - 0.45, abs=0.06)
    scene.push(np.full((300, 3), 0.1))
    assert scene.telemetry.read().peaks[0] == pytest.approx(0.1)


def test_level_of_a_sine_and_clipping_held_for_a_second() -> None:
    scene = Watched()
    time = np.arange(100 * HOP) / RATE
    scene.push(np.zeros((100, 3)), samples=0.5 * np.sin(2 * np.pi * 440 * time))
    readings = scene.telemetry.read()
    assert readings.rms_dbfs == pytest.approx(-9.03, abs=0.02)
    assert readings.peak_dbfs == pytest.approx(-6.02, abs=0.02)
    assert not readings.clipped
    loud = np.zeros(HOP)
    loud[5] = -1.0
    scene.push(np.zeros((1, 3)), samples=loud)
    scene.push(np.zeros((80, 3)))
    assert scene.telemetry.read().clipped
    scene.push(np.zeros((30, 3)))
    assert not scene.telemetry.read().clipped


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_one_bad_sample_does_not_poison_the_level(bad: float) -> None:
    scene = Watched()
    samples = np.zeros(HOP)
    samples[3] = bad
    scene.push(np.zeros((1, 3)), samples=samples)
    assert np.isfinite(scene.telemetry.read().rms_dbfs)
    scene.push(np.zeros((40, 3)), samples=np.full(40 * HOP, 0.1))
    assert scene.telemetry.read().rms_dbfs == pytest.approx(-20.0, abs=0.01)


@pytest.mark.parametrize(
    "spec",
    [
        MfccSpec(),
        MfccSpec(dct_norm=None),
        MfccSpec(n_mfcc=None),
        MfccSpec(deltas=2),
        MfccSpec(n_mfcc=None, deltas=1),
    ],
)
def test_the_spectrum_of_mfccs_is_the_log_mel_spectrum_again(spec: MfccSpec) -> None:
    rng = np.random.default_rng(1)
    samples = (rng.normal(0, 0.1, 8000) * np.linspace(0, 1, 8000)).astype(np.float32)
    frames = mfcc(samples, spec)
    frames = frames[: len(frames) // 10 * 10]
    wanted = mfcc(samples, MfccSpec(n_mfcc=None))[: len(frames)].reshape(-1, 10, 40).mean(axis=1).T
    scene = Watched(spec=spec)
    scene.push(np.zeros((len(frames), 3)), features=frames)
    spectrum = scene.telemetry.read().spectrum
    assert spectrum.shape[0] == spec.n_mels
    np.testing.assert_allclose(spectrum[:, -wanted.shape[1] :], wanted, atol=2e-3)


def test_fewer_coefficients_give_the_smooth_spectrum() -> None:
    spec = MfccSpec(n_mfcc=13)
    samples = np.random.default_rng(1).normal(0, 0.1, 1600 + 512 - HOP).astype(np.float32)
    scene = Watched(spec=spec)
    scene.push(np.zeros((10, 3)), features=mfcc(samples, spec)[:10])
    spectrum = scene.telemetry.read().spectrum[:, -1]
    exact = mfcc(samples, MfccSpec(n_mfcc=None))[:10].mean(axis=0)
    assert abs(spectrum.mean() - exact.mean()) < 2e-3  # the zeroth coefficient is the mean
    assert np.abs(np.diff(spectrum)).max() < np.abs(np.diff(exact)).max()


def test_gaps_are_counted_to_the_sample_and_marked() -> None:
    scene = Watched()
    scene.push(np.zeros((100, 3)))
    lost = scene.skip(3 * COLUMN + 1)
    scene.push(np.zeros((20, 3)), gaps=(lost, Gap(RATE, 11, RATE, "missing")), repaired=5)
    readings = scene.telemetry.read()
    assert (readings.lost_samples, readings.missing_samples) == (3 * COLUMN + 1, 11)
    assert (readings.gap_count, readings.repaired_samples) == (2, 5)
    marked = np.flatnonzero(readings.gaps) + readings.newest_column - readings.gaps.size + 1
    assert marked.tolist() == [10, 11, 12, 13]


def test_columns_of_a_cold_model_are_marked() -> None:
    scene = Watched()
    scene.push(np.zeros((15, 3)), warm=False)
    assert not scene.telemetry.read().warm
    scene.push(np.zeros((15, 3)))
    readings = scene.telemetry.read()
    assert readings.warm
    assert readings.cold[-3:].tolist() == [True, True, False]


def test_an_event_runs_until_its_offset_is_known() -> None:
    scene = Watched()
    scene.push(np.zeros((100, 3)), events=(event(0, "dog bark", 5 * COLUMN),))
    readings = scene.telemetry.read()
    assert readings.events[0].offset is None
    assert readings.active[1, -10:].tolist() == [False] * 5 + [True] * 5
    scene.push(np.zeros((50, 3)), events=(event(0, "dog bark", 5 * COLUMN, 8 * COLUMN),))
    readings = scene.telemetry.read()
    assert len(readings.events) == 1
    assert readings.active[1, -15:].tolist() == [False] * 5 + [True] * 3 + [False] * 7
    assert not readings.active[[0, 2]].any()
    assert readings.events[0].offset == 8 * COLUMN


def test_events_come_newest_first() -> None:
    scene = Watched()
    events = (event(0, "speech", 5), event(1, "dog bark", 900), event(2, "speech", 300))
    scene.push(np.zeros((10, 3)), events=events)
    assert [e.id for e in scene.telemetry.read().events] == [1, 2, 0]


def test_latency_load_and_lag() -> None:
    scene = Watched()
    for i in range(100):
        scene.push(np.zeros((1, 3)), busy=(i + 1) * 1e-5)
    readings = scene.telemetry.read()
    assert readings.latency_p50_ms == pytest.approx(0.505, abs=1e-6)
    assert readings.latency_p99_ms == pytest.approx(0.990, abs=1e-3)
    assert readings.real_time_factor == pytest.approx(0.0505, abs=1e-6)
    assert readings.lag_seconds == pytest.approx(0.012, abs=1e-6)


def test_a_file_lags_by_how_far_it_is_behind_its_schedule() -> None:
    scene = Watched(live=False)
    for _ in range(10):
        scene.push(np.zeros((10, 3)))
    assert scene.telemetry.read().lag_seconds == pytest.approx(0, abs=1e-6)
    scene.now += 0.7
    scene.push(np.zeros((10, 3)))
    assert scene.telemetry.read().lag_seconds == pytest.approx(0.7, abs=1e-6)
    scene.now -= 5  # faster than real time is not late
    scene.push(np.zeros((10, 3)))
    assert scene.telemetry.read().lag_seconds == pytest.approx(0, abs=1e-6)


def test_states_know_how_long_they_last() -> None:
    scene = Watched()
    scene.push(np.zeros((10, 3)))
    scene.heartbeat("recovering", 0.0, "device disconnected")
    scene.heartbeat("recovering", 12.0, "device disconnected")
    readings = scene.telemetry.read()
    assert (readings.state, readings.state_detail) == ("recovering", "device disconnected")
    assert readings.state_seconds == pytest.approx(12.0)
    scene.now += 3
    assert scene.telemetry.read().state_seconds == pytest.approx(15.0)
    scene.heartbeat("recovering", 1.0, "still looking for it")  # another reason, the same state
    readings = scene.telemetry.read()
    assert readings.state_detail == "still looking for it"
    assert readings.state_seconds == pytest.approx(16.0)
    scene.push(np.zeros((1, 3)))
    readings = scene.telemetry.read()
    assert (readings.state, readings.state_detail) == ("listening", "")
    assert readings.state_seconds < 1


def test_every_result_is_a_new_version_and_that_of_a_flush_has_no_chunk() -> None:
    scene = Watched()
    scene.push(np.zeros((10, 3)))
    before = scene.telemetry.read()
    scores = Scores(np.ones((1, 3), np.float32), np.array([1600]), np.array([True]), LABELS, RATE, HOP)
    scene.telemetry.result(Result(scores, np.zeros((1, 40), np.float32), end=1760))
    after = scene.telemetry.read()
    assert after.version == before.version + 1
    assert after.probs.tolist() == [1, 1, 1]


def test_a_snapshot_never_changes_and_inputs_are_not_kept() -> None:
    scene = busy_scene()
    first = scene.telemetry.read()
    copies = {
        f.name: np.copy(getattr(first, f.name))
        for f in fields(Readings)
        if f.name not in ("source", "events")
    }
    probs = np.full((500, 3), 0.33, np.float32)
    scene.push(probs)
    probs[:] = 7
    for name, value in copies.items():
        np.testing.assert_array_equal(getattr(first, name), value, err_msg=name)
    assert scene.telemetry.read().probs.max() < 1


def test_drawing_while_working() -> None:
    scene = Watched()
    done = threading.Event()
    torn: list[str] = []

    def draw() -> None:
        version = 0
        while not done.is_set():
            readings = scene.telemetry.read()
            # Each push writes one value everywhere; a torn readings would show two.
            if version and readings.timeline[0, -1] != readings.probs[0]:
                torn.append(f"{readings.timeline[0, -1]} {readings.probs[0]}")
            if readings.version < version:
                torn.append("version went back")
            version = readings.version

    thread = threading.Thread(target=draw, daemon=True)
    thread.start()
    samples, features = np.zeros(COLUMN, np.float32), np.zeros((10, 40), np.float32)
    for i in range(400):
        value = np.float32((i % 100) / 100)
        rows = Scores(
            np.full((10, 3), value),
            i * COLUMN + np.arange(10) * HOP,
            np.ones(10, np.bool_),
            LABELS,
            RATE,
            HOP,
        )
        scene.telemetry.chunk(Chunk(samples, i * COLUMN, RATE, float(i)))
        scene.telemetry.result(Result(rows, features, end=(i + 1) * COLUMN))
    done.set()
    thread.join(20)
    assert not thread.is_alive()
    assert torn == []


def test_looking_often_shows_what_one_look_at_the_end_shows() -> None:
    """The spectrum is brought up to date column by column; looking in between, at odd moments, changes nothing."""
    rng = np.random.default_rng(0)
    often, once = Watched(), Watched()
    for rows in (3, 250, 1, 7000, 40, 0, 5, 9, 8, 300):
        probs = rng.random((rows, len(LABELS))).astype(np.float32)
        features = rng.standard_normal((rows, 40)).astype(np.float32)
        for watched in (often, once):
            if rows:
                watched.push(probs, features=features)
        often.telemetry.read()
    a, b = often.telemetry.read(), once.telemetry.read()
    np.testing.assert_array_equal(np.isnan(a.spectrum), np.isnan(b.spectrum))
    np.testing.assert_allclose(a.spectrum, b.spectrum, rtol=1e-5, atol=1e-4)
    assert np.isfinite(a.spectrum).any()


def test_levels_are_those_of_the_captured_sound_at_any_rate() -> None:
    """Chunks at a rate that does not divide into columns: every sample counts once, in the column of its time."""
    rate = 11025  # a column is 1102.5 of these samples
    scene = Watched()
    loud = np.zeros(2 * rate, np.float32)
    loud[1103:2205] = 0.5  # all of the second column
    rows = np.full((10, 3), 0.1, np.float32)
    for at in range(0, len(loud), 735):
        chunk = Chunk(loud[at : at + 735], at, rate, scene.now)
        scene.telemetry.chunk(chunk)
        scores = Scores(rows, np.zeros(10, np.int64), np.ones(10, np.bool_), LABELS, RATE, HOP)
        end = chunk.end * RATE // rate
        scene.telemetry.result(Result(scores, np.zeros((10, 40), np.float32), end=end))
        if chunk.end == 2205:
            readings = scene.telemetry.read()
            assert readings.newest_column == 1
            assert readings.peak_dbfs == pytest.approx(-6.02, abs=0.01)
            assert readings.rms_dbfs == pytest.approx(20 * np.log10(0.5 * np.sqrt(1102 / 2205)), abs=1e-3)
    assert scene.telemetry.read().stream_seconds == 2.0
    columns = scene.telemetry._columns.arrays()
    counts = columns.energy_count[-20:]
    assert counts.sum() == len(loud)
    assert set(counts.tolist()) == {1102, 1103}
    assert columns.energy[-20:].nonzero()[0].tolist() == [1]


@pytest.mark.parametrize("rate", [8000, 48000])
def test_the_position_is_that_of_the_newest_sound(rate: int) -> None:
    """Not of the newest result, which a resampler or a repair may hold back."""
    scene = Watched()
    scene.telemetry.chunk(Chunk(np.ones(rate, np.float32), 0, rate, scene.now))
    scene.push(np.zeros((90, 3)), samples=[])
    readings = scene.telemetry.read()
    assert readings.stream_seconds == 1.0
    assert readings.newest_column == 9
    assert readings.real_time_factor == pytest.approx(1e-4)


def test_sound_counts_once_its_result_has_come() -> None:
    scene = Watched()
    scene.push(np.zeros((10, 3)))
    before = scene.telemetry.read()
    scene.telemetry.chunk(Chunk(np.ones(COLUMN, np.float32), COLUMN, RATE, scene.now))
    same(before, scene.telemetry.read())
    scene.end += COLUMN
    scene.push(np.zeros((10, 3)))
    assert scene.telemetry.read().clipped


def test_of_several_classifiers_only_the_one_that_is_shown_counts() -> None:
    scene = Watched()
    shown = Telemetry(scene.card, scene.telemetry.read().source, stream="kitchen", model="house@1")
    rows = Scores(np.full((1, 3), 0.7, np.float32), np.array([0]), np.array([True]), LABELS, RATE, HOP)
    frames = np.zeros((1, 40), np.float32)
    for stream, model in (("kitchen", "other@2"), ("cellar", "house@1"), ("kitchen", "house@1")):
        assert np.isnan(shown.read().probs).all()
        shown.result(Result(rows, frames, end=HOP, stream=stream, model=model))
    assert shown.read().probs.tolist() == pytest.approx([0.7] * 3)


def test_another_front_end_has_its_own_picture() -> None:
    spec = WaveformSpec(sample_rate=RATE, hop_length=HOP, frame_length=HOP)
    samples = np.sin(2 * np.pi * 1000 * np.arange(COLUMN) / RATE).astype(np.float32)
    scene = Watched(spec=spec)
    scene.push(np.zeros((10, 3)), samples=samples, features=extract(samples, spec))
    spectrum = scene.telemetry.read().spectrum
    assert spectrum.shape[0] == picture(spec).bands
    assert np.isfinite(spectrum[:, -1]).all()
    assert np.isnan(spectrum[:, :-1]).all()


def test_time_goes_on_while_the_source_is_gone() -> None:
    scene = Watched()
    scene.push(np.full((200, 3), 0.8), samples=np.full(200 * HOP, 0.5), events=(event(0, "speech", 0),))
    before = scene.telemetry.read()
    assert not before.stale
    end = scene.end
    for tenths in range(1, 31):
        scene.now += 0.1
        scene.gone(tenths * RATE // 10)
    gone = scene.telemetry.read()
    assert gone.stale
    assert gone.open_gap_seconds == 3.0
    assert gone.stream_seconds == before.stream_seconds + 3.0
    assert (gone.lost_samples, gone.gap_count) == (3 * RATE, 1)
    assert gone.gaps[-30:].all()
    assert not gone.gaps[:-30].any()
    assert gone.rms_dbfs == gone.peak_dbfs == -100.0
    scene.push(np.full((10, 3), 0.1), gaps=(scene.skip(3 * RATE + 500),))
    back = scene.telemetry.read()
    assert not back.stale
    assert back.open_gap_seconds == 0.0
    assert (back.lost_samples, back.gap_count) == (3 * RATE + 500, 1)
    assert back.stream_seconds == (end + 3 * RATE + 500 + 10 * HOP) / RATE


def test_numbers_are_stale_when_no_sound_comes_whatever_the_state() -> None:
    """A network that hangs is not gone yet."""
    scene, recording = Watched(), Watched(live=False)
    for each in (scene, recording):
        each.push(np.full((10, 3), 0.5))
        each.now += 0.9
        assert not each.telemetry.read().stale
        each.now += 0.2
    assert scene.telemetry.read().stale
    assert not recording.telemetry.read().stale
    scene.push(np.full((10, 3), 0.5))
    assert not scene.telemetry.read().stale
