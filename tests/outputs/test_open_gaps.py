"""A gap that goes on is told while it lasts, once, and counted once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream import Model, StreamClassifier
from stream.messages import Chunk
from stream.snapshot import pack, unpack

RATE = 16_000


def nan(seconds: float) -> np.ndarray:
    return np.full(round(seconds * RATE), np.nan, np.float32)


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.05, round(seconds * RATE)).astype(np.float32)


@pytest.fixture
def classifier() -> StreamClassifier:
    return StreamClassifier(Model.bundled("small"))


@pytest.mark.parametrize("begin", [0.0, 1.0])
@pytest.mark.parametrize("size", [160, 4_000])
def test_invalid_samples_without_end(classifier: StreamClassifier, begin: float, size: int) -> None:
    sound = np.concatenate([noise(begin), nan(20), noise(1)])
    opened, gaps = [], []
    for at in range(0, len(sound), size):
        result = classifier.push(sound[at : at + size])
        opened += result.opened
        gaps += result.gaps
        if result.opened:
            assert at / RATE < begin + 2  # soon, and not when it is over
    gaps += classifier.flush().gaps
    assert [(gap.start, gap.reason) for gap in opened] == [(round(begin * RATE), "missing")]
    assert opened[0].length > RATE
    assert [(gap.start, gap.length) for gap in gaps] == [(round(begin * RATE), 20 * RATE)]


def test_short_gaps_are_told_when_they_are_over(classifier: StreamClassifier) -> None:
    sound = np.concatenate([noise(1), nan(0.5), noise(1), nan(0.9), noise(1)])
    results = [classifier.push(sound[at : at + 160]) for at in range(0, len(sound), 160)]
    assert sum(len(result.opened) for result in results) == 0
    assert sum(len(result.gaps) for result in results) == 2


def test_a_source_that_is_gone(classifier: StreamClassifier) -> None:
    classifier.push(noise(1))
    nothing = np.zeros(0, np.float32)
    opened = []
    for n in range(1, 20):
        beat = Chunk(nothing, RATE, RATE, state="recovering", missing=n * RATE // 2)
        opened += classifier.push(beat).opened
    assert [(gap.start, gap.reason) for gap in opened] == [(RATE, "lost")]
    result = classifier.push(Chunk(noise(1), 11 * RATE, RATE))
    assert [(gap.start, gap.length) for gap in result.gaps] == [(RATE, 10 * RATE)]


def test_it_is_not_told_again_after_a_restore(classifier: StreamClassifier) -> None:
    assert classifier.push(np.concatenate([noise(1), nan(3)])).opened
    other = StreamClassifier(Model.bundled("small"))
    other.restore(unpack(pack(classifier.snapshot())))
    assert not other.push(nan(3)).opened


def test_lines(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.concatenate([noise(1), nan(30), noise(1)]), RATE, subtype="FLOAT")
    done = subprocess.run(
        [sys.executable, "-m", "stream", "--input", str(tmp_path / "a.wav"), "--fast", "--model", "small"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    gaps = [line for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "gap"]
    assert [(gap["open"], gap["start"]) for gap in gaps] == [(True, 1.0), (False, 1.0)]
    assert gaps[1]["duration"] == 30
    assert "30 s of sound were lost" in done.stderr
