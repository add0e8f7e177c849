"""Sound of many streams taken at once brings, and leaves behind, to the bit what each would alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream.capture.channels import as_float32
from stream.classifier import StreamClassifier
from stream.classifier.many_streams import ManyStreams
from stream.decisions.derived import DerivedSpec
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.features.spec import MfccSpec, WaveformSpec
from stream.inference.session import Model
from stream.inference.state_table import SlabRow, StateTable
from stream.messages import Chunk, Result
from stream.snapshot import pack
from tests.inference.test_slab import made
from tests.support.sounds import make

SOUNDS = ("speech", "music", "noise")
RATE = 16000


class Twins:
    """A stream that joins others where it can, and one that never does."""

    def __init__(self, table: StateTable, row: int, **options: Any) -> None:
        self.row = row
        self.joining = StreamClassifier(table.model, engine=SlabRow(table, row), **options)
        self.alone = StreamClassifier(table.model, **options)

    def check(self, got: Result, chunk: Chunk) -> None:
        want = self.alone.push(floats(chunk))
        for name in ("probs", "sample", "warm"):
            np.testing.assert_array_equal(getattr(got.scores, name), getattr(want.scores, name))
        assert (got.scores.labels, got.scores.hop) == (want.scores.labels, want.scores.hop)
        np.testing.assert_array_equal(got.features, want.features)
        for name in ("events", "gaps", "opened", "end", "repaired", "stream", "model", "captured_at"):
            assert getattr(got, name) == getattr(want, name), name

    def check_state(self) -> None:
        assert pack(self.joining.snapshot()) == pack(self.alone.snapshot())


def push(many: ManyStreams, twins: list[Twins], chunks: list[Chunk]) -> list[Result] | None:
    """Of streams that are inside, and of one kind."""
    rows = np.array([twin.row for twin in twins])
    sound = np.stack([chunk.samples for chunk in chunks])
    brought = many.push(rows, sound, np.array([chunk.captured_at for chunk in chunks], np.float64))
    if brought is None:
        return None
    results = many.results(rows, brought, [chunk.captured_at for chunk in chunks])
    assert None not in results
    return results  # type: ignore[return-value]  # checked above


def floats(chunk: Chunk) -> Chunk:
    return Chunk(as_float32(chunk.samples), chunk.start, chunk.sample_rate, chunk.captured_at)


@pytest.mark.parametrize("name", ["default", "toy"])
def test_as_alone(name: str) -> None:
    model = Model.bundled() if name == "default" else made(MfccSpec())
    rng = np.random.default_rng(11)
    table = StateTable(model, 12)
    many = ManyStreams(table)
    eager = DetectorSpec(default=ClassRule(threshold=0.3, smoothing=0.2, min_on=0.05))
    options: list[dict[str, Any]] = [{}] * 6 + [{"detector": eager}] * 3
    options += [{"repair": "mean"}, {"derived": DerivedSpec(loud=-30.0)}, {"stream": "door"}]
    twins = [Twins(table, row, **each) for row, each in enumerate(options)]
    sounds = [make(SOUNDS[i % 3], RATE, 4.0) for i in range(len(twins))]
    at = [0] * len(twins)
    joined = told = 0
    for turn in range(60):
        usual, integers = int(rng.choice([320, 1600, 3200])), bool(rng.random() < 0.5)
        groups: dict[Any, list[tuple[Twins, Chunk]]] = {}
        for twin, sound in zip(twins, sounds, strict=True):
            size = usual if rng.random() < 0.97 else int(rng.choice([100, 3000]))
            lost = int(rng.choice([10, 40_000])) if rng.random() < 0.03 else 0
            at[twin.row] += lost
            here = at[twin.row] % (len(sound) - 3200)
            samples = sound[here : here + size].copy()
            if integers:
                samples = np.round(32767 * samples).astype(np.int16)
            elif rng.random() < 0.1:
                samples[50 : 50 + int(rng.choice([5, 900]))] = np.nan
            chunk = Chunk(samples, at[twin.row], RATE, float(turn) if rng.random() < 0.8 else None)
            at[twin.row] += size
            going_on = many.goes_on(twin.row, chunk)
            if not going_on:
                many.leave(twin.row)
                twin.check_state()
            if going_on or many.enter(twin.row, twin.joining, chunk):
                kind = int(many.kinds(np.array([twin.row]))[0]), len(samples), samples.dtype
                groups.setdefault(kind, []).append((twin, chunk))
            else:
                twin.check(twin.joining.push(floats(chunk)), chunk)
                twin.check_state()
        for group in groups.values():
            results = push(many, [twin for twin, _ in group], [chunk for _, chunk in group])
            assert results is not None
            for (twin, chunk), result in zip(group, results, strict=True):
                twin.check(result, chunk)
                if rng.random() < 0.2:
                    many.leave(twin.row)
                    twin.check_state()
                joined += len(group) > 1
                told += len(result.events)
    assert joined > 100
    assert told > 3


def test_what_the_model_cannot_answer_changes_nothing() -> None:
    model = made(MfccSpec())
    table = StateTable(model, 2)
    many = ManyStreams(table)
    twins = [Twins(table, row) for row in range(2)]
    sound = make("speech", RATE, 2.0)
    first, second = Chunk(sound[:16000], 0, RATE), Chunk(sound[16000:17600], 16000, RATE)
    for twin in twins:
        twin.joining.push(first)
        twin.alone.push(first)
    for twin in twins:
        assert many.enter(twin.row, twin.joining, second)
    step = model.step
    for answer in (np.float32(np.nan), np.float32(1.5), np.float32(-0.5), None):

        def broken(frames: np.ndarray, state: Any, answer: Any = answer) -> Any:
            if answer is None:
                raise RuntimeError("no memory")
            probs, state = step(frames, state)
            probs[1, -1, -1] = answer
            return probs, state

        model.step = broken  # type: ignore[method-assign]
        assert push(many, twins, [second, second]) is None
        for twin in twins:
            many.leave(twin.row)
            twin.check_state()
            assert many.enter(twin.row, twin.joining, second)
    model.step = step  # type: ignore[method-assign]
    for twin, result in zip(twins, push(many, twins, [second, second]) or (), strict=True):
        twin.check(result, second)
        many.leave(twin.row)
        twin.check_state()


def test_who_is_forgotten_is_told_nothing() -> None:
    table = StateTable(made(MfccSpec()), 2)
    many = ManyStreams(table)
    twins = [Twins(table, row) for row in range(2)]
    sound = make("speech", RATE, 2.0)
    chunk = Chunk(sound[16000:17600], 16000, RATE)
    for twin in twins:
        twin.joining.push(Chunk(sound[:16000], 0, RATE))
        assert many.enter(twin.row, twin.joining, chunk)
    rows = np.array([0, 1])
    brought = many.push(rows, np.stack([chunk.samples] * 2), np.full(2, np.nan))
    assert brought is not None
    many.forget(0)
    told = many.results(rows, brought, [None, None])
    assert [result is None for result in told] == [True, False]
    assert not many.goes_on(0, Chunk(sound[17600:19200], 17600, RATE))
    assert many.goes_on(1, Chunk(sound[17600:19200], 17600, RATE))


@pytest.mark.parametrize(
    "model",
    [
        lambda: made(WaveformSpec(frame_length=400)),
        lambda: made(MfccSpec(deltas=1)),
        lambda: made(MfccSpec(), 3),
    ],
    ids=["plain samples", "deltas", "stride"],
)
def test_models_whose_streams_go_alone(model: Any) -> None:
    table = StateTable(model(), 1)
    classifier = StreamClassifier(table.model, engine=SlabRow(table, 0))
    sound = make("speech", RATE, 2.0)
    classifier.push(Chunk(sound[:16000], 0, RATE))
    many, chunk = ManyStreams(table), Chunk(sound[16000:], 16000, RATE)
    assert not many.goes_on(0, chunk)
    assert not many.enter(0, classifier, chunk)


def test_who_finds_no_room_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.decisions.many_detectors.MOST_KINDS", 0)
    table = StateTable(made(MfccSpec()), 1)
    many, twin = ManyStreams(table), Twins(table, 0)
    sound = make("speech", RATE, 2.0)
    for start in (0, 8000):
        chunk = Chunk(sound[start : start + 8000], start, RATE)
        assert not many.goes_on(0, chunk)
        many.leave(0)
        assert not many.enter(0, twin.joining, chunk)
        twin.check(twin.joining.push(chunk), chunk)
    twin.check_state()
