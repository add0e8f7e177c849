"""Changes of log-mel energies: they are what the same change of the sound would give, and end in the same features."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from export.augmentation import AugmentConfig, FeatureAugmentation
from export.augmentation.mel import MelAugmentation, at_times, mel_spec, mix, warped
from stream.errors import SpecError
from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec

RATE = 16000
STILL = {"gain": 0.0, "tilt": 0.0}


def sound(seed: int = 0, n: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, n).astype(np.float32)


def tone(hertz: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)).astype(np.float32)


@pytest.mark.parametrize(("n_mfcc", "deltas"), [(13, 0), (40, 2), (None, 1)])
def test_without_a_change_the_features_are_those_of_the_front_end(n_mfcc: int | None, deltas: int) -> None:
    spec = MfccSpec(n_mfcc=n_mfcc, deltas=deltas)
    change = MelAugmentation(AugmentConfig(**STILL), spec)
    found = change(mfcc(sound(), mel_spec(spec)), np.random.default_rng(0))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, mfcc(sound(), spec), atol=2e-3)


def test_gain_and_filter_are_those_of_plain_features() -> None:
    spec, augment = MfccSpec(n_mfcc=13), AugmentConfig(gain=6, tilt=3)
    through_mel = MelAugmentation(augment, spec)(mfcc(sound(), mel_spec(spec)), np.random.default_rng(4))
    plain = FeatureAugmentation(augment, spec)(mfcc(sound(), spec), np.random.default_rng(4))
    np.testing.assert_allclose(through_mel, plain, atol=2e-3)


def test_a_warp_moves_a_tone_along_the_bands() -> None:
    spec = mel_spec(MfccSpec())
    mel = mfcc(tone(600), spec)
    at = [int(warped(mel, factor).mean(0).argmax()) for factor in (0.8, 1.0, 1.25)]
    assert at[0] > at[1] > at[2]
    np.testing.assert_array_equal(warped(mel, 1.0), mel)


def test_another_speed_keeps_the_order_of_things() -> None:
    spec = mel_spec(MfccSpec())
    mel = mfcc(np.concatenate((tone(300), tone(3000))), spec)
    change = MelAugmentation(AugmentConfig(stretch=0.3), MfccSpec())
    rng, lengths = np.random.default_rng(0), []
    for _ in range(20):
        times = change.times(len(mel), rng)
        found = at_times(mel, times)
        lengths.append(len(found) / len(mel))
        switch = np.flatnonzero(found[:, 5] < found[:, 25])[0] / len(found)
        assert switch == pytest.approx(0.5, abs=0.03), "the second tone begins in the middle at any speed"
    assert 0.7 < min(lengths) < 0.85
    assert 1.2 < max(lengths) < 1.4
    np.testing.assert_allclose(at_times(mel, np.arange(len(mel), dtype=np.float32)), mel, atol=1e-4)
    assert at_times(mel[:1], change.times(1, rng)).shape == (1, spec.n_mels)


def test_two_sounds_add_as_their_samples_do() -> None:
    """Noise 10 dB below another: log-mel energies of the mixed samples, but for the phases."""
    spec = mel_spec(MfccSpec())
    one, two = sound(1), sound(2)
    mixed = mfcc(one + two * np.float32(10 ** (-10 / 20)), spec)
    found = mix(mfcc(one, spec), mfcc(two, spec), 10.0)
    assert abs(float((found - mixed).mean())) < 0.3
    np.testing.assert_allclose(found.mean(0), mixed.mean(0), atol=1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"warp": 0.2},
        {"stationary_noise": 1.0},
        {"high_pass": 1.0},
        {"mix": 1.0},
        {"band_mask": 1.0, "warp": 0.1},
    ],
)
def test_each_use_differs_and_the_input_stays(changes: dict) -> None:
    augment = AugmentConfig(**STILL, **changes)
    assert augment.in_mel
    change, mel = MelAugmentation(augment, MfccSpec(n_mfcc=13)), mfcc(tone(440), mel_spec(MfccSpec()))
    before, other = mel.copy(), mfcc(tone(3000), mel_spec(MfccSpec()))[:20]
    rng = np.random.default_rng(0)
    first, second = change(mel, rng, other), change(mel, rng, other)
    assert not np.array_equal(first, second)
    assert not np.allclose(first, change.convert(before))
    np.testing.assert_array_equal(mel, before)


def test_a_thin_sound_lacks_low_bands_only() -> None:
    change = MelAugmentation(AugmentConfig(high_pass=1), MfccSpec())
    rng = np.random.default_rng(0)
    falls = np.stack([change.attenuation(rng) for _ in range(30)])
    assert (falls >= 0).all()
    assert falls[:, 8:].max() == 0
    assert falls[:, 0].max() > 20
    assert (np.diff(falls, axis=1) <= 0).all(), "the lower the band, the more is lost"


def test_nothing_falls_below_the_floor() -> None:
    spec = MfccSpec(n_mfcc=None, log_floor=1e-6)
    silence = mfcc(np.zeros(RATE, np.float32), spec)
    quieter = MelAugmentation(AugmentConfig(gain=20, tilt=0), spec)
    for seed in range(5):
        assert quieter(silence, np.random.default_rng(seed)).min() >= -60.0 - 1e-4


def test_wrong_shares_are_named() -> None:
    with pytest.raises(SpecError, match="warp"):
        AugmentConfig(warp=0.7)
    with pytest.raises(SpecError, match="stationary_noise"):
        AugmentConfig(stationary_noise=1.5)
    with pytest.raises(SpecError, match="stretch"):
        AugmentConfig(stretch=0.5)
