"""Augmentation does what it says, and the same thing each time."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from export.augmentation import AugmentConfig, FeatureAugmentation, WaveformAugmentation
from export.augmentation.waveform import add_noise, add_room, change_speed, low_pass, shift
from stream.errors import SpecError
from stream.features.mfcc import mfcc
from stream.features.spec import MfccSpec

RATE = 16000


def sound(seed: int = 0, n: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, n).astype(np.float32)


def test_noise_comes_at_the_asked_snr() -> None:
    clean, noise = sound(0), 5 * sound(1)
    added = add_noise(clean, noise, 7.0) - clean
    assert 10 * np.log10(np.mean(clean**2) / np.mean(added**2)) == pytest.approx(7.0, abs=0.01)
    silence = np.zeros(100, np.float32)
    np.testing.assert_array_equal(add_noise(silence, noise[:100], 0.0), silence)


def test_a_room_decays_by_sixty_decibels_in_rt60() -> None:
    click = np.zeros(RATE, np.float32)
    click[0] = 1.0
    wet = add_room(click, RATE, 0.4, np.random.default_rng(0))
    assert len(wet) == len(click)
    early = np.mean(wet[160:800] ** 2)
    late = np.mean(wet[int(0.35 * RATE) : int(0.39 * RATE)] ** 2)
    assert -60 < 10 * np.log10(late / early) < -45
    assert np.sqrt(np.mean(wet**2)) == pytest.approx(np.sqrt(np.mean(click**2)), rel=1e-3)


def test_low_pass_and_shift() -> None:
    spectrum = np.abs(np.fft.rfft(low_pass(sound(), RATE, 3000)))
    assert spectrum[3100:].max() < 1e-3 * spectrum[:2900].mean()
    moved = shift(sound(), 500, np.random.default_rng(0))
    np.testing.assert_array_equal(moved[500:], sound()[:-500])
    back = shift(sound(), -500, np.random.default_rng(0))
    np.testing.assert_array_equal(back[:-500], sound()[500:])


def test_speed_and_pitch() -> None:
    t = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 500 * t).astype(np.float32)
    faster = change_speed(tone, RATE, 1.25, 0.0)
    assert len(faster) == pytest.approx(RATE / 1.25, abs=1)
    higher = change_speed(tone, RATE, 1.0, 12.0)
    assert np.abs(np.fft.rfft(higher)).argmax() == pytest.approx(1000, abs=5)
    assert len(change_speed(tone[:150], RATE, 0.9, 1.0)) > 0, "very short sounds pass without a warning"


def test_times_of_a_changed_sound_lead_back_to_the_original() -> None:
    """A click at 0.6 s is found at 0.6 s through the returned scale and offset."""
    click = np.zeros(RATE, np.float32)
    click[int(0.6 * RATE) : int(0.6 * RATE) + 40] = 0.5
    change = WaveformAugmentation(
        AugmentConfig(copies=1, room=0, noise=0, narrow=0, pitch=0, tempo=0.2, shift=0.2), 1, RATE
    )
    for number in range(5):
        samples, scale, offset = change(click, number)
        found = np.abs(samples).argmax() / RATE
        assert found * scale + offset == pytest.approx(0.6, abs=0.02)


def test_variants_are_repeatable_and_distinct() -> None:
    augment = AugmentConfig(copies=2)
    one = WaveformAugmentation(augment, 1, RATE, lambda rng, n: rng.normal(0, 0.1, n).astype(np.float32))
    np.testing.assert_array_equal(one(sound(), 3)[0], one(sound(), 3)[0])
    assert not np.array_equal(one(sound(), 3)[0][:1000], one(sound(), 4)[0][:1000])
    assert augment.waveform_digest(1) != augment.waveform_digest(2)
    assert augment.waveform_digest(1) == AugmentConfig(copies=9, gain=0.0).waveform_digest(1), (
        "features alone differ"
    )
    assert augment.waveform_digest(1) != AugmentConfig(copies=2, room=0.1).waveform_digest(1)


@pytest.mark.parametrize("n_mfcc", [13, None])
def test_a_gain_of_features_is_a_gain_of_the_sound(n_mfcc: int | None) -> None:
    spec = MfccSpec(n_mfcc=n_mfcc)
    change = FeatureAugmentation(AugmentConfig(gain=6.0, tilt=0.0), spec)
    offset = change.offset(np.random.default_rng(5))
    decibels = np.random.default_rng(5).normal(0, 6.0)
    louder = mfcc(sound() * np.float32(10 ** (decibels / 20)), spec)
    np.testing.assert_allclose(mfcc(sound(), spec) + offset, louder, atol=2e-3)


def test_feature_changes_copy_and_mask() -> None:
    spec = MfccSpec(n_mfcc=None)
    features = mfcc(sound(), spec)
    before = features.copy()
    changed = FeatureAugmentation(AugmentConfig(gain=0, tilt=0, time_mask=1, band_mask=1), spec)(
        features, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(features, before)
    rows = (changed == changed[:, :1]).all(0)
    assert not np.array_equal(changed, before)
    assert rows.sum() >= 1
    np.testing.assert_array_equal(
        FeatureAugmentation(AugmentConfig(gain=0, tilt=0), spec)(features, np.random.default_rng(0)), before
    )


@pytest.mark.parametrize("wrong", [{"noise": 1.5}, {"tempo": 0.5}, {"copies": -1}, {"gain": -1.0}])
def test_shares_and_ranges_are_checked(wrong: dict) -> None:
    with pytest.raises(SpecError, match=next(iter(wrong))):
        AugmentConfig(**wrong)
