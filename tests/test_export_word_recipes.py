"""The word recipes: unknown words in one second, synthetic voices."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from export.data.recording import Recording
from export.recipes.espeak import spoken, trimmed
from export.recipes.keywords import RATE, _backwards, one_second
from stream.capture.files import read_audio
from tests.labelled import class_folder


def test_one_second_keeps_the_loudest_part_of_long_sounds() -> None:
    rng = np.random.default_rng(0)
    long = np.full(3 * RATE, 0.001, np.float32)
    long[2 * RATE : 2 * RATE + 4000] = 0.5
    clip = one_second(long, rng)
    assert clip.shape == (RATE,)
    assert (np.abs(clip) > 0.1).sum() == 4000
    short = one_second(np.full(2000, 0.5, np.float32), rng)
    assert short.shape == (RATE,)
    assert 1900 < (np.abs(short) > 0.1).sum() <= 2000
    assert not np.allclose(short[:100], short[-100:]), "the rest is faint noise"


def test_trimming_leaves_the_word() -> None:
    word = np.concatenate((np.zeros(500), np.full(300, 0.4), np.zeros(700))).astype(np.float32)
    assert len(trimmed(word)) == 300
    assert len(trimmed(np.zeros(10, np.float32))) == 10


def test_backwards_words_keep_their_speaker_and_split(tmp_path: Path) -> None:
    root = class_folder(tmp_path, speakers=3)
    recordings = [
        Recording(path, "x", path.name.split("_")[0], (path.parent.name,), split="validation")
        for path in sorted(root.rglob("*.wav"))
    ]
    for samples, group, split in _backwards(recordings, np.random.default_rng(0)):
        assert (group, split) in {("s0", "validation"), ("s1", "validation"), ("s2", "validation")}
        assert any(
            np.array_equal(samples[::-1], read_audio(r.path, RATE)) for r in recordings if r.group == group
        )


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_synthetic_voices_speak() -> None:
    heard = list(islice(spoken(["seven", "nine"], 8000, np.random.default_rng(0)), 4))
    assert {word for _, word, _ in heard} <= {"seven", "nine"}
    assert all(0.1 < len(samples) / 8000 < 2 and np.abs(samples).max() > 0.01 for samples, _, _ in heard)
