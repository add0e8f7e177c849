"""Many streams in a slab equal each alone, to the bit, while others come, go and wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stream.classifier import StreamClassifier
from stream.errors import SnapshotInvalid, SpecError, UsageError
from stream.features.spec import MfccSpec, WaveformSpec
from stream.inference.engine import SlabEngine
from stream.inference.session import Model
from stream.inference.slab import Slab
from stream.messages import Chunk
from stream.recording import merge
from stream.snapshot import pack, unpack
from tests.support.sounds import SOUNDS, make
from tests.support.toy_models import toy_bytes, toy_card, toy_graph

HOP = 160


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes())


def hops_of(name: str, seconds: float = 2.0, hop: int = HOP) -> np.ndarray:
    sound = make(name, 16000, seconds)
    return sound[: len(sound) // hop * hop].reshape(-1, hop)


def alone(model: Model, hops: np.ndarray) -> np.ndarray:
    return StreamClassifier(model).push(hops.ravel()).probs


def answers(rows: list[np.ndarray]) -> np.ndarray:
    got = np.array(rows)
    return got[~np.isnan(got).any(axis=1)]


def test_every_row_equals_its_stream_alone(model: Model) -> None:
    streams = [hops_of(name) for name in SOUNDS]
    slab = Slab(model, len(streams))
    out = [slab.push(np.stack([s[i] for s in streams])) for i in range(len(streams[0]))]
    for row, hops in enumerate(streams):
        np.testing.assert_array_equal(answers([p[row] for p in out]), alone(model, hops))


def test_more_rows_than_one_block_of_the_kernel(model: Model) -> None:
    rng = np.random.default_rng(0)
    sound = rng.standard_normal((30, 150, HOP)).astype(np.float32)
    slab = Slab(model, 150)
    out = [slab.push(hops) for hops in sound]
    for row in (0, 63, 64, 127, 128, 149):
        np.testing.assert_array_equal(answers([p[row] for p in out]), alone(model, sound[:, row]))


def strided_graph(stride: int, features: int) -> Any:
    """The toy graph on every ``stride``-th frame."""
    onnx = pytest.importorskip("onnx")
    graph = toy_graph(features)
    for name, values in {"from": [stride - 1], "to": [2**40], "axis": [1], "by": [stride]}.items():
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, np.int64), name))
    graph.graph.node[0].input[0] = "sliced"
    graph.graph.node.insert(
        0, onnx.helper.make_node("Slice", ["features", "from", "to", "axis", "by"], ["sliced"])
    )
    return graph


def made(spec: MfccSpec | WaveformSpec, stride: int = 1) -> Model:
    return Model(toy_bytes(toy_card(features=spec, stride=stride), strided_graph(stride, spec.width)))


MODELS: dict[str, Callable[[], Model]] = {
    "plain": lambda: made(MfccSpec()),
    "pre-emphasis": lambda: made(MfccSpec(pre_emphasis=0.97)),
    "deltas": lambda: made(MfccSpec(n_mfcc=13, deltas=2, delta_width=5)),
    "stride": lambda: made(MfccSpec(), 4),
    "plain samples": lambda: made(WaveformSpec(frame_length=400)),
    "all, by NumPy": lambda: made(
        MfccSpec(n_fft=480, n_mfcc=None, n_mels=20, pre_emphasis=0.9, deltas=1), 3
    ),  # a length that the compiled kernel does not know
    "default": Model.bundled,
    "small": lambda: Model.bundled("small"),
}


@pytest.mark.parametrize("name", MODELS)
def test_rows_join_leave_wait_lose_sound_and_move_without_touching_others(name: str) -> None:
    """A seeded schedule; every stretch between a join and a leave is compared with a StreamClassifier of its own."""
    model = MODELS[name]()
    spec = model.card.features
    rng = np.random.default_rng(2)
    streams, hop = 7, spec.hop_length
    slabs = [Slab(model, streams), Slab(model, streams)]
    lives: list[list[tuple[list[Chunk], list[np.ndarray]]]] = [[([], [])] for _ in range(streams)]
    here = [True] * streams
    ends = [0] * streams
    material = np.concatenate([hops_of(kind, 3.0, hop) for kind in ("speech", "music", "noise")])
    for step in range(300):
        slab = slabs[0]
        row = int(rng.integers(streams))
        turn = rng.random() if step > 20 else 1.0
        if turn < 0.03:
            slab.leave(row)
            here[row] = False
        elif turn < 0.06:
            slab.join(row)
            here[row] = True
            lives[row].append(([], []))
            ends[row] = 0
        elif turn < 0.10 and here[row] and lives[row][-1][0]:
            lost = int(rng.choice([1, 80, 3000, 15999, 16000, 16001, 50000]))
            slab.gap(row, lost)
            ends[row] += lost
        elif turn < 0.13 and here[row]:  # to another row of another slab, by way of bytes
            saved = [pack(slab.snapshot(r)) for r in range(streams) if here[r]]
            for r in range(streams):
                slabs[1].leave(r)
            for r, data in zip([r for r in range(streams) if here[r]], saved, strict=True):
                slabs[1].restore(r, unpack(data))
            slabs.reverse()
            slab = slabs[0]
        active = rng.random(streams) < 0.9 if rng.random() < 0.5 else np.ones(streams, bool)
        hops = material[rng.integers(0, len(material), streams)]
        given = hops.copy()
        given[~active] = np.nan  # must not be looked at
        given[[not h for h in here]] = np.nan
        probs = slab.push(given, active) if not active.all() or step % 2 else slab.push(given)
        for r in range(streams):
            if active[r] and here[r]:
                lives[r][-1][0].append(Chunk(hops[r], ends[r], spec.sample_rate))
                lives[r][-1][1].append(probs[r])
                ends[r] += hop
            else:
                assert np.isnan(probs[r]).all()
    compared = 0
    for chunks, rows in (one for row in lives for one in row if one[0]):
        classifier = StreamClassifier(model)
        want = merge([classifier.push(chunk) for chunk in chunks], classifier).probs
        np.testing.assert_array_equal(answers(rows), want)
        compared += len(want)
    assert compared > 1000 / model.card.stride


def test_a_row_goes_on_as_a_stream_of_its_own(model: Model) -> None:
    """A StreamClassifier may use a row of a slab as its engine."""
    sound = make("speech", 16000, 2.0)
    rows = SlabEngine(model, 3)
    classifier = StreamClassifier(model, engine=rows.row(1))
    got = [classifier.push(sound[at : at + 700]).probs for at in range(0, len(sound), 700)]
    np.testing.assert_array_equal(np.concatenate(got), StreamClassifier(model).push(sound).probs)
    np.testing.assert_array_equal(rows.state[0][:, 0], 0)


def test_join_matters(model: Model) -> None:
    hops = hops_of("speech")
    slab = Slab(model, 2)
    for hop in hops[:50]:
        slab.push(np.stack([hop, hop]))
    slab.join(1)
    out = [slab.push(np.stack([hop, hop])) for hop in hops]
    np.testing.assert_array_equal(answers([p[1] for p in out]), alone(model, hops))
    assert not np.array_equal(out[-1][0], out[-1][1])


def test_answers_and_inputs_are_not_aliased(model: Model) -> None:
    hops = np.stack([hops_of("speech"), hops_of("music")], axis=1)
    slab = Slab(model, 2)
    first = [slab.push(h) for h in hops[:20]]
    kept = [p.copy() for p in first]
    before = hops.copy()
    for h in hops[20:40]:
        slab.push(h)
    np.testing.assert_array_equal(hops, before)
    np.testing.assert_array_equal(first, kept)


def test_wrong_use(model: Model) -> None:
    with pytest.raises(SpecError, match="streams 0"):
        Slab(model, 0)
    with pytest.raises(UsageError, match="want"):
        Slab(model, 2).push(np.zeros((2, 161), np.float32))
    with pytest.raises(UsageError, match="gap of 0"):
        Slab(model, 2).gap(0, 0)
    with pytest.raises(SnapshotInvalid, match="model"):
        Slab(model, 2).restore(0, Slab(Model.bundled("small"), 1).snapshot(0))
