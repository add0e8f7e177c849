"""The word recipes: unknown words in one second, synthetic voices."""

from __future__ import annotations

import csv
import importlib.util
import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

pytest.importorskip("torch")

from export.data.recording import Recording
from export.models import preset
from export.recipes import digits, urban
from export.recipes.espeak import Word, spoken, trimmed
from export.recipes.keywords import SAMPLE_RATE, _backwards, one_second
from export.recipes.voices import PIPER_VOICE_PACKAGE, flite, piper, prompts
from export.training import TrainConfig
from export.training.opening import open_data
from stream.capture.files import read_audio
from stream.errors import DataError
from tests.support.labelled import class_folder


def test_one_second_keeps_the_loudest_part_of_long_sounds() -> None:
    rng = np.random.default_rng(0)
    long = np.full(3 * SAMPLE_RATE, 0.001, np.float32)
    long[2 * SAMPLE_RATE : 2 * SAMPLE_RATE + 4000] = 0.5
    clip = one_second(long, rng)
    assert clip.shape == (SAMPLE_RATE,)
    assert (np.abs(clip) > 0.1).sum() == 4000
    short = one_second(np.full(2000, 0.5, np.float32), rng)
    assert short.shape == (SAMPLE_RATE,)
    assert 1900 < (np.abs(short) > 0.1).sum() <= 2000
    assert not np.allclose(short[:100], short[-100:]), "the rest is faint noise"


def test_trimming_leaves_the_word() -> None:
    word = np.concatenate((np.zeros(500), np.full(300, 0.4), np.zeros(700))).astype(np.float32)
    assert len(trimmed(word)) == 300
    assert len(trimmed(np.zeros(10, np.float32))) == 10


def test_backwards_words_keep_their_speaker_and_split(tmp_path: Path) -> None:
    root = class_folder(tmp_path, speakers=3)
    recordings = [
        Recording(path, "x", path.name.split("_")[0], (path.parent.name,), split="validation")
        for path in sorted(root.rglob("*.wav"))
    ]
    for samples, group, split in _backwards(recordings, np.random.default_rng(0)):
        assert (group, split) in {("s0", "validation"), ("s1", "validation"), ("s2", "validation")}
        assert any(
            np.array_equal(samples[::-1], read_audio(r.path, SAMPLE_RATE))
            for r in recordings
            if r.group == group
        )


def test_the_digits_recipe_leaves_settings_that_train(tmp_path: Path) -> None:
    recorded = class_folder(tmp_path / "recorded", speakers=3)
    out = tmp_path / "out"
    done = CliRunner().invoke(digits.main, [str(recorded), str(out), "--recorded-only"])
    assert done.output == "digits in other voices: 0\n"
    loaded = msgspec.json.decode((out / "train.json").read_bytes(), type=TrainConfig)
    assert loaded == digits.settings(out)
    assert not loaded.validation, "all speakers but the one left out are for training"
    data = open_data(msgspec.structs.replace(loaded, test_groups=("s1",)))
    assert {r.group for r in data.part("test")} == {"s1"}
    assert len(data.part("train")) + len(data.part("test")) == len(data.recordings)


def test_other_voices_stand_beside_the_recorded_speakers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chirps(words: Sequence[str], rate: int, rng: np.random.Generator) -> Iterator[Word]:
        for word in words:
            yield rng.normal(0, 3, rate // 2).astype(np.float32), word, "bird"

    monkeypatch.setattr(digits, "flite", chirps)
    recorded = class_folder(tmp_path / "recorded", speakers=2)
    assert digits.build(recorded, tmp_path / "out", tmp_path, {"flite": 7}) == 7
    with open(tmp_path / "out" / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    made = [row for row in rows if row["speaker"] == "voice-bird"]
    assert [row["label"] for row in made] == list("0123456")
    assert len(rows) == 7 + len(list(recorded.rglob("*.wav")))
    samples = read_audio(tmp_path / "out" / made[0]["filename"], digits.SAMPLE_RATE)
    assert 0.1 <= np.abs(samples).max() <= 0.91, "levels differ, nothing is clipped"


def test_the_urban_recipe_trains_on_one_fold_and_tests_on_the_other(tmp_path: Path) -> None:
    root = class_folder(tmp_path, speakers=3)
    rows = [
        f"{path.relative_to(root)},{path.parent.name},{path.name.split('_')[0][1:]},{path.name.split('_')[0]}"
        for path in sorted(root.rglob("*.wav"))
    ]
    (root / "manifest.csv").write_text("\n".join(["filename,label,fold,group", *rows]))
    data = urban.two_folds(root, "0", "2")
    assert {(r.fold, r.split) for r in data.recordings} == {("0", "train"), ("2", "test")}
    with pytest.raises(DataError, match="train fold '2'"):
        urban.two_folds(root, "2", "2")


@pytest.mark.parametrize("model", sorted(urban.CHANGES))
def test_the_urban_recipe_knows_every_network(model: str) -> None:
    config = urban.settings(Path("urban"), model)
    made = preset(model, features=config.features.width, classes=10, **config.model_changes)
    assert made.stride == 4


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_synthetic_voices_speak() -> None:
    words = list(islice(spoken(["seven", "nine"], 8000, np.random.default_rng(0)), 4))
    assert {word for _, word, _ in words} <= {"seven", "nine"}
    assert all(0.1 < len(samples) / 8000 < 2 and np.abs(samples).max() > 0.01 for samples, _, _ in words)


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_recorded_voices_speak() -> None:
    words = list(islice(flite(["seven", "nine"], 8000, np.random.default_rng(0)), 4))
    assert {word for _, word, _ in words} <= {"seven", "nine"}
    assert all(0.1 < len(samples) / 8000 < 2 and np.abs(samples).max() > 0.01 for samples, _, _ in words)


@pytest.mark.skipif(
    None in (importlib.util.find_spec("piper"), importlib.util.find_spec(PIPER_VOICE_PACKAGE)),
    reason="piper-tts and its voice are not installed",
)
def test_a_neural_voice_speaks() -> None:
    words = list(islice(piper(["seven", "nine"], 8000, np.random.default_rng(0)), 2))
    assert [word for _, word, _ in words] == ["seven", "nine"]
    assert all(0.1 < len(samples) / 8000 < 3 for samples, _, _ in words)


def test_voices_that_are_not_installed_say_so_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for voices in (flite, piper):
        assert not list(voices(["one"], 8000, np.random.default_rng(0)))
    assert capsys.readouterr().err.count("not installed") == 2


def test_prompts_are_numbered_by_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "en" / "digits"
    folder.mkdir(parents=True)
    for number in range(2):
        soundfile.write(folder / f"{number}.wav", np.full(1600 * (number + 1), 0.5), 16_000)
    monkeypatch.setattr("export.recipes.voices.fetch", lambda package, cache: tmp_path)
    monkeypatch.setattr(
        "export.recipes.voices.decode", lambda path: read_audio(path.with_suffix(".wav"), 16_000)
    )
    words = list(prompts(["zero", "one"], 8000, tmp_path, times=3))
    assert [word for _, word, _ in words] == ["zero"] * 3 + ["one"] * 3
    assert [len(samples) for samples, _, _ in words] == [800] * 3 + [1600] * 3
