"""The command: what it refuses at once, and examples from a source that is listened to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from export.cli.teach import teach
from export.teaching.ear import STOP_SECONDS, Ear
from stream.capture.source import ArraySource
from stream.errors import StreamClassifyError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to teach"),
        (["--clips", "x"], "what the sound is called is missing"),
        (["dog"], "add --clips DIR, or --record"),
        (["dog", "--clips", "x", "--add", "--replace"], "give one"),
        (["dog", "--clips", "x", "--device", "2"], "add --record"),
        (["music", "--clips", "x"], "my-music"),
        (["dog", "--clips", "nowhere"], "no such file or folder"),
        (["dog", "--clips", ".", "--front", "nothing.onnx"], "no such file"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(words: list[str], said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(teach, [*words, "-o", str(tmp_path / "mine.onnx")])
    assert isinstance(done.exception, StreamClassifyError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_an_ear_takes_the_sound_out_of_the_last_seconds() -> None:
    rng = np.random.default_rng(0)
    line = rng.normal(0, 2e-3, 48_000 * 5).astype(np.float32)
    line[48_000 * 3 : 48_000 * 3 + 24_000] += rng.normal(0, 0.2, 24_000).astype(np.float32)
    with Ear(ArraySource(line, 48_000), 16_000) as ear:
        ear._thread.join(STOP_SECONDS)
        example = ear.take(wait=0)
        assert example is not None
        assert 0.4 < len(example.samples) / 16_000 < 0.7
        assert ear.take(wait=0) is None  # the key was pressed twice
    line[48_000 * 2 : 48_000 * 2 + 12_000] += rng.normal(0, 0.1, 12_000).astype(np.float32)
    with Ear(ArraySource(line, 48_000), 16_000) as ear:
        ear._thread.join(STOP_SECONDS)
        lengths = [len(found.samples) / 16_000 for found in (ear.take(wait=0), ear.take(wait=0)) if found]
        assert lengths == [pytest.approx(0.56, abs=0.15), pytest.approx(0.31, abs=0.15)]
        assert ear.take(wait=0) is None
    with Ear(ArraySource(rng.normal(0, 2e-3, 48_000 * 5).astype(np.float32), 48_000), 16_000) as ear:
        ear._thread.join(STOP_SECONDS)
        assert ear.take(wait=0) is None
