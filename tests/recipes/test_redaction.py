"""What is counted when speech is silenced."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from export.recipes.speech_music_noise.release.redaction import Figures, Ours, Silero, from_labels
from export.recipes.speech_music_noise.scenes.compose import Scene
from stream.capture.files import read_audio
from stream.installation import asset
from stream.messages import Chunk
from stream.privacy.redactor import Redactor
from stream.privacy.speech_rule import SpeechRule

CELLS = 1000  # ten seconds


def scene(samples: np.ndarray | None = None) -> Scene:
    """Somebody speaks from the second to the fourth second, over music that lasts to the eighth."""
    active = np.zeros((CELLS, 3), bool)
    active[200:400, 0] = True
    active[:800, 1] = True
    samples = np.zeros(CELLS * 160, np.float32) if samples is None else samples
    return Scene(samples, active, (), np.zeros((3, len(samples)), np.float32))


def test_frames_are_counted_against_the_tool() -> None:
    figures = Figures()
    silenced = np.zeros(CELLS * 160, bool)
    silenced[200 * 160 : 360 * 160] = True  # 0.4 s of speech remain
    silenced[250 * 160 + 3] = False  # one sample of a frame is enough to remain
    silenced[100 * 160 + 3] = True  # and one to be lost
    figures.add(scene(), silenced)
    figures.add_alone(scene(), silenced)
    assert (figures.remaining, figures.speech, figures.stretches) == (41, 200, 1)
    assert (figures.lost, figures.wanted) == (1, 600)
    assert (figures.lost_alone, figures.alone) == (161, 800)
    assert figures.row() == ["20.500 %", "360.0", "0 %", "20 %"]


def test_perfect_labels_lose_the_margins_only() -> None:
    figures = Figures()
    figures.add(scene(), from_labels(scene(), SpeechRule(before=0.7, after=0.2)))
    assert (figures.remaining, figures.lost) == (0, 90)


def test_a_threshold_with_hysteresis_and_padding() -> None:
    scores = np.zeros(CELLS, np.float32)
    scores[500:520], scores[520:530], scores[700] = 0.6, 0.4, 0.4
    silenced = Silero(lambda _: {"speech": scores}).silence(scene(), 0.5, 0.1)
    np.testing.assert_array_equal(np.flatnonzero(silenced)[[0, -1]], [490 * 160, 540 * 160 - 1])


def test_what_is_measured_is_what_a_redactor_does() -> None:
    sound = read_audio(asset("demo.ogg"), 16_000)[: CELLS * 160]
    silenced = Ours().silence(scene(sound), SpeechRule())
    redactor = Redactor()
    out = [*redactor.push(Chunk(sound, 0, 16_000)), *redactor.flush()]
    np.testing.assert_array_equal(
        np.concatenate([each.samples for each in out]), np.where(silenced, 0, sound)
    )
