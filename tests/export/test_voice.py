"""Another pitch with the formants where they are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from export.augmentation.voice import resampled, with_pitch

RATE = 16_000
PITCH, FORMANT = 125.0, 1200.0


def vowel(seconds: float = 0.8) -> NDArray[np.float32]:
    """A pulse train through one resonance: a voice with one formant."""
    from scipy.signal import lfilter

    pulses = np.zeros(round(seconds * RATE))
    pulses[:: round(RATE / PITCH)] = 1
    angle, radius = 2 * np.pi * FORMANT / RATE, 0.97
    sound = lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], pulses)
    return (0.3 * sound / np.abs(sound).max()).astype(np.float32)


def pitch(sound: NDArray[np.float32]) -> float:
    """Hz, by autocorrelation of the middle."""
    middle = sound[len(sound) // 4 : 3 * len(sound) // 4].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle, 2 * len(middle))) ** 2
    lags = np.fft.irfft(spectrum)[: RATE // 60]
    shortest = RATE // 400
    return RATE / (shortest + int(lags[shortest:].argmax()))


def formant(sound: NDArray[np.float32]) -> float:
    """Hz at which the smoothed spectrum is strongest."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / RATE)
    smooth = np.convolve(power, np.hanning(round(400 * len(sound) / RATE)), "same")
    return float(hz[hz > 300][smooth[hz > 300].argmax()])


@pytest.mark.parametrize("factor", [0.75, 0.9, 1.15, 1.35])
def test_the_pitch_moves_and_the_formant_stays(factor: float) -> None:
    sound = vowel()
    assert pitch(sound) == pytest.approx(PITCH, rel=0.02)
    changed = with_pitch(sound, RATE, factor)
    assert pitch(changed) == pytest.approx(factor * PITCH, rel=0.03)
    assert formant(changed) == pytest.approx(formant(sound), rel=0.08)
    assert len(changed) == pytest.approx(len(sound) / factor, abs=2)
    moved = resampled(sound, factor)  # what only resampling does
    assert formant(moved) == pytest.approx(factor * formant(sound), rel=0.08)


def test_nothing_is_changed_by_a_factor_of_one() -> None:
    """But at the very ends, where a window sees half a sound."""
    sound = vowel()
    middle = slice(RATE // 20, -RATE // 20)
    same = with_pitch(sound, RATE, 1.0)
    assert np.corrcoef(same[middle], sound[middle])[0, 1] > 0.99
    assert np.std(same[middle]) == pytest.approx(np.std(sound[middle]), rel=0.05)


@pytest.mark.parametrize(
    "sound", [np.zeros(0), np.zeros(50), np.zeros(RATE), np.full(700, 0.5), np.eye(1, 3000)[0]]
)
def test_short_and_silent_sounds(sound: NDArray[np.float64]) -> None:
    changed = with_pitch(sound.astype(np.float32), RATE, 1.2)
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert len(changed) == pytest.approx(len(sound) / 1.2, abs=2)
