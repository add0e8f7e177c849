"""A beep from one recording: measured right, refused where there is none, learnt into a proven file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from export.cli.teach import teach
from export.scenes.cadence import CARBON_MONOXIDE, SMOKE, Cadence, pulse_times
from export.scenes.negatives import Negatives
from export.scenes.sounder import Sounder, sounded
from export.teaching.beep_scenes import BeepComposer, alike, changed
from export.teaching.beeping import measured_beep
from stream.errors import DataError, StreamClassifyError

RATE = 16_000
TIMER = Cadence(2, 0.12, 0.1, 0.9)


def recording(cadence=TIMER, seconds=8.0, hertz=2050.0, hiss=1e-3, seed=0):
    rng = np.random.default_rng(seed)
    sound = 0.1 * sounded(
        Sounder(hertz, ((1, 1.0), (2, 0.2))), pulse_times(cadence, seconds, rng), round(seconds * RATE), RATE
    )
    return (sound + hiss * rng.standard_normal(len(sound))).astype(np.float32)


@pytest.mark.parametrize(
    ("cadence", "seconds"),
    [
        (TIMER, 8),
        (SMOKE, 12),
        (CARBON_MONOXIDE, 13),
        (Cadence(1, 0.5, 0.5, 0.5), 6),
        (Cadence(1, 0.1, 1.4, 1.4), 8),
    ],
)
@pytest.mark.parametrize("hertz", [520.0, 3120.0])
def test_cadence_and_pitch_are_measured(cadence, seconds, hertz):
    beep = measured_beep(
        np.concatenate([np.zeros(4000, np.float32), recording(cadence, seconds, hertz)]), RATE
    )
    assert beep is not None
    assert beep.cadence.pulses == cadence.pulses
    assert beep.cadence.on == pytest.approx(cadence.on, abs=0.02)
    assert beep.cadence.pause == pytest.approx(cadence.pause, abs=0.02)
    assert beep.cadence.cycle == pytest.approx(cadence.cycle, abs=0.03)
    assert beep.hertz == pytest.approx(hertz, abs=1)
    assert beep.partials[0] == (1, 1.0)
    assert beep.partials[1][1] == pytest.approx(0.2, abs=0.03)
    assert f"{hertz:.0f} Hz" in beep.sentence
    assert f"every {cadence.cycle:.2f} s"[:-4] in beep.sentence


@pytest.mark.parametrize("kind", ["speech", "music", "noise"])
def test_a_beep_is_found_under_other_sound(kind):
    other = Negatives("train", RATE, ("beep",)).draw(kind, np.random.default_rng(4), 8 * RATE)
    other *= np.float32(0.03 / np.sqrt(np.mean(other**2)))
    beep = measured_beep(recording() + other, RATE)
    assert beep is not None
    assert beep.cadence.pulses == 2
    assert beep.hertz == pytest.approx(2050, abs=5)


@pytest.mark.parametrize("what", ["silence", "hiss", "tone", "one beep", "talk", "short"])
def test_what_is_no_repeating_beep(what):
    rng, n = np.random.default_rng(5), 6 * RATE
    sound = {
        "silence": np.zeros(n),
        "hiss": rng.standard_normal(n) * 0.1,
        "tone": np.sin(np.arange(n)),
        "one beep": recording(Cadence(1, 0.5, 9, 9), 6.0),
        "talk": Negatives("test", RATE, ()).draw("speech", rng, n),
        "short": np.zeros(100),
    }[what].astype(np.float32)
    assert measured_beep(sound, RATE) is None


def test_streams_hold_the_beep_and_others_that_are_none():
    beep = measured_beep(recording(), RATE)
    assert beep is not None
    composer = BeepComposer(beep, "timer", "train")
    made = composer.stream(40.0, np.random.default_rng(1))
    np.testing.assert_array_equal(made.samples, composer.stream(40.0, np.random.default_rng(1)).samples)
    assert np.abs(made.samples).max() <= 1
    assert {each.label for each in made.sounders} <= {"timer"}
    assert all(0 <= begin < end <= 40 for begin, end in made.pulses)
    for seed in range(200):
        other = changed(beep.cadence, np.random.default_rng(seed))
        assert not alike(other, beep.cadence), other
    assert alike(Cadence(2, 0.13, 0.1, 0.95), beep.cadence)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--beep", "timer.wav"], "goes with a NAME"),
        (["timer", "--beep", "timer.wav", "--clips", "x"], "goes with a NAME"),
        (["timer", "--beep", "gone.wav"], "no such file"),
        (["timer", "--beep", "timer.wav", "-o", "x.pt"], "ends in .onnx"),
        (["timer", "--beep", "timer.wav", "-o", "there.onnx"], "was not taught a beep"),
        (["a/b", "--beep", "timer.wav"], "want letters, digits"),
        (["timer", "--beep", "hiss.wav"], "no repeating beep in it"),
        (["timer", "--beep", "slow.wav"], "every 10.5 s"),
        (["timer", "--beep", "text.wav"], "text.wav"),
    ],
)
@pytest.mark.torch
def test_what_cannot_be_is_said_in_a_line(words, said, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    soundfile.write("timer.wav", recording(), RATE)
    soundfile.write("hiss.wav", np.random.default_rng(1).standard_normal(5 * RATE) * 0.1, RATE)
    soundfile.write("slow.wav", recording(Cadence(1, 0.5, 10.0, 10.0), 45.0), RATE)
    Path("text.wav").write_text("no sound")
    Path("there.onnx").write_text("somebody's")
    done = CliRunner().invoke(teach, words)
    assert isinstance(done.exception, StreamClassifyError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert Path("there.onnx").read_text() == "somebody's"


@pytest.mark.torch
def test_a_file_of_its_own(tmp_path, monkeypatch):
    """The whole command in small: too little to hear anything, but measured, drawn, proven and counted."""
    pytest.importorskip("torch")
    from export.teaching import beep_model
    from export.teaching.beep_learning import Effort
    from stream.inference.session import Model

    monkeypatch.chdir(tmp_path)
    soundfile.write("timer.wav", recording(), RATE)
    small = Effort(streams=2, seconds=10.0, epochs=1, trials=1, quiet_seconds=6.0)
    monkeypatch.setitem(beep_model.teach_beep.__kwdefaults__, "effort", small)
    words = ["timer", "--beep", "timer.wav", "-o", "timer.onnx", "--json"]
    monkeypatch.setattr("export.scenes.negatives._LOOP_SECONDS", 1.0)
    done = CliRunner().invoke(teach, [*words, "--force"])
    assert done.exit_code == 0, done.output
    assert "2 pulses of 0.12 s, 0.10 s apart, every 1.24 s, at 2050 Hz" in done.stderr
    told = json.loads(done.stdout)
    assert told["cadence"]["pulses"] == 2
    assert told["per_hour_at_most"] > 0
    assert Path("timer.png").read_bytes().startswith(b"\x89PNG")
    made = Model.load("timer.onnx", provider="cpu")
    assert made.labels == ("timer",)
    assert made.card.provenance["taught_beep"]["cadence"]["pulses"] == 2
    assert made.card.provenance["parameters"] < 20_000
    assert made.card.metrics["taught"]["timer"]["background_hours"] > 0


@pytest.mark.torch
def test_a_beep_that_is_not_found_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from export.models import build, preset
    from export.teaching import beep_model
    from export.teaching.beep_learning import BANDS, Effort

    deaf = build(preset("gru", features=BANDS, classes=1, hidden=4, layers=1)).eval()
    deaf.head.bias.data.fill_(-9.0)
    monkeypatch.setattr(beep_model, "trained", lambda *_: deaf)
    monkeypatch.setattr("export.scenes.negatives._LOOP_SECONDS", 1.0)
    beep = measured_beep(recording(), RATE)
    effort = Effort(trials=1, quiet_seconds=3.0)
    with pytest.raises(DataError, match="0% of such beeps are found"):
        beep_model.teach_beep(tmp_path / "x.onnx", "timer", beep, effort=effort)
    assert not list(tmp_path.iterdir())
