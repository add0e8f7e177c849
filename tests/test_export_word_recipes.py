"""The word recipes: unknown words in one second, synthetic voices."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")

from export.data.recording import Recording
from export.models import preset
from export.recipes import digits, urban
from export.recipes.espeak import spoken, trimmed
from export.recipes.keywords import RATE, _backwards, one_second
from export.training import TrainConfig
from export.training.prepare import open_data
from stream.capture.files import read_audio
from stream.errors import DataError
from tests.labelled import class_folder


def test_one_second_keeps_the_loudest_part_of_long_sounds() -> None:
    rng = np.random.default_rng(0)
    long = np.full(3 * RATE, 0.001, np.float32)
    long[2 * RATE : 2 * RATE + 4000] = 0.5
    clip = one_second(long, rng)
    assert clip.shape == (RATE,)
    assert (np.abs(clip) > 0.1).sum() == 4000
    short = one_second(np.full(2000, 0.5, np.float32), rng)
    assert short.shape == (RATE,)
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
            np.array_equal(samples[::-1], read_audio(r.path, RATE)) for r in recordings if r.group == group
        )


def test_the_digits_recipe_leaves_settings_that_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = class_folder(tmp_path / "recorded", speakers=3)
    out = tmp_path / "out"
    monkeypatch.setattr(digits, "COUNT", 0)
    monkeypatch.setattr("sys.argv", ["digits", str(recorded), str(out)])
    digits.main()
    loaded = msgspec.json.decode((out / "train.json").read_bytes(), type=TrainConfig)
    assert loaded == digits.settings(out)
    assert not loaded.validation, "all speakers but the one left out are for training"
    data = open_data(msgspec.structs.replace(loaded, test_groups=("s1",)))
    assert {r.group for r in data.part("test")} == {"s1"}
    assert len(data.part("train")) + len(data.part("test")) == len(data.recordings)


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
    made = preset(model, features=config.features.n_features, classes=10, **config.model_changes)
    assert made.stride == 4


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_synthetic_voices_speak() -> None:
    heard = list(islice(spoken(["seven", "nine"], 8000, np.random.default_rng(0)), 4))
    assert {word for _, word, _ in heard} <= {"seven", "nine"}
    assert all(0.1 < len(samples) / 8000 < 2 and np.abs(samples).max() > 0.01 for samples, _, _ in heard)
