"""Sound of many streams taken at once brings, and leaves behind, to the bit what each would alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stream.capture.channels import as_float32
from stream.classifier import StreamClassifier
from stream.classifier.many_streams import Joining, ManyStreams
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
        assert pack(self.joining.snapshot()) == pack(self.alone.snapshot())


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
        groups: dict[Any, list[tuple[Twins, Joining]]] = {}
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
            chunk = Chunk(samples, at[twin.row], RATE, float(turn))
            at[twin.row] += size
            joining = many.joining(twin.joining, twin.row, chunk)
            if joining is None:
                twin.check(twin.joining.push(floats(chunk)), chunk)
            else:
                groups.setdefault(joining.kind, []).append((twin, joining))
        for group in groups.values():
            results = many.push([joining for _, joining in group])
            assert results is not None
            for (twin, joining), result in zip(group, results, strict=True):
                twin.check(result, joining.chunk)
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
    before = [pack(twin.joining.snapshot()) for twin in twins]
    both = [many.joining(twin.joining, twin.row, second) for twin in twins]
    assert None not in both
    step = model.step
    for answer in (np.float32(np.nan), np.float32(1.5), np.float32(-0.5), None):

        def broken(frames: np.ndarray, state: Any, answer: Any = answer) -> Any:
            if answer is None:
                raise RuntimeError("no memory")
            probs, state = step(frames, state)
            probs[1, -1, -1] = answer
            return probs, state

        model.step = broken  # type: ignore[method-assign]
        assert many.push(both) is None  # type: ignore[arg-type]
        assert [pack(twin.joining.snapshot()) for twin in twins] == before
    model.step = step  # type: ignore[method-assign]
    for twin, result in zip(twins, many.push(both) or (), strict=True):  # type: ignore[arg-type]
        twin.check(result, second)


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
    assert ManyStreams(table).joining(classifier, 0, Chunk(sound[16000:], 16000, RATE)) is None
