"""A sound that was taught is found, the others stay as they were, and what cannot be told apart is refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from export.teaching import Report, teach
from export.teaching.background import Amount, file_background
from export.teaching.examples import Example, audio_files, read_examples, sounding
from export.teaching.folder import folder_of, known_sounds
from export.teaching.judging import Budget
from stream import Model, StreamClassifier, verify
from stream.capture.files import read_audio
from stream.errors import DataError, UsageError
from stream.installation import asset

RATE = 16_000
LITTLE = Amount(voices=0, things=1, music=2, noises=14, silences=1)
Sound = NDArray[np.float32]
little = partial(teach, learnt_from=LITTLE, chosen_on=LITTLE, budget=Budget(bank=10))


def chime(pitch: float, seed: int) -> Sound:
    """Two strokes with harmonics that ring off; no two alike."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(0.4 * RATE)) / RATE
    tones = []
    for step in (1.0, 1.5):
        wave = sum(np.sin(2 * np.pi * k * pitch * step * time) / k for k in (1, 2, 3.01, 4.2))
        tones.append(wave * np.exp(-time / rng.uniform(0.12, 0.2)))
    sound = np.concatenate(tones) * rng.uniform(0.05, 0.4)
    return (sound + rng.normal(0, 1e-3, len(sound))).astype(np.float32)


def examples(pitch: float, count: int = 4, first: int = 0) -> list[Example]:
    return [Example(f"{pitch:.0f}-{i}", chime(pitch, first + i)) for i in range(count)]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    """A model that was taught one sound, then another."""
    path = tmp_path_factory.mktemp("taught") / "mine.onnx"
    little(path, "gate", examples(420))
    return path, little(path, "oven", examples(1300))


def events(path: Path, samples: Sound) -> list[tuple[str, float]]:
    classifier = StreamClassifier(Model.load(path, "cpu"))
    found = [*classifier.push(samples).events, *classifier.flush().events]
    return [(e.label, e.onset_s) for e in found if e.offset is not None and e.label in ("gate", "oven")]


def log_odds(path: Path, samples: Sound) -> float:
    """How sure the model of one taught sound is of it, where it is most."""
    probs = StreamClassifier(Model.load(path)).push(samples).scores.probs[:, -1].astype(np.float64)
    return float(np.log(probs.max() / (1 - probs.max())))


def test_both_sounds_are_found_once_where_they_are(taught: tuple[Path, Report]) -> None:
    path, report = taught
    assert [sound.label for sound in report.sounds] == ["gate", "oven"]
    assert all(sound.found > 0.6 for sound in report.sounds)
    line = np.random.default_rng(5).normal(0, 1e-3, 9 * RATE).astype(np.float32)
    for at, pitch, loudness in ((2.0, 420, 0.3), (4.0, 1300, 1.0), (6.5, 420, 1.0)):
        sound = chime(pitch, 77) * np.float32(loudness)
        line[round(at * RATE) : round(at * RATE) + len(sound)] += sound
    found = events(path, line)
    assert [label for label, _ in found] == ["gate", "oven", "gate"]
    assert np.allclose([at for _, at in found], [2.0, 4.0, 6.5], atol=1.0)


def test_the_file_proves_itself_and_says_what_it_was_made_of(taught: tuple[Path, Report]) -> None:
    path, report = taught
    assert all(check.ok for check in verify(path, provider="cpu"))
    card = Model.load(path, "cpu").card
    assert card.labels == ("speech", "music", "noise", "gate", "oven")
    assert card.provenance["taught"]["examples"]["gate"] == sorted(known_files(path, "gate"))
    assert card.metrics["taught"]["oven"]["examples"] == 4
    assert report.largest_difference < 1e-5


def known_files(path: Path, label: str) -> list[str]:
    return [file.name for file in (folder_of(path) / label).glob("*.flac")]


