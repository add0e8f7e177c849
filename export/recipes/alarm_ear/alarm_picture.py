"""A scene of a kitchen at night as a picture: what sounds, what the model gives, what is reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.calibration.heard import HeardStream
from export.data.recording import Interval
from export.pictures.strip import draw_strip
from export.recipes.alarm_ear.alarm_mix import HELD_OUT
from export.recipes.alarm_ear.alarm_scenes import AlarmComposer, AlarmScene
from export.recipes.alarm_ear.alarm_settings import LABELS
from export.recipes.alarm_ear.alarm_sources import bank
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE
from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, Cadence, pulse_times
from export.scenes.sounder import Sounder, sounded
from export.scenes.sounder_labels import placed
from stream.inference.session import Model
from stream.recording import classify

SECONDS = 100.0
# label, from, for how long, cadence, Hz, dB above what sounds behind; None = somebody says beep
SCRIPT: tuple[tuple[str | None, float, float, Cadence, float, float], ...] = (
    ("beep", 6.0, 9.0, Cadence(1, 0.25, 0.25, 0.25), 2100.0, 5.0),
    (None, 20.0, 10.0, SMOKE, 0.0, 5.0),
    ("smoke_alarm", 34.0, 22.0, SMOKE, 3120.0, -10.0),
    ("co_alarm", 66.0, 24.0, CARBON_MONOXIDE, 3080.0, -10.0),
)


def draw(model: Model, cache: Path, path: Path) -> None:
    """A timer, a voice that imitates an alarm, a smoke alarm and a carbon monoxide alarm over a talk and music."""
    scene = scripted(cache)
    result = classify(scene.samples, model)
    known = tuple(Interval(each.label, each.onset, each.offset) for each in scene.sounders)
    events = [Interval(e.label, e.onset_s, e.offset_s) for e in result.events if e.offset_s is not None]
    scores = result.scores
    heard = HeardStream(
        scores.probs, scores.sample, scores.sample_rate, scores.hop, 0, len(scene.samples), known, "own"
    )
    draw_strip(
        heard, events, LABELS, path, detector=model.card.detector, samples=scene.samples, seconds=SECONDS,
        title="a timer, a voice that says beep, a smoke alarm and a carbon monoxide alarm 10 dB below talk and music: "
        "shaded = known, line = probability, bar = event",
    )  # fmt: skip


def scripted(cache: Path) -> AlarmScene:
    """The scene."""
    rng = np.random.default_rng(77)
    composer = AlarmComposer(bank(cache, "test"), "test", HELD_OUT, 77)
    n = round(SECONDS * SAMPLE_RATE)
    out = np.zeros(n, np.float32)
    out[: n // 2] = composer.backgrounds.draw("speech", n // 2, rng)
    out[n // 2 :] = composer.backgrounds.draw("music", n - n // 2, rng)
    sounders = []
    for label, at, seconds, cadence, hertz, ratio in SCRIPT:
        begin, length = round(at * SAMPLE_RATE), round(seconds * SAMPLE_RATE)
        if label is None:
            sound = composer.imitations.draw(rng, seconds)[:length]
            sound = sound / np.float32(max(float(np.abs(sound).max()), 1e-6))
        else:
            pulses = pulse_times(cadence, seconds)
            sound = sounded(Sounder(hertz, ((1, 1.0), (2, 0.1))), pulses, length, SAMPLE_RATE)
            sounders.append(placed(label, pulses, at, snr=ratio))
        out[begin : begin + len(sound)] += sound * np.float32(10 ** (ratio / 20))
    return AlarmScene(np.asarray(0.5 * out / np.abs(out).max(), np.float32), sounders)
