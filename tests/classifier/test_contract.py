"""The contract that every stateful stage passes: chunk invariance, causality, reset, independence, no aliasing,
edges and time. One file, one set of laws, one adapter a stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from stream.classifier import StreamClassifier
from stream.decisions.derived import DerivedClasses, DerivedSpec
from stream.decisions.detector import Detector
from stream.decisions.smoothing import MovingAverage
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.errors import ClosedError, SnapshotInvalid
from stream.features.conditioner import Conditioner
from stream.features.deltas import CausalDelta
from stream.features.mfcc import StreamingMfcc
from stream.features.repair import Repair
from stream.features.resample import StreamingResampler
from stream.features.spec import MfccSpec, WaveformSpec
from stream.features.waveform import StreamingWaveform
from stream.inference.engine import DeviceEngine, LoneEngine, SlabEngine
from stream.inference.session import Model
from stream.messages import Chunk, Event, Scores
from stream.privacy.redactor import Redactor
from stream.privacy.speech_rule import SpeechRule
from stream.recording import merge
from stream.server.pool import Pool
from stream.snapshot import pack, unpack
from tests.support.sounds import make
from tests.support.toy_models import toy_bytes, toy_card

HOP, WINDOW = 160, 512
SIZES: list[Any] = [1, 7, HOP - 1, HOP, HOP + 1, WINDOW - 1, WINDOW, 1280, "whole", "random"]


@dataclass
class Stage:
    """How the laws see a stage: pieces of input in, arrays out.

    An array holds one thing, (W,), or several, (N, W). Things of one width W are of one kind: rows, events, gaps.
    """

    new: Callable[[], Any]
    feed: Callable[[Any, np.ndarray], list[np.ndarray]]
    end: Callable[[Any], list[np.ndarray]]
    data: Callable[[], np.ndarray]
    causal: bool = True  # outputs of a prefix are the prefix of the outputs, before flush
    closes: bool = True  # has flush, after which push is refused
    stateful_without_reset: bool = True


def damaged() -> np.ndarray:
    sound = make("speech", 16000, 1.0).copy()
    rng = np.random.default_rng(5)
    for at in rng.integers(0, len(sound) - 900, 25):
        sound[at : at + int(rng.integers(1, 400))] = rng.choice([np.nan, np.inf, -np.inf, 1e30])
    sound[9000:9800] = np.nan
    return sound


def probabilities() -> np.ndarray:
    rng = np.random.default_rng(3)
    slow = np.repeat(rng.random((60, 3)), 20, axis=0)
    return np.clip(slow + 0.2 * rng.standard_normal(slow.shape), 0, 1).astype(np.float32)


def scores_of(rows: np.ndarray, first: int) -> Scores:
    sample = 256 + HOP * (first + np.arange(len(rows), dtype=np.int64))
    return Scores(rows, sample, np.ones(len(rows), bool), ("speech", "music", "noise"), 16000, HOP)


def event_rows(events: tuple[Event, ...]) -> list[np.ndarray]:
    """Events as arrays, so that equality means every field to the bit."""
    return [
        np.array(
            [e.id, e.onset, -1 if e.offset is None else e.offset, e.peak, e.mean, e.decided, e.gap, e.cut]
        )
        for e in events
    ]


class CountingDetector:
    """A detector that is told which rows come next, as the classifier does."""

    def __init__(self) -> None:
        rules = DetectorSpec(
            default=ClassRule(threshold=0.6, min_on=0.05, min_off=0.1, refractory=0.3, smoothing=0.05),
            classes={"noise": ClassRule(threshold=0.8, release=0.2, smoothing=0.0, min_on=0, min_off=0)},
        )
        self.detector = Detector(rules, ("speech", "music", "noise"), 16000, HOP, lag=256)
        self.rows = 0

    def push(self, rows: np.ndarray) -> list[np.ndarray]:
        events = self.detector.push(scores_of(rows, self.rows))
        self.rows += len(rows)
        return event_rows(events)

    def flush(self) -> list[np.ndarray]:
        return event_rows(self.detector.flush())

    def reset(self) -> None:
        self.detector.reset()
        self.rows = 0

    def snapshot(self) -> dict[str, Any]:
        return {"detector": self.detector.snapshot(), "rows": self.rows}

    def restore(self, snapshot: dict[str, Any]) -> None:
        self.detector.restore(snapshot["detector"])
        self.rows = snapshot["rows"]


DERIVED = DerivedSpec(groups={"voices": ("speech", "music")}, loud=-20.0)


class FedDerived(DerivedClasses):
    """Derived classes that are given sound, and rows as soon as a window of it is full."""

    fed = made = 0

    def feed(self, x: np.ndarray) -> list[np.ndarray]:
        self.hear(self.fed, x)
        self.fed += len(x)
        rows = max(0, 1 + (self.fed - WINDOW) // HOP) - self.made
        sample = 256 + HOP * (self.made + np.arange(rows, dtype=np.int64))
        self.made += rows
        probs = (sample[:, None] % [700, 900, 1100] / 1100).astype(np.float32)
        return rows_of(self.push(probs, sample))

    def reset(self) -> None:
        super().reset()
        self.fed = self.made = 0

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"fed": self.fed, "made": self.made}

    def restore(self, snapshot: dict[str, Any]) -> None:
        super().restore(snapshot)
        self.fed, self.made = snapshot["fed"], snapshot["made"]


class FedRedactor(Redactor):
    """A redactor that is given sound at one rate, and counts it."""

    def __init__(self, in_rate: int) -> None:
        self.in_rate, self.fed = in_rate, 0
        super().__init__(
            toy_model(warmup=5), SpeechRule(threshold=0.6, smoothing=0.05, before=0.1, after=0.05)
        )

    def feed(self, x: np.ndarray) -> list[np.ndarray]:
        start, self.fed = self.fed, self.fed + len(x)
        return self.samples(self.push(Chunk(x, start, self.in_rate)) if len(x) else [])

    def samples(self, chunks: list[Chunk]) -> list[np.ndarray]:
        return [placed(chunk.start, chunk.samples) for chunk in chunks if len(chunk.samples)]

    def reset(self) -> None:
        super().reset()
        self.fed = 0

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"fed": self.fed}

    def restore(self, snapshot: dict[str, Any]) -> None:
        super().restore(snapshot)
        self.fed = snapshot["fed"]


_MODELS: dict[str, Model] = {}


def toy_model(**changes: Any) -> Model:
    key = repr(changes)
    if key not in _MODELS:
        _MODELS[key] = Model(toy_bytes(toy_card(**changes)))
    return _MODELS[key]


def classifier_output(stage: StreamClassifier, result: Any) -> list[np.ndarray]:
    s = result.scores
    rows = rows_of(np.column_stack([s.sample, s.warm, s.probs]))
    gaps = [np.array([g.start, g.length]) for g in result.gaps]
    return [*rows, *event_rows(result.events), *gaps]


def push_in_order(stage: StreamClassifier, x: np.ndarray) -> list[np.ndarray]:
    return classifier_output(stage, stage.push(x))


def repair_feed(stage: Any, x: np.ndarray) -> list[np.ndarray]:
    start = getattr(stage, "fed", 0)
    stage.fed = start + len(x)
    return repair_output(stage, stage.push(x, start))


def repair_output(stage: Any, runs: list[tuple[int, np.ndarray]]) -> list[np.ndarray]:
    samples = [placed(start, run) for start, run in runs if len(run)]
    return samples + [np.array([g.start, g.length, 0]) for g in stage.gaps]


class FedRepair(Repair):
    fed = 0

    def reset(self) -> None:
        super().reset()
        self.fed = 0

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"fed": self.fed}

    def restore(self, snapshot: dict[str, Any]) -> None:
        super().restore(snapshot)
        self.fed = snapshot["fed"]


class FedConditioner(Conditioner):
    """A conditioner that is given sound at one rate, and counts it."""

    def __init__(self, in_rate: int) -> None:
        super().__init__(16000)
        self.in_rate, self.fed = in_rate, 0

    def feed(self, x: np.ndarray) -> list[np.ndarray]:
        start, self.fed = self.fed, self.fed + len(x)
        return repair_output(self, self.push(x, start, self.in_rate))

    def reset(self) -> None:
        super().reset()
        self.fed = 0

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"fed": self.fed}

    def restore(self, snapshot: dict[str, Any]) -> None:
        super().restore(snapshot)
        self.fed = snapshot["fed"]


class FedClassifier(StreamClassifier):
    """A classifier that is given chunks at another rate than its model's."""

    in_rate, fed = 44100, 0

    def feed(self, x: np.ndarray) -> list[np.ndarray]:
        start, self.fed = self.fed, self.fed + len(x)
        return classifier_output(self, self.push(Chunk(x, start, self.in_rate)))

    def reset(self) -> None:
        super().reset()
        self.fed = 0

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"fed": self.fed}

    def restore(self, snapshot: dict[str, Any]) -> None:
        super().restore(snapshot)
        self.fed = snapshot["fed"]


