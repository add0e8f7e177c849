"""What is shown is what happened: counts, levels, times, and nothing that grows."""

from __future__ import annotations

import threading
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec
from stream.messages import Chunk, Gap, Result, Scores, Status
from stream.telemetry import Snapshot
from tests.support.watched import HOP, LABELS, RATE, Watched, busy_scene, event

COLUMN = 1600


def same(a: Snapshot, b: Snapshot, but: tuple[str, ...] = ()) -> None:
    for field in fields(Snapshot):
        if field.name not in but:
            np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), err_msg=field.name)


def test_before_anything_was_heard_there_is_a_whole_snapshot() -> None:
    snapshot = Watched().telemetry.snapshot()
    assert np.isnan(snapshot.probs).all()
    assert np.isnan(snapshot.timeline).all()
    assert np.isnan(snapshot.mel).all()
    assert snapshot.newest_column == -1
    assert snapshot.rms_dbfs == -100.0
    assert np.isnan(snapshot.latency_p50_ms)
    assert snapshot.events == ()
    assert not snapshot.warm


def test_newest_probabilities_thresholds_and_names() -> None:
    scene = Watched()
    scene.push([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    snapshot = scene.telemetry.snapshot()
    np.testing.assert_allclose(snapshot.probs, [0.4, 0.5, 0.6])
    np.testing.assert_allclose(snapshot.thresholds, [0.6, 0.6, np.nan])
    assert (snapshot.model, snapshot.provider, snapshot.labels) == ("house sounds", "cpu", LABELS)
    assert snapshot.stream_seconds == 2 * HOP / RATE


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
    a, b = whole.telemetry.snapshot(), pieces.telemetry.snapshot()
    floats = ("mel", "rms_dbfs", "lag_seconds", "real_time_factor")
    same(a, b, but=("version", "source", "state_seconds", "latency_p99_ms", "latency_p50_ms", *floats))
    np.testing.assert_allclose(a.mel, b.mel, atol=1e-3)
    assert a.rms_dbfs == pytest.approx(b.rms_dbfs, abs=1e-4)
    newest = probs[-10:].max(axis=0)
    np.testing.assert_array_equal(a.timeline[:, -1], newest)


def test_the_past_is_forgotten_and_samples_count_past_two_to_the_31() -> None:
    scene = Watched()
    scene.push(np.full((10, 3), 0.9))
    size = scene.telemetry.snapshot().timeline.shape
    scene.end = 2**31 + 7 * COLUMN
    scene.push(np.full((10, 3), 0.2))
    snapshot = scene.telemetry.snapshot()
    assert snapshot.timeline.shape == size
    assert snapshot.newest_column == (scene.end - 1) // COLUMN
    np.testing.assert_array_equal(np.nanmax(snapshot.timeline, axis=1), np.full(3, 0.2, np.float32))


def test_events_and_compute_times_are_bounded() -> None:
    scene = Watched()
    for i in range(1500):
        speech = event(i, "speech", i * HOP, i * HOP + 80)
        scene.push(np.full((1, 3), 0.1), events=(speech,), busy=1e-4 if i else 1e6)
    snapshot = scene.telemetry.snapshot()
    assert len(snapshot.events) == 256
    assert snapshot.events[0].id == 1499
    assert snapshot.real_time_factor == pytest.approx(0.01)  # the first push is forgotten


def test_a_peak_stands_a_second_and_then_falls_with_stream_time() -> None:
    scene = Watched()
    scene.push(np.tile([0.9, 0.1, 0.1], (10, 1)))
    scene.push(np.full((90, 3), 0.1))
    assert scene.telemetry.snapshot().peaks[0] == pytest.approx(0.9)
    scene.push(np.full((100, 3), 0.1))
    assert scene.telemetry.snapshot().peaks[0] == pytest.approx(0.9 - 0.45, abs=0.06)
    scene.now += 3600  # the wall clock alone changes nothing
    assert scene.telemetry.snapshot(scene.now).peaks[0] == pytest.approx(0.9 - 0.45, abs=0.06)
    scene.push(np.full((300, 3), 0.1))
    assert scene.telemetry.snapshot().peaks[0] == pytest.approx(0.1)


def test_level_of_a_sine_and_clipping_held_for_a_second() -> None:
    scene = Watched()
    time = np.arange(100 * HOP) / RATE
    scene.push(np.zeros((100, 3)), samples=0.5 * np.sin(2 * np.pi * 440 * time))
    snapshot = scene.telemetry.snapshot()
    assert snapshot.rms_dbfs == pytest.approx(-9.03, abs=0.02)
    assert snapshot.peak_dbfs == pytest.approx(-6.02, abs=0.02)
    assert not snapshot.clipped
    loud = np.zeros(HOP)
    loud[5] = -1.0
    scene.push(np.zeros((1, 3)), samples=loud)
    scene.push(np.zeros((80, 3)))
    assert scene.telemetry.snapshot().clipped
    scene.push(np.zeros((30, 3)))
    assert not scene.telemetry.snapshot().clipped


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_one_bad_sample_does_not_poison_the_level(bad: float) -> None:
    scene = Watched()
    samples = np.zeros(HOP)
    samples[3] = bad
    scene.push(np.zeros((1, 3)), samples=samples)
    assert np.isfinite(scene.telemetry.snapshot().rms_dbfs)
    scene.push(np.zeros((40, 3)), samples=np.full(40 * HOP, 0.1))
    assert scene.telemetry.snapshot().rms_dbfs == pytest.approx(-20.0, abs=0.01)


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
def test_the_mel_strip_is_the_log_mel_spectrum_again(spec: MfccSpec) -> None:
    rng = np.random.default_rng(1)
    samples = (rng.normal(0, 0.1, 8000) * np.linspace(0, 1, 8000)).astype(np.float32)
    frames = mfcc(samples, spec)
    frames = frames[: len(frames) // 10 * 10]
    wanted = mfcc(samples, MfccSpec(n_mfcc=None))[: len(frames)].reshape(-1, 10, 40).mean(axis=1).T
    scene = Watched(spec=spec)
    scene.push(np.zeros((len(frames), 3)), features=frames)
    mel = scene.telemetry.snapshot().mel
    assert mel.shape[0] == spec.n_mels
    np.testing.assert_allclose(mel[:, -wanted.shape[1] :], wanted, atol=2e-3)


def test_fewer_coefficients_give_the_smooth_spectrum() -> None:
    spec = MfccSpec(n_mfcc=13)
    samples = np.random.default_rng(1).normal(0, 0.1, 1600 + 512 - HOP).astype(np.float32)
    scene = Watched(spec=spec)
    scene.push(np.zeros((10, 3)), features=mfcc(samples, spec)[:10])
    mel = scene.telemetry.snapshot().mel[:, -1]
    exact = mfcc(samples, MfccSpec(n_mfcc=None))[:10].mean(axis=0)
    assert abs(mel.mean() - exact.mean()) < 2e-3  # the zeroth coefficient is the mean
    assert np.abs(np.diff(mel)).max() < np.abs(np.diff(exact)).max()


def test_gaps_are_counted_to_the_sample_and_marked() -> None:
    scene = Watched()
    scene.push(np.zeros((100, 3)))
    lost = scene.skip(3 * COLUMN + 1)
    scene.push(np.zeros((20, 3)), gaps=(lost, Gap(RATE, 11, RATE, "missing")), repaired=5)
    snapshot = scene.telemetry.snapshot()
    assert (snapshot.lost_samples, snapshot.missing_samples) == (3 * COLUMN + 1, 11)
    assert (snapshot.gap_count, snapshot.repaired_samples) == (2, 5)
    marked = np.flatnonzero(snapshot.gaps) + snapshot.newest_column - snapshot.gaps.size + 1
    assert marked.tolist() == [10, 11, 12, 13]


def test_columns_of_a_cold_model_are_marked() -> None:
    scene = Watched()
    scene.push(np.zeros((15, 3)), warm=False)
    assert not scene.telemetry.snapshot().warm
    scene.push(np.zeros((15, 3)))
    snapshot = scene.telemetry.snapshot()
    assert snapshot.warm
    assert snapshot.cold[-3:].tolist() == [True, True, False]


def test_an_event_runs_until_its_offset_is_known() -> None:
    scene = Watched()
    scene.push(np.zeros((100, 3)), events=(event(0, "dog bark", 5 * COLUMN),))
    snapshot = scene.telemetry.snapshot()
    assert snapshot.events[0].offset is None
    assert snapshot.active[1, -10:].tolist() == [False] * 5 + [True] * 5
    scene.push(np.zeros((50, 3)), events=(event(0, "dog bark", 5 * COLUMN, 8 * COLUMN),))
    snapshot = scene.telemetry.snapshot()
    assert len(snapshot.events) == 1
    assert snapshot.active[1, -15:].tolist() == [False] * 5 + [True] * 3 + [False] * 7
    assert not snapshot.active[[0, 2]].any()
    assert snapshot.events[0].offset == 8 * COLUMN


def test_events_come_newest_first() -> None:
    scene = Watched()
    events = (event(0, "speech", 5), event(1, "dog bark", 900), event(2, "speech", 300))
    scene.push(np.zeros((10, 3)), events=events)
    assert [e.id for e in scene.telemetry.snapshot().events] == [1, 2, 0]


def test_latency_load_and_lag() -> None:
    scene = Watched()
    for i in range(100):
        scene.push(np.zeros((1, 3)), busy=(i + 1) * 1e-5)
    snapshot = scene.telemetry.snapshot()
    assert snapshot.latency_p50_ms == pytest.approx(0.505, abs=1e-6)
    assert snapshot.latency_p99_ms == pytest.approx(0.990, abs=1e-3)
    assert snapshot.real_time_factor == pytest.approx(0.0505, abs=1e-6)
    assert snapshot.lag_seconds == pytest.approx(0.012, abs=1e-6)


def test_a_file_lags_by_how_far_it_is_behind_its_schedule() -> None:
    scene = Watched(live=False)
    for _ in range(10):
        scene.push(np.zeros((10, 3)))
    assert scene.telemetry.snapshot().lag_seconds == pytest.approx(0, abs=1e-6)
    scene.now += 0.7
    scene.push(np.zeros((10, 3)))
    assert scene.telemetry.snapshot().lag_seconds == pytest.approx(0.7, abs=1e-6)
    scene.now -= 5  # faster than real time is not late
    scene.push(np.zeros((10, 3)))
    assert scene.telemetry.snapshot().lag_seconds == pytest.approx(0, abs=1e-6)


def test_states_know_how_long_they_last() -> None:
    scene = Watched()
    scene.push(np.zeros((10, 3)))
    scene.heartbeat("recovering", 0.0)
    scene.telemetry.status(Status("recovering", scene.end, RATE, "device disconnected"))
    scene.heartbeat("recovering", 12.0)
    snapshot = scene.telemetry.snapshot()
    assert (snapshot.state, snapshot.state_detail) == ("recovering", "device disconnected")
    assert snapshot.state_seconds == pytest.approx(12.0)
    assert scene.telemetry.snapshot(scene.now + 3).state_seconds == pytest.approx(15.0)
    scene.push(np.zeros((1, 3)))
    snapshot = scene.telemetry.snapshot()
    assert (snapshot.state, snapshot.state_detail) == ("listening", "")
    assert snapshot.state_seconds < 1


def test_every_observation_is_a_new_version_and_a_flush_may_have_no_chunk() -> None:
    scene = Watched()
    scene.push(np.zeros((10, 3)))
    before = scene.telemetry.snapshot()
    scores = Scores(np.ones((1, 3), np.float32), np.array([1600]), np.array([True]), LABELS, RATE, HOP)
    scene.telemetry.observe(None, Result(scores, np.zeros((1, 40), np.float32), end=1760), 0.0, scene.now)
    after = scene.telemetry.snapshot()
    assert after.version == before.version + 1
    assert after.probs.tolist() == [1, 1, 1]


def test_a_snapshot_never_changes_and_inputs_are_not_kept() -> None:
    scene = busy_scene()
    first = scene.telemetry.snapshot()
    copies = {
        f.name: np.copy(getattr(first, f.name))
        for f in fields(Snapshot)
        if f.name not in ("source", "events")
    }
    probs = np.full((500, 3), 0.33, np.float32)
    scene.push(probs)
    probs[:] = 7
    for name, value in copies.items():
        np.testing.assert_array_equal(getattr(first, name), value, err_msg=name)
    assert scene.telemetry.snapshot().probs.max() < 1


def test_drawing_while_working() -> None:
    scene = Watched()
    done = threading.Event()
    torn: list[str] = []

    def draw() -> None:
        version = 0
        while not done.is_set():
            snapshot = scene.telemetry.snapshot()
            # Each push writes one value everywhere; a torn snapshot would show two.
            if version and snapshot.timeline[0, -1] != snapshot.probs[0]:
                torn.append(f"{snapshot.timeline[0, -1]} {snapshot.probs[0]}")
            if snapshot.version < version:
                torn.append("version went back")
            version = snapshot.version

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
        scene.telemetry.observe(
            Chunk(samples, i * COLUMN, RATE, float(i)),
            Result(rows, features, end=(i + 1) * COLUMN),
            1e-4,
            float(i),
        )
    done.set()
    thread.join(20)
    assert not thread.is_alive()
    assert torn == []


def test_looking_often_shows_what_one_look_at_the_end_shows() -> None:
    """The mel strip is brought up to date column by column; looking in between, at odd moments, changes nothing."""
    rng = np.random.default_rng(0)
    often, once = Watched(), Watched()
    for rows in (3, 250, 1, 7000, 40, 0, 5, 9, 8, 300):
        probs = rng.random((rows, len(LABELS))).astype(np.float32)
        features = rng.standard_normal((rows, 40)).astype(np.float32)
        for watched in (often, once):
            if rows:
                watched.push(probs, features=features)
        often.telemetry.snapshot()
    a, b = often.telemetry.snapshot(), once.telemetry.snapshot()
    np.testing.assert_array_equal(np.isnan(a.mel), np.isnan(b.mel))
    np.testing.assert_allclose(a.mel, b.mel, rtol=1e-5, atol=1e-4)
    assert np.isfinite(a.mel).any()
