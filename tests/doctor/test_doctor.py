"""stream-classify doctor as people run it: on files, on a virtual microphone, and without any."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.command import stream_classify
from tests.support.pulse import SINK, PulseServer, pulse_server

RATE = 48_000
MONITOR = f"{SINK}.monitor"


def wrong(text: str) -> list[str]:
    """The lines below the last title."""
    return [line.strip(" -") for line in text.split("what is wrong\n")[1].splitlines()]


def test_a_recording_that_is_well() -> None:
    done = stream_classify("doctor", "--input", "sim:tone?length=3s", "--seconds", "2")
    assert done.returncode == 0, done.stderr
    titles = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert titles == ["this installation", "permissions", "microphones", "model", "sound", "what is wrong"]
    assert wrong(done.stdout) == ["nothing was found"]
    assert "2.0 s of sim:tone, 16000 Hz" in done.stdout
    assert "CPUExecutionProvider" in done.stdout
    assert "the model hears" in done.stdout
    assert done.stderr == "listening to sim:tone for 2 s\n"


def test_scripts_get_json_and_an_exit_code(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = np.stack([np.zeros(3 * RATE), 0.1 * rng.standard_normal(3 * RATE)], axis=1)
    soundfile.write(tmp_path / "right only.wav", sound, RATE)
    done = stream_classify("doctor", "--input", str(tmp_path / "right only.wav"), "--channel", "1", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["model"]["labels"] == "speech, music, noise"
    assert [finding["kind"] for finding in report["findings"]] == ["flat", "channel"]
    assert "--channel 2" in report["findings"][1]["text"]


def test_without_a_microphone_the_report_comes_all_the_same() -> None:
    done = stream_classify("doctor")
    assert done.returncode == 4
    assert "no microphone is there" in wrong(done.stdout)[0]
    assert "onnxruntime" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "-"], "does not read standard input"),
        (["--input", "a.wav", "--device", "2"], "give one of them"),
        (["--seconds", "0"], "--seconds"),
        (["--input", ""], "is empty"),
        (["--input", "sim:tone?bang@1s"], "bang"),
    ],
)
def test_wrong_words_are_refused(words: list[str], said: str) -> None:
    done = stream_classify("doctor", *words)
    assert done.returncode in (2, 4) or "bang" in words[1]
    assert said in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[PulseServer]:
    with pulse_server() as running:
        yield running


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    noise = 0.05 * np.random.default_rng(1).standard_normal(30 * 44_100)
    soundfile.write(folder / "both.wav", np.stack([noise, noise], axis=1), 44_100)
    soundfile.write(folder / "right.wav", np.stack([0 * noise, noise], axis=1), 44_100)
    return folder


def examined(server: PulseServer, sound: Path) -> list[str]:
    player = server.play(sound)
    done = stream_classify("doctor", "--device", "pulse", "--seconds", "1.5", "--json", **server.env)
    player.kill()
    player.wait(20)
    report = json.loads(done.stdout)
    assert report["permissions"]["sound server"] == "yes"
    assert any("pulse" in name for name in report["microphones"]), report["microphones"]
    found: list[str] = [finding["kind"] for finding in report["findings"]]
    assert done.returncode == bool(found), done.stderr
    return found


@pytest.mark.pulse
def test_a_microphone_that_is_well(server: PulseServer, sounds: Path) -> None:
    assert examined(server, sounds / "both.wav") == []


@pytest.mark.pulse
def test_a_microphone_that_is_muted(server: PulseServer, sounds: Path) -> None:
    server.pactl("set-source-mute", MONITOR, "1")
    try:
        assert examined(server, sounds / "both.wav") == ["muted"]
    finally:
        server.pactl("set-source-mute", MONITOR, "0")


@pytest.mark.pulse
def test_a_microphone_that_is_suspended(server: PulseServer, sounds: Path) -> None:
    server.pactl("suspend-sink", SINK, "1")  # and its monitor with it
    try:
        assert examined(server, sounds / "both.wav") == ["suspended"]
    finally:
        server.pactl("suspend-sink", SINK, "0")


@pytest.mark.pulse
def test_sound_on_the_other_channel(server: PulseServer, sounds: Path) -> None:
    assert examined(server, sounds / "right.wav") == ["flat", "channel"]