def rows_of(out: np.ndarray) -> list[np.ndarray]:
    return [out] if len(out) else []


def placed(start: int, samples: np.ndarray) -> np.ndarray:
    """(N, 2) samples with their indices."""
    return np.column_stack([start + np.arange(len(samples)), samples])


def mfcc_stage(spec: MfccSpec) -> Stage:
    return Stage(
        new=lambda: StreamingMfcc(spec),
        feed=lambda s, x: rows_of(s.push(x)),
        end=lambda s: rows_of(s.flush()),
        data=lambda: make("speech", spec.sample_rate, 1.0),
    )


def engine_stage(new: Callable[[Model], Any]) -> Stage:
    return Stage(
        new=lambda: new(toy_model()),
        feed=lambda s, x: rows_of(s.run(x)) if len(x) else [],
        end=lambda s: [],
        data=lambda: StreamingMfcc().push(make("speech", 16000, 2.0)),
        closes=False,
    )


@cache
def a_pool(model: Model) -> Pool:
    """One that waits for nobody; its thread ends with the tests."""
    pool = Pool(model, max_streams=10_000, deadline=0.0)
    pool.start()
    return pool


STAGES: dict[str, Stage] = {
    "mfcc": mfcc_stage(MfccSpec()),
    "mfcc of librosa": mfcc_stage(
        MfccSpec(sample_rate=22050, n_fft=2048, win_length=2048, hop_length=512, n_mels=128)
    ),
    "log-mel, emphasis, deltas": mfcc_stage(MfccSpec(n_mfcc=None, pre_emphasis=0.97, deltas=2)),
    "deltas": Stage(
        new=lambda: CausalDelta(9, 3),
        feed=lambda s, x: rows_of(s.push(x)),
        end=lambda s: [],
        data=probabilities,
        closes=False,
    ),
    "moving average": Stage(
        new=lambda: MovingAverage([5, 1, 9]),
        feed=lambda s, x: rows_of(s.push(x)),
        end=lambda s: [],
        data=probabilities,
        closes=False,
    ),
    "repair, interpolate": Stage(
        new=lambda: FedRepair(16000, "interpolate"),
        feed=repair_feed,
        end=lambda s: repair_output(s, s.flush()),
        data=damaged,
    ),
    "repair, hold": Stage(
        new=lambda: FedRepair(16000, "hold", 100),
        feed=repair_feed,
        end=lambda s: repair_output(s, s.flush()),
        data=damaged,
    ),
    "repair, mean": Stage(
        new=lambda: FedRepair(16000, "mean"),
        feed=repair_feed,
        end=lambda s: repair_output(s, s.flush()),
        data=damaged,
    ),
    "resampler": Stage(
        new=lambda: StreamingResampler(16000, 22050),
        feed=lambda s, x: rows_of(s.push(x)[:, None]),
        end=lambda s: rows_of(s.flush()[:, None]),
        data=lambda: make("music", 16000, 1.0),
        causal=True,
    ),
    "conditioner": Stage(
        new=lambda: FedConditioner(16000),
        feed=lambda s, x: s.feed(x),
        end=lambda s: repair_output(s, s.flush()),
        data=damaged,
    ),
    "conditioner, resampling": Stage(
        new=lambda: FedConditioner(44100),
        feed=lambda s, x: s.feed(x),
        end=lambda s: repair_output(s, s.flush()),
        data=damaged,
    ),
    "waveform": Stage(
        new=lambda: StreamingWaveform(WaveformSpec(frame_length=WINDOW)),
        feed=lambda s, x: rows_of(s.push(x)),
        end=lambda s: rows_of(s.flush()),
        data=lambda: make("speech", 16000, 1.0),
    ),
    "lone engine": engine_stage(LoneEngine),
    "row of a slab": engine_stage(lambda model: SlabEngine(model, 3).row(1)),
    "row of a pool": engine_stage(lambda model: a_pool(model).engine()),
    "device engine": engine_stage(DeviceEngine),
    "detector": Stage(
        new=CountingDetector, feed=lambda s, x: s.push(x), end=lambda s: s.flush(), data=probabilities
    ),
    "derived classes": Stage(
        new=lambda: FedDerived(DERIVED, ("speech", "music", "noise"), HOP, 256, 256),
        feed=lambda s, x: s.feed(x),
        end=lambda s: [],
        data=lambda: make("speech", 16000, 1.0),
        closes=False,
    ),
    "classifier": Stage(
        new=lambda: StreamClassifier(toy_model()),
        feed=push_in_order,
        end=lambda s: classifier_output(s, s.flush()),
        data=damaged,
    ),
    "classifier, resets and warm-up": Stage(
        new=lambda: StreamClassifier(toy_model(warmup=20), reset_after=0.25),
        feed=push_in_order,
        end=lambda s: classifier_output(s, s.flush()),
        data=lambda: make("speech", 16000, 1.0),
    ),
    "classifier with derived classes": Stage(
        new=lambda: StreamClassifier(toy_model(delay=3), derived=DERIVED),
        feed=push_in_order,
        end=lambda s: classifier_output(s, s.flush()),
        data=damaged,
    ),
    "classifier at another rate": Stage(
        new=lambda: FedClassifier(toy_model()),
        feed=lambda s, x: s.feed(x),
        end=lambda s: classifier_output(s, s.flush()),
        data=lambda: make("speech", 44100, 1.5),
    ),
    "classifier with plain samples": Stage(
        new=lambda: StreamClassifier(toy_model(features=WaveformSpec(frame_length=40, hop_length=20))),
        feed=push_in_order,
        end=lambda s: classifier_output(s, s.flush()),
        data=damaged,
    ),
    "redactor": Stage(
        new=lambda: FedRedactor(16000),
        feed=lambda s, x: s.feed(x),
        end=lambda s: s.samples(s.flush()),
        data=damaged,
    ),
    "redactor at another rate": Stage(
        new=lambda: FedRedactor(44100),
        feed=lambda s, x: s.feed(x),
        end=lambda s: s.samples(s.flush()),
        data=lambda: make("speech", 44100, 1.0),
    ),
}
each_stage = pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())


