"""Synthesised alarms keep to their standards; what is near to them does not."""

from __future__ import annotations

import numpy as np
import pytest

from export.scenes.cadence import (
    CARBON_MONOXIDE,
    SMOKE,
    Cadence,
    near_standard,
    other_cadence,
    pulse_times,
    varied,
)
from export.scenes.look_alikes import MAKERS, look_alike
from export.scenes.sounder import Sounder, beeper, piezo, sounded, square

RATE = 16_000


def test_the_smoke_pattern_is_temporal_three():
    """ISO 8201 and NFPA 72: 0.5 s on, 0.5 s off, three times, the last pause 1.5 s."""
    pulses = pulse_times(SMOKE, 12)
    np.testing.assert_allclose(pulses.onset[:6], [0, 1, 2, 4, 5, 6])
    np.testing.assert_allclose(pulses.offset - pulses.onset, 0.5)
    assert SMOKE.cycle == 4.0


def test_the_carbon_monoxide_pattern_is_temporal_four():
    """NFPA 720 and UL 2034: 0.1 s on, 0.1 s off, four times, then 5 s."""
    pulses = pulse_times(CARBON_MONOXIDE, 12)
    np.testing.assert_allclose(pulses.onset[:5], [0, 0.2, 0.4, 0.6, 5.7])
    np.testing.assert_allclose(pulses.offset - pulses.onset, 0.1)
    assert CARBON_MONOXIDE.cycle == pytest.approx(5.7)


def test_jitter_drift_and_a_late_beginning():
    rng = np.random.default_rng(1)
    pulses = pulse_times(SMOKE, 40, rng, into=0.4, drift=0.01)
    assert (
        0 <= pulses.onset[0] < 0.5
    )  # the second pulse of the group, 1 s into it less 1.6 s, is over: the third
    assert pulses.whole == pulses.group[0] + 1
    assert np.all(np.diff(pulses.onset) > 0)
    starts = pulses.onset[np.flatnonzero(np.diff(pulses.group)) + 1]
    cycles = np.diff(starts)
    assert cycles[-1] > cycles[0]  # it drifts
    assert np.abs(np.diff(pulses.onset) % 1).max() > 1e-4  # and no two gaps are quite equal


def test_another_device_has_other_times_within_the_spread():
    rng = np.random.default_rng(2)
    made = [varied(SMOKE, rng, 0.1) for _ in range(200)]
    on = np.array([each.on for each in made])
    assert 0.5 / 1.1 <= on.min() < 0.47
    assert 0.53 < on.max() <= 0.5 * 1.1


def test_other_beeps_are_no_standard():
    rng = np.random.default_rng(3)
    for _ in range(500):
        made = other_cadence(rng)
        assert not near_standard(made)
        assert made.cycle <= 6
    assert near_standard(SMOKE)
    assert near_standard(CARBON_MONOXIDE)
    assert not near_standard(Cadence(1, 0.5, 0.5, 0.5))  # a vehicle that reverses


def test_a_sounder_sounds_at_its_pitch_and_in_its_pulses():
    pulses = pulse_times(SMOKE, 8)
    sound = sounded(Sounder(3100.0, ((1, 1.0), (2, 0.1)), 0.002, 0.002), pulses, 8 * RATE, RATE)
    on = sound[round(0.1 * RATE) : round(0.4 * RATE)]
    spectrum = np.abs(np.fft.rfft(on * np.hanning(len(on))))
    assert np.argmax(spectrum) * RATE / len(on) == pytest.approx(3100, abs=5)
    assert float(np.sqrt(np.mean(on**2))) == pytest.approx(1, rel=0.02)
    assert np.abs(sound[round(0.55 * RATE) : round(0.95 * RATE)]).max() < 1e-6
    assert np.abs(sound[round(2.6 * RATE) : round(3.95 * RATE)]).max() < 1e-6


def test_every_kind_of_sounder_stays_below_half_the_rate():
    rng = np.random.default_rng(4)
    for make in (piezo, square, beeper):
        for _ in range(20):
            sound = sounded(make(rng), pulse_times(CARBON_MONOXIDE, 1), RATE, RATE)
            assert np.isfinite(sound).all()
            assert sound.any()
    low = sounded(square(rng), pulse_times(SMOKE, 1), RATE, RATE)[1000:7000]
    assert 500 < np.argmax(np.abs(np.fft.rfft(low))) * RATE / 6000 < 540


def test_look_alikes_are_finite_and_of_every_kind():
    for number, make in enumerate(MAKERS):
        sound = make(np.random.default_rng(number), RATE)
        assert len(sound) > 0.1 * RATE, make
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() > 0.1
    a, b = (look_alike(np.random.default_rng(9), RATE) for _ in range(2))
    np.testing.assert_array_equal(a, b)
