"""--no-audio and --no-speech on the command line: what is refused, and what is found in everything that was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stream.attaching import attach_outputs
from stream.capture.source import ArraySource
from stream.classifier import StreamClassifier
from stream.cli.live import NO_SOUND_KEPT
from stream.errors import UsageError
from stream.inference.session import Model
from stream.outputs.catalogue import OutputTable, output_classes, refuse_sound
from stream.outputs.clip_record import read_clip_record
from stream.outputs.output import Output
from stream.privacy.guarding import make_guard
from stream.privacy.without_sound import WithoutSound
from tests.support.command import ROOT, stream_classify
from tests.support.terminal import Terminal

each_output = pytest.mark.parametrize(("name", "kind"), output_classes().items(), ids=output_classes())

# What asks for each output that writes no sound and that needs no other program: all run together below.
# An output that is missing here and in _ELSEWHERE fails a test.
_WRITTEN_HERE = {
    "labels": ["--labels", "labels.txt"],
    "history": ["--history", "history.sqlite"],
    "exec": ["--exec", "tee exec.json"],
}
# These talk to other programs. They get no sound to begin with, as tests/privacy shows of all that write none.
_ELSEWHERE = {"mqtt", "webhook", "notify"}


@each_output
def test_every_output_says_whether_it_writes_sound(name: str, kind: type[Output]) -> None:
    assert isinstance(kind.__dict__.get("WRITES_SOUND"), bool), f"{name}: set WRITES_SOUND"
    if not kind.WRITES_SOUND:
        assert name in _ELSEWHERE | _WRITTEN_HERE.keys(), f"{name}: add it above"


@each_output
def test_no_audio_refuses_every_output_that_writes_sound(name: str, kind: type[Output]) -> None:
    first = kind.OPTIONS[0]
    asked: list[dict[str, Any]] = [
        {"values": {first.keyword: ("somewhere",)}},
        {"values": {}, "tables": [OutputTable(kind=name, target="somewhere")]},
    ]
    for each in asked:
        if kind.WRITES_SOUND:
            with pytest.raises(UsageError, match=f"--{first.name} somewhere: .*--no-audio"):
                refuse_sound(**each, all_of_it=True)
        else:
            refuse_sound(**each, all_of_it=True)


def test_no_speech_refuses_what_needs_the_sound_as_it_was_heard() -> None:
    refuse_sound({"clips": ("here",)}, all_of_it=False)
    with pytest.raises(UsageError, match=r"--record here: .* put redact in front of it"):
        refuse_sound({"record": ("here",)}, all_of_it=False)


def test_it_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    done = stream_classify("--no-audio", "--clips", "clips", "--input", "nothing.wav", cwd=tmp_path)
    assert done.returncode == 2
    assert "--no-audio forbids" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_behind_no_audio_there_is_no_sound_even_for_what_slipped_through() -> None:
    guard = make_guard(no_audio=True, no_speech=True)
    assert guard is not None
    assert isinstance(guard([], 30.0), WithoutSound)
    assert make_guard(no_audio=False, no_speech=False) is None


def test_in_python_outputs_are_refused_and_guarded_alike(tmp_path: Path) -> None:
    source, classifier = ArraySource(np.zeros(16_000), 16_000), StreamClassifier(Model.bundled())
    with pytest.raises(UsageError, match=r"--clips .*--no-audio"):
        attach_outputs(source, classifier, clips=str(tmp_path), no_audio=True)
    outputs = attach_outputs(source, classifier, clips=str(tmp_path), no_speech=True)
    assert outputs.history_seconds == 0  # the guard keeps the sound
    outputs.close()
    outputs = attach_outputs(source, classifier, clips=str(tmp_path))
    assert outputs.history_seconds > 0
    outputs.close()


def test_nothing_of_the_sound_is_in_what_is_written(tmp_path: Path) -> None:
    """Every short run of loud samples, in any encoding, is looked for in every byte that was written."""
    rate, seconds = 16_000, 20
    demo, _ = soundfile.read(ROOT / "assets/demo.ogg", dtype="float32", frames=seconds * rate)
    soundfile.write(tmp_path / "in.wav", demo, rate, subtype="PCM_16")
    options = [word for words in _WRITTEN_HERE.values() for word in words]
    done = stream_classify(
        *("--no-audio", "--input", "in.wav", "--fast", "--jsonl", "--scores", "--onsets", *options),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "in.wav").rename(tmp_path.with_suffix(".wav"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= len(_WRITTEN_HERE)
    written = b"".join(path.read_bytes() for path in files) + done.stdout.encode()
    ints, _ = soundfile.read(tmp_path.with_suffix(".wav"), dtype="int16")
    floats = ints.astype(np.float32) / np.float32(32768)
    for samples in (ints, floats, floats.astype(np.float64)):
        assert not found(samples, written), samples.dtype
    assert found(ints, b"xyz" + ints[80_000:81_000].tobytes())  # the search finds what is there


def found(samples: np.ndarray, data: bytes) -> bool:
    """Whether consecutive loud samples, 16 bytes of them or more, stand anywhere in the data."""
    count = max(4, 16 // samples.itemsize)
    width = count * samples.itemsize
    windows = np.lib.stride_tricks.sliding_window_view(samples, count)
    loud = windows[np.abs(windows).min(axis=1) > 0.003 * np.abs(samples).max()]
    wanted = {row.tobytes() for row in loud}
    return any(data[at : at + width] in wanted for at in range(len(data) - width + 1))


def test_clips_hold_no_speech_with_no_speech(tmp_path: Path) -> None:
    options = [
        "--demo",
        "--fast",
        "--jsonl",
        "--clips",
        "--threshold",
        "speech=0.42",
        "--peak-threshold",
        "0.9",
    ]
    at = options.index("--clips") + 1
    for name, more in (("open", []), ("masked", ["--no-speech"])):
        done = stream_classify(*options[:at], str(tmp_path / name), *options[at:], *more)
        assert done.returncode == 0, done.stderr
    clips = sorted(path.name for path in (tmp_path / "masked").glob("*.flac"))
    assert len(clips) >= 5
    for name in clips:
        for folder, silenced in (("open", False), ("masked", True)):
            record = read_clip_record(tmp_path / folder / name)
            assert record is not None
            assert record.speech_silenced is silenced
        plain, rate = soundfile.read(tmp_path / "open" / name, dtype="int16")
        masked, _ = soundfile.read(tmp_path / "masked" / name, dtype="int16")
        same = min(len(plain), len(masked))
        assert np.all((masked[:same] == plain[:same]) | (masked[:same] == 0))
        if name > "demo_00h01m" or "_speech_0." in name:
            continue  # what is easily mistaken: a horn or a song may be silenced in part, as speech
        if "_speech_" in name:  # it begins three seconds before the event
            assert not masked[3 * rate : 4 * rate].any()
        else:
            assert masked[3 * rate : 4 * rate].any()


def test_keys_that_keep_sound_say_why_not(tmp_path: Path) -> None:
    with Terminal(100, 30) as terminal:
        command = " ".join(["cd", str(tmp_path), "&&", f"PYTHONPATH={ROOT}", "python3", "-m", "stream"])
        terminal.type(f"{command.replace('python3', python())} --no-audio --input 'sim:noise?length=60s'")
        terminal.wait_for(lambda text: "teach" in text)
        terminal.press("t")
        terminal.wait_for(lambda text: NO_SOUND_KEPT in text)
        terminal.press("q")
        terminal.wait_for_shell()
    assert not list(tmp_path.iterdir())


def python() -> str:
    import sys

    return sys.executable