def test_the_bundled_classes_stay_what_they_are(taught: tuple[Path, Report]) -> None:
    path, _ = taught
    sound = read_audio(asset("demo.ogg"), RATE)[: 5 * RATE]
    mine = StreamClassifier(Model.load(path, "cpu")).push(sound).probs
    bundled = StreamClassifier(Model.bundled("default", "cpu")).push(sound).probs
    assert mine.shape == (len(bundled), 5)
    assert np.abs(mine[:, :3] - bundled).max() < 1e-6


def test_nothing_is_heard_in_silence_noise_and_the_demo(taught: tuple[Path, Report]) -> None:
    path, _ = taught
    noise = np.random.default_rng(1).normal(0, 0.02, 20 * RATE).astype(np.float32)
    for sound in (np.zeros(20 * RATE, np.float32), noise, read_audio(asset("demo.ogg"), RATE)[: 20 * RATE]):
        assert events(path, sound) == []


def test_two_sounds_that_are_one_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    little(path, "gate", examples(420))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="all of these examples are known"):
        little(path, "gate", examples(420), add=True)
    with pytest.raises(DataError, match=r"again: cannot be told from gate[,;]"):
        little(path, "again", examples(420, first=10))
    assert path.read_bytes() == before
    assert known_sounds(folder_of(path)) == ["gate"]


def test_what_was_wrong_is_unlearnt_and_quiet_hours_are_heard(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    little(path, "gate", examples(420))
    line = np.random.default_rng(5).normal(0, 1e-3, 60 * RATE).astype(np.float32)
    line[5 * RATE : 5 * RATE + len(chime(450, 3))] += chime(450, 3)
    soundfile.write(tmp_path / "night.wav", line, RATE)
    before = log_odds(path, line)
    report = little(
        path, wrong=examples(450, first=20), quiet=file_background([tmp_path / "night.wav"], RATE), force=True
    )
    (sound,) = report.sounds
    assert sound.own
    assert sound.hours == pytest.approx(1 / 60, rel=0.05)
    assert sound.per_day_at_most > sound.per_day > 0
    right = np.zeros(6 * RATE, np.float32)
    right[2 * RATE : 2 * RATE + len(chime(420, 3))] += chime(420, 3)
    assert "--quiet" not in "".join(report.warnings)
    night = [file.read_bytes() for file in (folder_of(path) / "_quiet_").iterdir()]
    more = little(path, "gate", examples(420, first=40, count=1), add=True, force=True)
    assert [(each.own, each.hours) for each in more.sounds] == [(True, sound.hours)]
    assert "--quiet" not in "".join(more.warnings)
    assert [file.read_bytes() for file in (folder_of(path) / "_quiet_").iterdir()] == night
    assert log_odds(path, line) < min(before - 3, log_odds(path, right) - 1)
    assert [label for label, _ in events(path, right)] == ["gate"]
    assert len(list((folder_of(path) / "_not_").glob("*.flac"))) == 4


@pytest.mark.parametrize(
    ("label", "options", "said"),
    [
        ("gate", {}, "knows it already; --add"),
        ("door", {"add": True}, "leave --add out"),
        ("speech", {}, "choose another, such as my-speech"),
        ("../door", {}, "want letters"),
    ],
)
def test_names_that_cannot_be(
    taught: tuple[Path, Report], label: str, options: dict[str, bool], said: str
) -> None:
    path, _ = taught
    with pytest.raises(UsageError, match=said):
        teach(path, label, examples(420), **options)  # type: ignore[arg-type]


def test_the_part_that_sounds_is_taken(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    line = rng.normal(0, 3e-3, 4 * RATE).astype(np.float32)
    line[2 * RATE : 2 * RATE + 8000] += rng.normal(0, 0.2, 8000).astype(np.float32)
    first, last = sounding(line, RATE)
    assert abs(first - 2 * RATE) < 0.1 * RATE
    assert abs(last - 2.5 * RATE) < 0.1 * RATE
    soundfile.write(tmp_path / "even.wav", rng.normal(0, 0.1, 3 * RATE), RATE)
    with pytest.raises(DataError, match="nothing sounds in it above the noise"):
        read_examples(audio_files([tmp_path]), RATE)
