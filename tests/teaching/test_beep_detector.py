"""A detector made from one recording finds that beep elsewhere, at any level, and nothing that is nearly the same."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from export.cli.teach import teach
from export.scenes.cadence import SMOKE, Cadence
from export.scenes.sounder import Sounder
from export.teaching.background import Amount, file_background
from export.teaching.beeps import making, scoring
from export.teaching.beeps.checking import Extent
from export.teaching.beeps.making import BeepReport, known_beeps, teach_beep
from export.teaching.beeps.template import SPEC, template_of
from stream import Model, StreamClassifier, verify
from stream.errors import DataError, StreamClassifyError, UsageError
from stream.features.frontend import extract
from stream.inference.onnx_file import read_model_file
from stream.recording import classify
from tests.support.beeps import BEEPS, PIEZO, RATE, TIMER, beeping
from tests.support.command import stream_classify
from tests.support.sounds import demo

Sound = NDArray[np.float32]
LITTLE = Extent(Amount(voices=0, things=1, music=2, noises=7, silences=1), look_alikes=1, trials=1, others=1)


def recorded(folder: Path, name: str) -> Path:
    """A recording of one of the beeps, in a room, as a person would make it."""
    cadence, sounder = BEEPS[name]
    path = folder / f"{name}.wav"
    soundfile.write(
        path, beeping(cadence, sounder, max(2.7 * cadence.cycle + 1, 9), snr=15, rt60=0.35, seed=9), RATE
    )
    return path


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BeepReport, BeepReport]:
    """A file that was taught one beep, then another."""
    folder = tmp_path_factory.mktemp("beeps")
    path = folder / "beeps.onnx"
    smoke = teach_beep(path, "hall", recorded(folder, "smoke"), extent=LITTLE, picture=folder / "hall.png")
    return path, smoke, teach_beep(path, "oven", recorded(folder, "timer"), extent=LITTLE)


def events(path: Path, sound: Sound) -> list[tuple[str, float, float]]:
    found = classify(sound, Model.load(path, "cpu")).events
    return [(e.label, e.onset_s, e.offset_s or np.inf) for e in found]


@pytest.mark.parametrize(
    ("level", "snr", "rt60"),
    [(0.1, 60, 0.0), (0.0005, 12, 0.3), (0.25, -5, 0.5)],
    ids=["near", "soft", "noisy"],
)
def test_it_is_found_elsewhere_within_two_cycles_and_once(
    taught: tuple[Path, BeepReport, BeepReport], level: float, snr: float, rt60: float
) -> None:
    path, *_ = taught
    other = Sounder(3103 * 1.006, PIEZO.partials)
    sound = beeping(SMOKE, other, 18.5, level=level, snr=snr, rt60=rt60, seed=3)
    sound = np.concatenate([sound, np.zeros(6 * RATE, np.float32)])
    ((label, onset, offset),) = events(path, sound)
    assert label == "hall"
    assert 1.3 + 4.0 < onset < 1.3 + 2 * 4.0
    assert 1.3 + 18.5 < offset < 1.3 + 18.5 + 1.3 * 4.0


def test_it_is_found_under_talk_and_music(taught: tuple[Path, BeepReport, BeepReport]) -> None:
    path, *_ = taught
    sound = beeping(TIMER, BEEPS["timer"][1], 20, level=0.03)
    behind = np.resize(demo(RATE)[: 50 * RATE], len(sound))
    behind = behind * np.float32(0.06 / np.sqrt(np.mean(behind**2)))
    found = events(path, sound + behind)
    assert {label for label, *_ in found} == {"oven"}
    assert found[0][1] < 1.3 + 2 * TIMER.cycle + 0.3


@pytest.mark.parametrize(
    "sound",
    [
        beeping(Cadence(1, 0.5, 0.5, 0.5), PIEZO, 20, snr=30),
        beeping(Cadence(4, 0.5, 0.5, 1.5), PIEZO, 20, snr=30),
        beeping(Cadence(2, 0.5, 0.5, 1.5), PIEZO, 20, snr=30),
        beeping(Cadence(3, 0.25, 0.25, 0.75), PIEZO, 20, snr=30),
        beeping(SMOKE, Sounder(3103 * 1.07, PIEZO.partials), 20, snr=30),
        beeping(SMOKE, Sounder(520, PIEZO.partials), 20, snr=30),
        beeping(SMOKE, PIEZO, 3, snr=30),
        demo(RATE)[: 60 * RATE],
        np.random.default_rng(0).normal(0, 0.1, 20 * RATE).astype(np.float32),
        np.zeros(20 * RATE, np.float32),
    ],
    ids=[
        "even", "four pulses", "two pulses", "twice as fast", "higher", "another pitch", "one cycle", "talk and music",
        "noise", "silence",
    ],
)  # fmt: skip
def test_what_is_nearly_the_same_is_not_it(taught: tuple[Path, BeepReport, BeepReport], sound: Sound) -> None:
    assert events(taught[0], sound) == []


def test_the_file_proves_itself_and_says_what_was_measured(
    taught: tuple[Path, BeepReport, BeepReport],
) -> None:
    path, smoke, timer = taught
    assert all(check.ok for check in verify(path, provider="cpu"))
    card = Model.load(path, "cpu").card
    assert card.labels == ("hall", "oven")
    assert card.exact
    kept = card.provenance["beeps"]["hall"]
    assert kept["beep"]["lines"][0]["hertz"] == pytest.approx(3103, abs=3)
    assert kept["beep"]["cycle"] == pytest.approx(4.0, abs=0.01)
    assert len(kept["sha256"]) == 64
    assert "life-safety" in card.description
    assert "smoke.wav" in card.sources[0]
    assert smoke.known.standard == "smoke alarm"
    assert timer.known.standard is None
    assert card.metrics["beeps"]["oven"]["background_hours"] > 0.05
    assert 4 < (smoke.first or 0) - smoke.known.beep.start < 8
    assert (path.parent / "hall.png").read_bytes().startswith(b"\x89PNG")
    assert known_beeps(path)["hall"][0] == smoke.known


def test_chunks_of_any_size_give_the_same_bits(taught: tuple[Path, BeepReport, BeepReport]) -> None:
    model = Model.load(taught[0], "cpu")
    sound = beeping(SMOKE, PIEZO, 9, snr=20)
    whole = StreamClassifier(model).push(sound).probs
    assert whole.max() > 0.9
    rng = np.random.default_rng(0)
    classifier, rows, at = StreamClassifier(model), [], 0
    while at < len(sound):
        size = int(rng.integers(1, 9000))
        rows.append(classifier.push(sound[at : at + size]).probs)
        at += size
    np.testing.assert_array_equal(np.concatenate(rows), whole)


def test_a_missing_pulse_and_a_filled_gap_count_against_it(
    taught: tuple[Path, BeepReport, BeepReport],
) -> None:
    beep = taught[1].known.beep
    template = template_of(beep)
    sound = beeping(SMOKE, PIEZO, 10, snr=40)

    def best(changed: Sound) -> float:
        return float(scoring.scores(extract(changed, SPEC), template).max())

    assert best(sound) > 0.97
    missing, filled = sound.copy(), sound.copy()
    missing[round(6.2 * RATE) : round(6.9 * RATE)] = sound[: round(0.7 * RATE)]
    filled[round(4.3 * RATE) : round(4.8 * RATE)] += sound[round(1.3 * RATE) : round(1.8 * RATE)]
    assert best(missing) < scoring.LEAST
    assert best(filled) < scoring.LEAST


def test_a_name_or_a_file_that_is_taken_is_left_alone(
    taught: tuple[Path, BeepReport, BeepReport], tmp_path: Path
) -> None:
    path, *_ = taught
    recording = path.parent / "smoke.wav"
    before = read_model_file(path)
    with pytest.raises(UsageError, match="knows it already; --replace"):
        teach_beep(path, "hall", recording, extent=LITTLE)
    assert read_model_file(path) == before
    (tmp_path / "other.onnx").write_bytes(b"something else")
    with pytest.raises(UsageError, match="is no model of beeps"):
        teach_beep(tmp_path / "other.onnx", "hall", recording, extent=LITTLE)
    assert (tmp_path / "other.onnx").read_bytes() == b"something else"


def test_quiet_hours_with_the_beep_in_them_make_it_refuse(tmp_path: Path) -> None:
    recording = recorded(tmp_path, "lorry")
    own = np.concatenate([np.zeros(20 * RATE, np.float32), beeping(*BEEPS["lorry"], 20, snr=30)])
    soundfile.write(tmp_path / "night.wav", own, RATE)
    quiet = file_background([tmp_path / "night.wav"], RATE)
    with pytest.raises(DataError, match=r"lorry: cannot be told apart from night\.wav: 0% are found"):
        teach_beep(tmp_path / "l.onnx", "lorry", recording, quiet=quiet, extent=LITTLE)
    assert not (tmp_path / "l.onnx").exists()


def test_a_file_that_says_what_was_never_measured_is_refused(
    taught: tuple[Path, BeepReport, BeepReport], tmp_path: Path
) -> None:
    graph = onnx.load(taught[0])
    for entry in graph.metadata_props:
        entry.value = re.sub(r'"cycle":[0-9.]+', '"cycle":1000000000.0', entry.value)
    onnx.save(graph, tmp_path / "hostile.onnx")
    with pytest.raises(UsageError, match="is no model of beeps"):
        known_beeps(tmp_path / "hostile.onnx")


def command(*words: object) -> Result:
    return CliRunner().invoke(teach, [str(word) for word in words])


def test_the_command_from_a_recording_to_listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "teach_beep", partial(teach_beep, extent=LITTLE))
    recording, model = recorded(tmp_path, "lorry"), tmp_path / "yard.onnx"
    done = command("lorry", "--beep", recording, "-o", model)
    assert done.exit_code == 0, done.output
    assert "a pulse of 0.5" in done.stdout
    assert "-10 dB" in done.stdout
    assert "false alarms: 0 in" in done.stdout
    assert f"stream-classify --model {model}" in done.stdout
    assert (tmp_path / "yard.lorry.png").exists()
    heard = stream_classify("--input", f"sim:{recording}", "--fast", "--model", str(model))
    assert heard.returncode == 0, heard.stderr
    begun = [json.loads(line) for line in heard.stdout.splitlines() if '"lorry"' in line]
    assert begun


def test_clips_that_beep_are_told_of_the_better_way(tmp_path: Path) -> None:
    recording = recorded(tmp_path, "smoke")
    soundfile.write(tmp_path / "z-silent.wav", np.zeros(2 * RATE), RATE)
    done = command("hall", "--clips", tmp_path, "-o", tmp_path / "mine.onnx")
    assert "nothing sounds" in str(done.exception)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{recording}: holds a beep that repeats (3103")
    assert "--beep FILE" in line
    soundfile.write(recording, demo(RATE)[: 10 * RATE], RATE)
    assert "beep" not in command("hall", "--clips", tmp_path, "-o", tmp_path / "mine.onnx").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--beep", "x.wav"], "what the beep is called is missing"),
        (["oven", "--beep", "x.wav", "--clips", "y"], "leave one of them out"),
        (["oven", "--beep", "x.wav", "--add"], "leave one of them out"),
        (["oven", "--beep", "nowhere.wav"], "no such file"),
        (["oven", "--beep", "."], "is a folder"),
        (["music", "--beep", "x.wav"], "my-music"),
        (["oven", "--beep", "x.wav", "-o", "mine.txt"], "ends in .onnx"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(words: list[str], said: str, tmp_path: Path) -> None:
    output = [] if "-o" in words else ["-o", str(tmp_path / "mine.onnx")]
    done = CliRunner().invoke(teach, [*words, *output])
    assert isinstance(done.exception, StreamClassifyError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert list(tmp_path.iterdir()) == []
