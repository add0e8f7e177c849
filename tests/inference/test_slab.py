"""Many streams in a slab equal each alone, to the bit, while others come, go and wait."""

from __future__ import annotations

import numpy as np
import pytest

from stream.classifier import StreamClassifier
from stream.errors import SpecError, UsageError
from stream.features.spec import MfccSpec
from stream.inference.session import Model
from stream.inference.slab import Slab
from tests.support.sounds import SOUNDS, make
from tests.support.toy_models import toy_bytes, toy_card

HOP = 160


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(toy_bytes())


def hops_of(name: str, seconds: float = 2.0) -> np.ndarray:
    sound = make(name, 16000, seconds)
    return sound[: len(sound) // HOP * HOP].reshape(-1, HOP)


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


def test_rows_come_go_and_wait_without_touching_others(model: Model) -> None:
    """A seeded schedule of 200 pushes; every stretch between a join and a leave is compared with a new stream."""
    rng = np.random.default_rng(2)
    streams = 9
    slab = Slab(model, streams)
    lives: list[list[tuple[list[np.ndarray], list[np.ndarray]]]] = [[([], [])] for _ in range(streams)]
    here = [True] * streams
    material = np.concatenate([hops_of(name, 3.0) for name in ("speech", "music", "noise")])
    for _ in range(200):
        row = int(rng.integers(streams))
        turn = rng.random()
        if turn < 0.05:
            slab.leave(row)
            here[row] = False
        elif turn < 0.2:
            slab.join(row)
            here[row] = True
            lives[row].append(([], []))
        active = rng.random(streams) < 0.9
        hops = material[rng.integers(0, len(material), streams)]
        given = hops.copy()
        given[~active] = np.nan  # must not be looked at
        given[[not h for h in here]] = np.nan
        probs = slab.push(given, active)
        for r in range(streams):
            if active[r] and here[r]:
                lives[r][-1][0].append(hops[r])
                lives[r][-1][1].append(probs[r])
            else:
                assert np.isnan(probs[r]).all()
    compared = 0
    for life in (one for row in lives for one in row if one[0]):
        want = alone(model, np.array(life[0]))
        np.testing.assert_array_equal(answers(life[1]), want)
        compared += len(want)
    assert compared > 800


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


def test_what_a_slab_cannot_serve_is_refused(model: Model) -> None:
    with pytest.raises(SpecError, match="StreamClassifier"):
        Slab(Model(toy_bytes(toy_card(MfccSpec(pre_emphasis=0.97)))), 2)
    with pytest.raises(SpecError, match="streams 0"):
        Slab(model, 0)
    with pytest.raises(UsageError, match="want"):
        Slab(model, 2).push(np.zeros((2, 161), np.float32))
