"""What is measured of a beep is what sounded, near and far; and what is no repeating beep is refused by name."""

from __future__ import annotations

import re

import numpy as np
import pytest
import soxr

from export.scenes.cadence import SMOKE, Cadence
from export.teaching.beeps.measuring import clearly_beeps, measure
from stream.errors import DataError
from tests.support.beeps import BEEPS, PIEZO, RATE, beeping
from tests.support.sounds import demo

FAR = {"near": {}, "noisy": {"snr": 0.0}, "in a room": {"snr": 15.0, "rt60": 0.35}}


@pytest.mark.parametrize("place", FAR)
@pytest.mark.parametrize("name", BEEPS)
def test_pitch_and_cadence_are_what_sounded(name: str, place: str) -> None:
    cadence, sounder = BEEPS[name]
    beep = measure(beeping(cadence, sounder, max(2.7 * cadence.cycle, 4.5), **FAR[place]), name)
    assert min(line.hertz for line in beep.lines) == pytest.approx(sounder.hertz, abs=3)
    assert len(beep.pulses) == cadence.pulses
    assert beep.cycle == pytest.approx(cadence.cycle, abs=0.012)
    slack = 0.05 if place == "in a room" else 0.022
    assert [pulse.length for pulse in beep.pulses] == pytest.approx([cadence.on] * cadence.pulses, abs=slack)
    assert beep.gaps[:-1] == pytest.approx([cadence.off] * (cadence.pulses - 1), abs=slack)
    assert beep.gaps[-1] == pytest.approx(cadence.pause, abs=slack)
    assert beep.start == pytest.approx(1.3, abs=0.03)
    assert beep.cycles >= 2
    assert beep.looks_like == {"smoke": "smoke alarm", "carbon": "carbon monoxide alarm"}.get(
        name.replace(",", "").split()[0]
    )
    assert f"{beep.cycle:.3f} s" in beep.describe()


def test_harmonics_are_lines_with_their_levels() -> None:
    cadence, sounder = BEEPS["smoke, low"]
    beep = measure(beeping(cadence, sounder, 13, snr=30), "x")
    assert [line.hertz for line in beep.lines] == pytest.approx([520, 1560, 2600, 3640], abs=3)
    assert [line.decibels for line in beep.lines] == pytest.approx([0, -9.5, -14, -16.9], abs=1.5)


def test_any_rate_and_other_sound_around_it() -> None:

    sound = beeping(SMOKE, PIEZO, 14, snr=30)
    talk = np.concatenate([demo(RATE)[: 10 * RATE], np.zeros(RATE, np.float32)])
    long = np.concatenate([talk, sound, talk])
    long[: len(talk) + len(sound)] += 0.3 * np.resize(talk, len(talk) + len(sound))
    beep = measure(soxr.resample(soxr.resample(long, RATE, 22_050), 22_050, RATE), "x")
    assert (beep.hertz, beep.cycle) == pytest.approx((3103, 4.0), abs=3)
    assert beep.start == pytest.approx(11 + 1.3, abs=0.05)
    assert beep.looks_like == "smoke alarm"


def test_a_cadence_that_is_not_even_is_spread() -> None:
    rng = np.random.default_rng(1)
    even = beeping(Cadence(1, 0.4, 0.6, 0.6), PIEZO, 9.5, snr=30)
    pieces, at = [], 0
    for k in range(9):
        step = RATE + round(rng.normal(0, 0.02) * RATE)
        pieces.append(even[round(1.3 * RATE) + k * RATE :][:step])
        at += step
    beep = measure(np.concatenate(pieces), "x")
    assert 0.005 < beep.cycle_spread < 0.08
    assert measure(even, "x").cycle_spread < 0.008


def tune(pitches: tuple[float, ...], seconds: float = 12.0) -> np.ndarray:
    """Notes of 0.25 s again and again."""
    time = np.arange(RATE // 4) / RATE
    notes = [0.1 * np.sin(2 * np.pi * pitch * time) for pitch in pitches]
    line = np.tile(np.concatenate(notes), round(4 * seconds / len(pitches)))
    return (line + np.random.default_rng(0).normal(0, 1e-3, len(line))).astype(np.float32)


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (np.zeros(3 * RATE, np.float32), "silent"),
        (np.random.default_rng(0).normal(0, 0.1, 8 * RATE).astype(np.float32), "line"),
        (beeping(Cadence(1, 0.5, 9.0, 9.0), PIEZO, 4, snr=30), "sounds once, for 0.5"),
        (beeping(SMOKE, PIEZO, 5.2, snr=30), "whole cycle"),
        (beeping(Cadence(1, 12.0, 1.0, 1.0), PIEZO, 12.5, snr=30), "sounds once, for 12"),
        (tune((660, 880, 990, 1320)), "is one of several"),
        (demo(RATE)[: 12 * RATE], "the line at|pitch about"),
        (demo(RATE)[20 * RATE : 45 * RATE], "the line at|pitch about"),
    ],
    ids=[
        "silence",
        "noise",
        "one beep",
        "one cycle",
        "a steady tone",
        "an arpeggio",
        "talk",
        "music",
    ],
)
def test_what_is_no_repeating_beep_is_refused(sound: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=r"x\.wav: no repeating beep in it \(.*\); give a recording") as error:
        measure(sound, "x.wav")
    assert re.search(said, str(error.value))
    assert "\n" not in str(error.value)
    assert clearly_beeps(sound) is None


def test_a_clear_beep_is_told_and_a_faint_one_is_not() -> None:
    assert clearly_beeps(beeping(SMOKE, PIEZO, 14, snr=20)) is not None
    assert clearly_beeps(beeping(SMOKE, PIEZO, 14, snr=-12)) is None
