"""The dashboard's keys keep what was heard, and say what to do with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream import Model, StreamClassifier
from stream.capture.files import read_audio
from stream.capture.source import ArraySource
from stream.cli.closing import teaching_lines
from stream.errors import UsageError
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


def test_a_name_is_the_folder_of_what_was_held_when_the_key_was_pressed(tmp_path: Path) -> None:
    kept = KeptSounds(tmp_path / "heard", wall=iter(range(10)).__next__, reserved=("speech",))
    assert kept.hold() is None
    sound = read_audio(asset("demo.ogg"), 16_000)[: 12 * 16_000]
    model = Model.bundled("small", "cpu")
    run(ArraySource(sound[: 8 * 16_000], 16_000), StreamClassifier(model), [kept], history_seconds=20)
    write = kept.hold()
    assert write is not None
    run(ArraySource(sound, 16_000), StreamClassifier(model), [kept], history_seconds=20)  # while it is typed
    for name, said in (("../x", "want letters"), ("speech", "my-speech"), ("Not", "my-Not"), (".", "want")):
        with pytest.raises(UsageError, match=said) as raised:
            write(name)
        assert len(str(raised.value)) <= 80
    assert not (tmp_path / "heard").exists()
    assert write("my dog") == "my dog: kept 1"
    assert write("") == "kept 1"
    assert kept.keep() == "kept 2"
    assert [file.parent.name for file in kept.kept] == ["my dog", "heard", "heard"]
    samples, _ = soundfile.read(kept.kept[0], dtype="float32")
    np.testing.assert_allclose(samples, sound[4 * 16_000 : 8 * 16_000], atol=1e-4)

    model_file = tmp_path / "mine.onnx"
    (tmp_path / "mine.taught" / "my dog").mkdir(parents=True)
    named, unnamed = teaching_lines(kept, str(model_file))
    folder = kept.folder
    assert named == (
        f"1 sound of my dog kept: stream-classify teach 'my dog' --add --clips '{folder}/my dog' "
        f"-o {model_file} --listen"
    )
    files = f"--clips {kept.kept[1]} --clips {kept.kept[2]}"  # and not those of the dog
    assert unnamed == f"2 sounds kept: stream-classify teach NAME {files} -o {model_file} --listen"
