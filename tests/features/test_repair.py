"""Missing samples: the exact arithmetic of mending, and that no bad sample reaches a feature, a score or a state."""

from __future__ import annotations

import numpy as np
import pytest

from stream.classifier import StreamClassifier
from stream.errors import ClosedError, SpecError
from stream.features.repair import MAX_MAGNITUDE, MEAN_SAMPLES, Method, Repair, repair
from stream.inference.session import Model
from stream.messages import Chunk
from stream.recording import merge
from tests.support.sounds import make
from tests.support.toy_models import toy_bytes

NAN = np.nan
SIGNALLING = np.array([0x7FA00000], np.uint32).view(np.float32)[0]


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def spread(
    stage: Repair, parts: list[np.ndarray], start: int = 0
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """What came out, NaN where nothing did, and the gaps as (start, length)."""
    total = sum(map(len, parts))
    out, gaps, at = np.full(total, NAN, np.float32), [], start
    for part in [*parts, None]:
        runs = stage.flush() if part is None else stage.push(part, at)
        at += 0 if part is None else len(part)
        for begin, run in runs:
            assert np.isnan(out[begin - start : begin - start + len(run)]).all(), "no sample comes twice"
            out[begin - start : begin - start + len(run)] = run
        gaps += [(gap.start, gap.length) for gap in stage.gaps]
    return out, gaps


@pytest.mark.parametrize(
    ("method", "want"),
    [
        ("interpolate", [2.0, 3.0, 4.0, 5.0, 6.0, 1.0]),
        ("hold", [2.0, 2.0, 2.0, 2.0, 6.0, 1.0]),
    ],
)
def test_a_hole_between_two_samples(method: Method, want: list[float]) -> None:
    np.testing.assert_array_equal(repair(f32(2, NAN, NAN, NAN, 6, 1), method), f32(*want))


def test_mean_is_of_the_last_400_good_samples() -> None:
    good = np.arange(1000, dtype=np.float32)
    got = repair(np.concatenate([good, f32(NAN, NAN, 7)]), "mean")
    np.testing.assert_array_equal(
        got[1000:], f32(good[-MEAN_SAMPLES:].mean(), good[-MEAN_SAMPLES:].mean(), 7)
    )
    few = repair(f32(1, 2, 6, NAN, 0), "mean")
    np.testing.assert_array_equal(few, f32(1, 2, 6, 3, 0))


@pytest.mark.parametrize("method", ["interpolate", "hold", "mean"])
def test_edges(method: Method) -> None:
    np.testing.assert_array_equal(repair(f32(NAN, NAN, 3, 4), method)[:2], f32(3, 3))  # nothing before it
    tail = {"interpolate": 4.0, "hold": 4.0, "mean": 3.5}[method]
    np.testing.assert_array_equal(
        repair(f32(3, 4, NAN, NAN), method)[2:], f32(tail, tail)
    )  # nothing behind it
    np.testing.assert_array_equal(repair(f32(5, NAN), method), f32(5, 5))
    assert np.isnan(repair(np.full(9, NAN), method)).all()
    assert len(repair(f32(), method)) == 0


@pytest.mark.parametrize("bad", [NAN, -NAN, np.inf, -np.inf, 1e30, -1e30, MAX_MAGNITUDE * 1.01, SIGNALLING])
def test_every_kind_of_bad_sample(bad: float) -> None:
    np.testing.assert_array_equal(repair(np.array([1, bad, 2], np.float32)), f32(1, 1.5, 2))
    stage = Repair(16000)
    stage.push(np.array([1, bad, 2], np.float32), 0)
    assert stage.repaired == 1


def test_loud_is_not_bad() -> None:
    loud = f32(MAX_MAGNITUDE, -MAX_MAGNITUDE, 1e5, 0)
    np.testing.assert_array_equal(repair(loud), loud)
    np.testing.assert_array_equal(repair(np.array([1.0, 1e300, 2.0])), f32(1, 1.5, 2))  # beyond float32


def test_clean_sound_is_passed_on_without_a_copy() -> None:
    sound = make("speech", 16000, 0.1)
    ((start, run),) = Repair(16000).push(sound, 77)
    assert start == 77
    assert run is sound


@pytest.mark.parametrize("method", ["interpolate", "hold", "mean"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_hole_across_chunks(method: Method, size: int) -> None:
    sound = np.sin(np.arange(40, dtype=np.float32))
    sound[7:16] = NAN
    sound[20] = np.inf
    stage = Repair(16000, method, max_repair=9)
    got, gaps = spread(stage, [sound[at : at + size] for at in range(0, 40, size)])
    np.testing.assert_array_equal(got, repair(sound, method))
    assert gaps == []
    assert stage.repaired == 10


@pytest.mark.parametrize(("length", "is_gap"), [(8, False), (9, True)])
def test_the_longest_hole_that_is_mended(length: int, is_gap: bool) -> None:
    sound = np.ones(30, np.float32)
    sound[10 : 10 + length] = NAN
    stage = Repair(16000, max_repair=8)
    got, gaps = spread(stage, [sound], start=2**33)
    assert gaps == ([(2**33 + 10, length)] if is_gap else [])
    assert stage.repaired == (0 if is_gap else length)
    assert np.isnan(got).sum() == (length if is_gap else 0)


def test_a_hole_at_the_end() -> None:
    short, long = np.ones(30, np.float32), np.ones(30, np.float32)
    short[25:] = long[10:] = NAN
    stage = Repair(16000, max_repair=8)
    got, gaps = spread(stage, [short])
    assert (got == 1).all()
    assert gaps == []
    stage.reset()
    assert spread(stage, [long])[1] == [(10, 20)]


def test_a_hole_before_a_jump_is_a_gap() -> None:
    """The right edge never came: what is waiting is lost with the rest."""
    stage = Repair(16000)
    stage.push(f32(1, 2, NAN, NAN), 0)
    assert not stage.gaps
    runs = stage.push(f32(5, 6), 100)
    assert [(g.start, g.length, g.reason) for g in stage.gaps] == [(2, 2, "missing")]
    assert runs[0][0] == 100
    assert stage.repaired == 0


def test_a_jump_forgets_what_was_before() -> None:
    stage = Repair(16000, "hold")
    stage.push(f32(9, 9), 0)
    ((_, run),) = stage.push(f32(NAN, 5), 100)
    np.testing.assert_array_equal(run, f32(5, 5))


def test_all_missing_never_gives_anything() -> None:
    stage = Repair(16000)
    for at in range(0, 16000, 160):
        assert stage.push(np.full(160, NAN, np.float32), at) == []
    assert stage.flush() == []
    assert [(g.start, g.length) for g in stage.gaps] == [(0, 16000)]


def test_wrong_use() -> None:
    with pytest.raises(SpecError, match="interpolate, hold, mean"):
        Repair(16000, "cubic")  # type: ignore[arg-type]
    stage = Repair(16000)
    stage.flush()
    with pytest.raises(ClosedError, match="reset"):
        stage.push(f32(1), 0)


@pytest.mark.parametrize("bad", [NAN, np.inf, -np.inf, 1e30, 3e38])
@pytest.mark.parametrize("method", ["interpolate", "hold", "mean"])
def test_one_bad_sample_never_poisons(bad: float, method: Method) -> None:
    """The scores stay numbers; behind the mended place features and, soon, scores are those of clean sound."""
    clean = make("speech", 16000)
    spoilt = clean.copy()
    spoilt[8000] = bad
    model = Model(toy_bytes())
    classifier = StreamClassifier(model, repair=method)
    results = [classifier.push(spoilt[at : at + 700]) for at in range(0, len(spoilt), 700)]
    got = merge([*results, classifier.flush()], classifier)
    want = StreamClassifier(model).push(clean)
    assert got.repaired == 1
    assert not got.gaps
    assert np.isfinite(got.probs).all()
    assert np.isfinite(got.features).all()
    assert all(np.isfinite(s).all() for s in classifier.state)
    untouched = (got.scores.sample + 256 <= 8000) | (got.scores.sample - 256 > 8000)
    np.testing.assert_array_equal(got.features[untouched], want.features[untouched])
    np.testing.assert_allclose(got.probs[-20:], want.probs[-20:], atol=5e-3)


def test_a_stream_that_is_mostly_missing() -> None:
    """Every second stretch is missing: counts are exact, nothing is ever not a number."""
    sound = make("noise", 16000).copy()
    rng = np.random.default_rng(2)
    missing = np.repeat(rng.random(200) < 0.5, 160)
    sound[missing] = NAN
    classifier = StreamClassifier(Model(toy_bytes()))
    got = merge([classifier.push(Chunk(sound, 0, 16000)), classifier.flush()], classifier)
    assert got.repaired + sum(g.length for g in got.gaps) == missing.sum()
    assert all(missing[g.start : g.end].all() for g in got.gaps)
    assert np.isfinite(got.probs).all()
    assert {g.reason for g in got.gaps} == {"missing"}