def pieces(data: np.ndarray, size: Any) -> list[np.ndarray]:
    if size == "whole":
        return [data]
    if size == "random":
        rng = np.random.default_rng(11)
        cuts = np.sort(rng.integers(0, len(data), 60))
        return np.split(data, cuts)  # empty pieces among them
    return [data[at : at + size] for at in range(0, len(data), size)]


def run(stage: Stage, data: np.ndarray, size: Any = "whole", on: Any = None) -> list[np.ndarray]:
    machine = stage.new() if on is None else on
    out: list[np.ndarray] = []
    for piece in pieces(data, size):
        out += stage.feed(machine, piece)
    return out + stage.end(machine)


def assert_same(got: list[np.ndarray], want: list[np.ndarray]) -> None:
    ours, theirs = by_kind(got), by_kind(want)
    assert {width: len(table) for width, table in ours.items()} == {
        width: len(table) for width, table in theirs.items()
    }
    for width, table in ours.items():
        np.testing.assert_array_equal(table, theirs[width])


def by_kind(items: list[np.ndarray]) -> dict[int, np.ndarray]:
    """One array of each kind, by its width: rows, events and gaps may interleave differently, each keeps its order."""
    found: dict[int, list[np.ndarray]] = {}
    for table in map(np.atleast_2d, items):
        found.setdefault(table.shape[1], []).append(table)
    return {width: np.concatenate(tables) for width, tables in found.items()}


