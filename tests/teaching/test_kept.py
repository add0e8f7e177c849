"""The dashboard's keys keep what was heard, and say what to do with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from stream import Model, StreamClassifier
from stream.capture.files import read_audio
from stream.capture.source import ArraySource
from stream.cli.closing import teaching_lines
from stream.installation import asset
from stream.outputs.kept import KeptSounds
from stream.runner import run


def test_the_last_seconds_and_the_last_event_are_kept(tmp_path: Path) -> None:
    kept = KeptSounds(tmp_path / "heard", wall=iter(range(10)).__next__)
    assert kept.keep() == "nothing heard yet"
    sound = read_audio(asset("demo.ogg"), 16_000)[: 12 * 16_000]
    run(
        ArraySource(sound, 16_000),
        StreamClassifier(Model.bundled("small", "cpu")),
        [kept],
        history_seconds=20,
    )
    assert kept.keep() == "kept 1"
    (file,) = kept.kept
    samples, rate = soundfile.read(file, dtype="float32")
    assert rate == 16_000
    np.testing.assert_allclose(samples, sound[-4 * 16_000 :], atol=1e-4)
    assert kept.wrong().startswith("not ")
    (wrong,) = kept.wrong_ones
    assert wrong.parent == tmp_path / "heard" / "not"
    assert len(soundfile.read(wrong)[0]) > 16_000
    assert teaching_lines(kept, "default") == [
        f"1 sound kept: stream-classify teach NAME --clips {kept.folder} -o mine.onnx --listen",
        f"1 wrong event kept: stream-classify teach --not {wrong.parent} -o mine.onnx --listen",
    ]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    kept = KeptSounds(tmp_path / "file" / "heard")
    sound = np.zeros(16_000, np.float32)
    run(
        ArraySource(sound, 16_000),
        StreamClassifier(Model.bundled("small", "cpu")),
        [kept],
        history_seconds=20,
    )
    assert kept.keep().startswith("cannot write")
    assert kept.kept == []
    assert teaching_lines(kept, "default") == []
