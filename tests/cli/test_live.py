"""The main job end to end: sound in a room, through PulseAudio and PortAudio, to events and to a dashboard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.support.command import running, wait_for
from tests.support.pulse import PulseServer
from tests.support.sounds import ASSETS, demo
from tests.support.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-W", "error", "-m", "stream"]


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, **options
    )


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def seconds_of(events: list[dict[str, Any]], label: str, low: float, high: float) -> float:
    """How much of [low, high] is covered by complete events of a class."""
    return sum(
        max(0.0, min(e["offset"], high) - max(e["onset"], low))
        for e in events
        if e["type"] == "event" and e["label"] == label
    )


def test_the_bundled_recording_is_heard_right() -> None:
    """One true thing about each class, on sound the bundled model was not trained on."""
    done = run("--demo", "--fast", "--jsonl")
    assert done.returncode == 0, done.stderr
    events = lines(done.stdout)
    assert seconds_of(events, "speech", 8.41, 11.57) > 2.0
    assert seconds_of(events, "music", 14.5, 25.0) > 4.0
    assert seconds_of(events, "noise", 42.0, 48.0) > 4.5
    for label in ("speech", "music", "noise"):
        assert seconds_of(events, label, 0.0, 3.9) < 0.5  # silence


def test_any_pace_and_format_gives_the_same_events(tmp_path: Path) -> None:
    """A FLAC in one go and the same samples as raw PCM through a pipe in odd pieces."""
    sound = demo(16000)[: 16 * 16000]
    pcm = np.round(sound * 32767).astype("<i2")
    soundfile.write(tmp_path / "a.flac", pcm, 16000)
    whole = run("--input", str(tmp_path / "a.flac"), "--fast", "--jsonl", "--onsets", "--scores")
    piped = subprocess.run(
        [*COMMAND, "--input", "-", "--sample-rate", "16000", "--jsonl", "--onsets", "--scores"],
        cwd=ROOT,
        input=pcm.tobytes(),
        capture_output=True,
        timeout=120,
    )
    assert piped.returncode == 0, piped.stderr

    def facts(text: str) -> list[dict[str, Any]]:
        rows = [{k: v for k, v in row.items() if k not in ("source", "t_wall")} for row in lines(text)]
        return sorted(rows, key=json.dumps)

    assert facts(whole.stdout) == facts(piped.stdout.decode())
    assert len(facts(whole.stdout)) > 750


@pytest.mark.pulse
@pytest.mark.parametrize("rate", [16000, 44100])
def test_what_is_played_is_reported(virtual_mic: PulseServer, tmp_path: Path, rate: int) -> None:
    """`--device pulse --jsonl` hears speech that paplay plays, at the model's rate and through the resampler."""
    speech = demo(16000)[round(4.0 * 16000) : round(8.0 * 16000)]
    soundfile.write(tmp_path / "speech.wav", np.tile(speech, 3), 16000)
    out = tmp_path / "events.jsonl"
    command = [*COMMAND, "--device", "pulse", "--sample-rate", str(rate), "--jsonl", str(out), "--onsets"]
    listener = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **virtual_mic.env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with running(listener):
        deadline = time.monotonic() + 60
        player = virtual_mic.play(tmp_path / "speech.wav")
        while time.monotonic() < deadline:
            if out.exists() and '"onset"' in out.read_text() and player.poll() is None:
                break
            if player.poll() is not None:
                player = virtual_mic.play(tmp_path / "speech.wav")
            time.sleep(0.1)
        player.wait(60)
        time.sleep(1.0)  # the end of the sound is an event too
        listener.send_signal(signal.SIGTERM)
        _, stderr = listener.communicate(timeout=30)
    assert listener.returncode == 0, stderr
    events = lines(out.read_text())
    heard = [e for e in events if e["type"] == "event" and e["label"] == "speech"]
    assert heard, stderr
    assert heard[0]["peak"] > 0.5
    assert heard[0]["t_wall"] is not None
    assert heard[0]["source"].startswith("pulse")
    onsets = [e["id"] for e in events if e["type"] == "onset" and e["label"] == "speech"]
    assert {e["id"] for e in heard} <= set(onsets)


@pytest.mark.pulse
def test_pulling_the_plug_is_a_gap_and_no_event(virtual_mic: PulseServer, tmp_path: Path) -> None:
    """Unload the microphone, load it again: recovering, a gap as long as it lasted, no phantom event."""
    out = tmp_path / "events.jsonl"
    listener = subprocess.Popen(
        [*COMMAND, "--device", "pulse", "--jsonl", str(out), "--onsets"],
        cwd=ROOT,
        env={**os.environ, **virtual_mic.env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )

    def states() -> list[str]:
        if not out.exists():
            return []
        return [e["state"] for e in lines(out.read_text()) if e["type"] == "status"]

    with running(listener):
        time.sleep(3.0)  # let it open
        virtual_mic.unplug()
        wait_for(lambda: "recovering" in states(), "recovering", listener, 40)
        gone = time.monotonic()
        time.sleep(2.0)
        virtual_mic.replug()
        wait_for(lambda: states()[-1] != "recovering", "sound again, if only a flat line", listener, 40)
        lasted = time.monotonic() - gone
        time.sleep(1.5)
        listener.send_signal(signal.SIGINT)
        _, stderr = listener.communicate(timeout=30)
    assert listener.returncode == 0, stderr
    events = lines(out.read_text())
    gaps = [e for e in events if e["type"] == "gap"]
    assert gaps, events
    assert 2.0 < sum(g["duration"] for g in gaps) < lasted + 6.0
    assert not [e for e in events if e["type"] in ("event", "onset")]


def test_dashboard_in_a_terminal() -> None:
    """The bundled recording in tmux: classes, rates and model on the screen; q ends it; the terminal is as before."""
    with Terminal(80, 24) as terminal:
        terminal.type(" ".join([*COMMAND[:1], "-m", "stream", "--demo"]))
        terminal.wait_for(lambda text: "speech" in text and "music" in text and "16000" in text, 30)
        shown = terminal.text()
        assert "default" in shown or "rooms" in shown
        assert all(len(line) <= 80 for line in shown.splitlines())
        terminal.resize(200, 60)
        terminal.wait_for(lambda text: any(len(line) > 150 for line in text.splitlines()), 10)
        terminal.press("q")
        terminal.wait_for_shell()
        assert terminal.ask("#{cursor_flag}") == "1"
        assert terminal.ask("#{alternate_on}") == "0"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_signals_flush_what_is_on(stop: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    runner = subprocess.Popen(
        [
            *COMMAND,
            "--input",
            str(ASSETS / "demo.ogg"),
            "--jsonl",
            str(out),
            "--onsets",
            "--threshold",
            "noise=0.001",
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with running(runner):
        wait_for(lambda: out.exists() and '"onset"' in out.read_text(), "an onset", runner)
        runner.send_signal(stop)
        _, stderr = runner.communicate(timeout=20)
    assert runner.returncode == 0, stderr
    events = lines(out.read_text())
    assert any(e["type"] == "event" and e["cut"] for e in events)  # what was on was closed and written