@each_stage
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_chunk_invariance(stage: Stage, size: Any) -> None:
    data = stage.data()
    want = run(stage, data)
    assert want, "the material must make the stage say something"
    assert_same(run(stage, data, size), want)


@each_stage
def test_causality(stage: Stage) -> None:
    data = stage.data()
    machine = stage.new()
    whole = by_kind(stage.feed(machine, data))
    for part in (len(data) // 3, len(data) // 2, len(data) - 1):
        for width, prefix in by_kind(stage.feed(stage.new(), data[:part])).items():
            np.testing.assert_array_equal(prefix, whole[width][: len(prefix)])


@each_stage
def test_reset_is_as_new_and_matters(stage: Stage) -> None:
    data = stage.data()
    half = data[: len(data) // 2]
    want = run(stage, data)
    machine = stage.new()
    stage.feed(machine, half)
    machine.reset()
    assert_same(run(stage, data, on=machine), want)
    kept = stage.new()
    stage.feed(kept, half)
    again = by_kind(stage.feed(kept, data))
    first = by_kind(stage.feed(stage.new(), data))
    same = again.keys() == first.keys() and all(np.array_equal(again[width], first[width]) for width in first)
    assert not same, "state that changes nothing is no state"


@each_stage
def test_independence(stage: Stage) -> None:
    data = stage.data()
    one, two = stage.new(), stage.new()
    got_one: list[np.ndarray] = []
    got_two: list[np.ndarray] = []
    backwards = data[::-1].copy()
    for a, b in zip(pieces(data, 700), pieces(backwards, 700), strict=True):
        got_one += stage.feed(one, a)
        got_two += stage.feed(two, b)
    assert_same(got_one + stage.end(one), run(stage, data))
    assert_same(got_two + stage.end(two), run(stage, backwards))


@each_stage
def test_no_aliasing(stage: Stage) -> None:
    data = stage.data().copy()
    before = data.copy()
    machine = stage.new()
    early = stage.feed(machine, data[: len(data) // 2])
    kept = [np.array(item) for item in early]
    rest = data[len(data) // 2 :].copy()
    stage.feed(machine, rest)
    rest[...] = 9  # what we gave is ours again
    for now, then in zip(early, kept, strict=True):
        np.testing.assert_array_equal(now, then)
    np.testing.assert_array_equal(data, before)
    assert_same(run(stage, before), run(stage, data))


@each_stage
def test_a_snapshot_goes_on_to_the_bit(stage: Stage) -> None:
    """Saved as bytes at any place, restored in a new stage and in a used one, and taken back in the same one."""
    data = stage.data()
    want = run(stage, data)
    rng = np.random.default_rng(17)
    for at in (0, 1, len(data), *rng.integers(0, len(data), 5).tolist()):
        machine = stage.new()
        early: list[np.ndarray] = []
        for piece in pieces(data[:at], 700):
            early += stage.feed(machine, piece)
        saved = pack(machine.snapshot())
        other = stage.new()
        other.restore(unpack(saved))
        assert pack(other.snapshot()) == saved, "what was restored is what was saved"
        assert_same(early + run(stage, data[at:], 900, on=other), want)
        stage.feed(machine, data[: len(data) // 3])
        machine.restore(unpack(saved))
        assert_same(early + run(stage, data[at:], on=machine), want)


@each_stage
def test_a_snapshot_is_a_copy_and_of_its_stage_alone(stage: Stage) -> None:
    data = stage.data()
    machine = stage.new()
    stage.feed(machine, data[: len(data) // 2])
    snapshot = machine.snapshot()
    before = pack(snapshot)
    stage.feed(machine, data[len(data) // 2 :])
    assert pack(snapshot) == before
    inner = snapshot if "kind" in snapshot else snapshot["detector"]
    for change in ({"kind": "another"}, {"version": 99}, {"kind": None}):
        broken = (
            {**snapshot, **change} if inner is snapshot else {**snapshot, "detector": {**inner, **change}}
        )
        with pytest.raises(SnapshotInvalid):
            stage.new().restore(broken)


@each_stage
def test_edges(stage: Stage) -> None:
    data = stage.data()
    machine = stage.new()
    assert not stage.feed(machine, data[:0])
    stage.feed(machine, data)
    stage.end(machine)
    assert not stage.end(machine), "a second flush has nothing left"
    if stage.closes:
        with pytest.raises(ClosedError, match="flush"):
            stage.feed(machine, data[:10])


def test_a_saved_state_replays() -> None:
    frames = StreamingMfcc().push(make("speech", 16000, 2.0))
    engine = LoneEngine(toy_model())
    engine.run(frames[:50])
    saved = engine.snapshot()
    first = engine.run(frames[50:])
    engine.run(frames[:13])
    engine.restore(saved)
    np.testing.assert_array_equal(engine.run(frames[50:]), first)


def test_an_engine_takes_over_from_another_kind() -> None:
    model = toy_model()
    frames = StreamingMfcc().push(make("speech", 16000, 2.0))
    want = LoneEngine(model).run(frames)
    engines = [
        LoneEngine(model),
        SlabEngine(model, 3).row(1),
        a_pool(model).engine(),
        DeviceEngine(model),
        LoneEngine(model),
    ]
    got = []
    for i, engine in enumerate(engines):
        if i:
            engine.restore(engines[i - 1].snapshot())
        got.append(engine.run(frames[i * 40 : (i + 1) * 40]))
    np.testing.assert_array_equal(np.concatenate(got), want[:200])


def test_streams_of_one_model_do_not_leak_in_a_batch() -> None:
    """Each of five streams in one batch equals itself alone, while others are reset in between."""
    model = toy_model()
    frames = StreamingMfcc().push(make("speech", 16000, 2.0))
    rng = np.random.default_rng(0)
    batch = np.stack([frames, *(rng.permutation(frames) for _ in range(4))])
    together = SlabEngine(model, 5)
    for at in range(0, 100, 10):
        got = together.run(batch[:, at : at + 10])
        together.reset(row=3)
        for row in (0, 1, 2, 4):
            alone = LoneEngine(model)
            alone.run(batch[row, :at])
            np.testing.assert_array_equal(got[row], alone.run(batch[row, at : at + 10]))
        np.testing.assert_array_equal(got[3], LoneEngine(model).run(batch[3, at : at + 10]))


def test_times_equal_offline_after_gaps() -> None:
    """Pieces with holes between them give, at the same absolute samples, what each run gives alone."""
    sound = make("speech", 16000, 2.0)
    classifier = StreamClassifier(toy_model(), max_gap=0.0)  # state starts anew behind every gap
    results = [
        classifier.push(Chunk(sound[a:b], a, 16000)) for a, b in [(0, 9000), (9000, 12000), (15000, 32000)]
    ]
    merged = merge(results, classifier)
    for low, high in ((0, 12000), (15000, 32000)):
        alone = StreamClassifier(toy_model()).push(Chunk(sound[low:high], low, 16000)).scores
        here = (merged.scores.sample >= low) & (merged.scores.sample < high)
        np.testing.assert_array_equal(merged.scores.sample[here], alone.sample)
        np.testing.assert_array_equal(merged.scores.probs[here], alone.probs)
    assert [(g.start, g.length) for g in merged.gaps] == [(12000, 3000)]
