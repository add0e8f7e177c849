"""Settings chosen for a data set: what is chosen, what is left alone, and what is said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from export.data.dataset import read_dataset
from export.data.recording import Dataset, Recording
from export.data.splits import split_dataset
from export.data.survey import Survey, survey
from export.training.choices import (
    EPOCHS,
    Candidate,
    Chosen,
    Effort,
    candidates,
    choose_division,
    choose_settings,
    few_sources,
)
from export.training.config import TrainConfig
from export.training.doubts import doubts
from export.training.settings import change
from export.training.start import check_start
from stream.errors import SpecError
from tests.support.labelled import RATE, class_folder


def chosen_for(root: Path, effort: Effort = "default", **asked: str) -> tuple[Chosen, Sequence[Candidate]]:
    """What the command chooses where ``asked`` was asked for."""
    names = {name.replace("__", "."): value for name, value in asked.items()}
    chosen = Chosen(change(TrainConfig(data=str(root)), names), names)
    data = read_dataset(root)
    choose_division(chosen, data)
    divided = split_dataset(data, chosen.config.split)
    choose_settings(chosen, divided, listened(divided), effort)
    return chosen, candidates(chosen, divided, effort)


def listened(data: Dataset) -> Survey:
    return survey(data, sample_rate=16_000)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four speakers, recorded at 8 kHz."""
    return class_folder(tmp_path_factory.mktemp("few"), speakers=4)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty speakers, recorded at 16 kHz."""
    root = class_folder(tmp_path_factory.mktemp("many"), speakers=30, takes=1)
    for path in root.rglob("*.wav"):
        sound, _ = soundfile.read(path)
        soundfile.write(path, sound.repeat(2), 2 * RATE)
    return root


def test_few_speakers_get_variety_and_all_of_them_are_learnt_from(few: Path) -> None:
    chosen, _ = chosen_for(few)
    config = chosen.config
    assert config.compose
    assert config.refit
    assert config.test == 0
    assert config.augment.warp > 0
    assert config.scenes.speed > 0.1
    assert config.scenes.pitch > 0.1
    assert config.fit.epochs > EPOCHS["default"]
    assert chosen_for(few, start="none")[0].config.fit.epochs == config.fit.epochs
    said = "\n".join(chosen.reasons)
    for part in ("learnt the sounds of speech", "3 speakers or sources", "no test part", "trained again"):
        assert part in said


def test_many_speakers_keep_a_test_part_and_are_not_trained_on_twice(many: Path) -> None:
    chosen, _ = chosen_for(many)
    assert not chosen.config.refit
    assert chosen.config.test == TrainConfig(data="x").test
    assert chosen.config.augment.warp == 0
    assert chosen.config.features.sample_rate == 16_000


def test_recordings_of_8_khz_get_features_of_8_khz(few: Path, many: Path) -> None:
    narrow = chosen_for(few, start="none")[0].config.features
    assert (narrow.sample_rate, narrow.n_fft, narrow.win_length, narrow.hop_length) == (8000, 256, 200, 80)
    assert chosen_for(many)[0].config.features.sample_rate == 16_000
    asked, _ = chosen_for(few, features__sample_rate="16000")
    assert asked.config.features.sample_rate == 16_000


def test_few_speakers_start_from_a_network_that_knows_speech(few: Path, many: Path) -> None:
    chosen, compared = chosen_for(few)
    check_start(chosen.config)
    assert chosen.config.start == "speech"
    assert compared[0].config == chosen.config
    assert {each.config.start for each in compared[1:]} == {None}
    assert {each.config.features.sample_rate for each in compared[1:]} == {8000}
    assert chosen_for(many)[0].config.start is None
    for asked in ({"hidden": "64"}, {"features__n_mels": "64"}, {"start": "none"}):
        assert chosen_for(few, **asked)[0].config.start is None


def test_many_speakers_may_start_from_it_where_that_is_clearly_better(many: Path) -> None:
    chosen, compared = chosen_for(many)
    assert chosen.config.start is None
    (started,) = [each.config for each in compared[1:] if each.config.start is not None]
    check_start(started)
    assert started.fit.epochs == chosen.config.fit.epochs
    for asked in ({"start": "none"}, {"features__n_mels": "64"}):
        assert {each.config.start for each in chosen_for(many, **asked)[1]} == {None}


def test_the_start_can_be_asked_for_where_speakers_are_many(many: Path) -> None:
    chosen, compared = chosen_for(many, start="speech")
    check_start(chosen.config)
    assert chosen.config.model_changes["hidden"] == 128
    assert compared == ()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"model": "gru"}, "arch crnn, not gru"),
        ({"hidden": "64"}, "hidden 128, not 64"),
        ({"features__sample_rate": "8000"}, "features.sample_rate 16000, not 8000"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(many: Path, asked: dict[str, str], said: str) -> None:
    with pytest.raises(SpecError, match=said) as refused:
        check_start(chosen_for(many, start="speech", **asked)[0].config)
    assert "start=none" in str(refused.value)


def test_what_was_asked_for_stays(few: Path) -> None:
    chosen, compared = chosen_for(
        few, model="gru", hidden="24", fit__epochs="3", compose="false", test="25", augment__warp="0.01"
    )
    config = chosen.config
    assert config.model == "gru"
    assert config.model_changes == {"hidden": 24}
    assert config.features.n_mfcc == 40
    assert config.fit.epochs == 3
    assert not config.compose
    assert config.test == 25
    assert config.augment.warp == 0.01
    assert config.scenes.pitch == 0.2  # what was not asked for is chosen all the same
    assert compared == ()


def test_a_network_with_a_frequency_axis_gets_bands(many: Path) -> None:
    chosen, _ = chosen_for(many, model="dstcn")
    assert chosen.config.features.n_mfcc is None
    assert "along the frequency axis" in "\n".join(chosen.reasons)
    assert chosen_for(many, model="dstcn", bands="true")[0].config.features.n_mfcc == 40
    assert chosen_for(many, model="gla")[0].config.features.n_mfcc == 40


def test_effort_decides_epochs_and_how_many_networks_are_compared(many: Path) -> None:
    counts, epochs = [], []
    for effort in ("quick", "default", "thorough"):
        chosen, compared = chosen_for(many, effort)  # type: ignore[arg-type]
        counts.append(len(compared))
        epochs.append(chosen.config.fit.epochs)
        if compared:
            assert compared[0].config == chosen.config
            assert all(0 < each.epochs < chosen.config.fit.epochs for each in compared)
            assert len({each.config.model for each in compared}) > 1
    assert counts[0] == 0
    assert counts[1] < counts[2]
    assert epochs == sorted(epochs)


def test_a_class_of_everything_else_is_never_an_event(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "d", labels=("low", "high"))
    (root / "high").rename(root / "_unknown_")
    chosen, _ = chosen_for(root)
    assert chosen.config.unknown == "_unknown_"
    assert any("never an event" in each for each in chosen.reasons)


def test_the_choice_is_a_configuration_that_can_be_kept(few: Path) -> None:
    """The run folder's config.json says all of it, so the same run can be made again."""
    from export.training.config import read_config
    from export.training.run_folder import as_json

    for each in (chosen_for(few)[0].config, *(c.config for c in chosen_for(few, "thorough")[1])):
        assert read_config(as_json(each)) == each


def divided(**groups: int) -> Dataset:
    """Parts with so many speakers each."""
    recordings = tuple(
        Recording(Path(f"{part}{n}"), "x", f"{part}{n}", ("a",), split=part)  # type: ignore[arg-type]
        for part, count in groups.items()
        for n in range(count)
    )
    return Dataset(Path("x"), recordings, ("a",))


def test_few_sources_counts_those_of_the_typical_class() -> None:
    assert few_sources(divided(train=9, validation=30))
    assert not few_sources(divided(train=10))
    unlike = divided(train=30)
    assert not few_sources(replace(unlike, labels=("a", "no recording")))


@pytest.mark.parametrize(
    ("figures", "data", "said"),
    [
        (
            {"validation_accuracy": 0.95, "test_accuracy": 0.6},
            divided(train=3, validation=9),
            "0.60 in the test",
        ),
        ({"validation_f1": 0.8, "test_f1": 0.5}, divided(train=3, validation=9), "F1 is 0.80 in validation"),
        ({"validation_accuracy": 0.9, "test_accuracy": 0.88}, divided(train=30, validation=9), ""),
        ({"validation_accuracy": 0.9}, divided(train=3, validation=1), "of one speaker or source"),
        ({"validation_accuracy": 0.9}, divided(train=3, validation=2), "of 2 speakers or sources"),
        ({"loss": 1.0}, divided(train=3), ""),
    ],
)
def test_doubts(figures: dict[str, float], data: Dataset, said: str) -> None:
    found = doubts(figures, data)
    assert len(found) == bool(said)
    assert said in "".join(found)
    assert "\n" not in "".join(found)


def test_another_network_must_lead_clearly_after_a_short_training() -> None:
    from export.training.fitting import clear_winner

    assert clear_winner([0.848, 0.855], 1312) == 0  # a draw, so the one that is usually better in the end
    assert clear_winner([0.800, 0.855], 1312) == 1
    assert clear_winner([0.800, 0.855], 40) == 0
    assert clear_winner([0.5, 0.6, 0.9, 0.4], 500) == 2
    assert clear_winner([0.9, 0.2], 500) == 0


@pytest.mark.torch
def test_training_begins_with_the_weights_of_the_start_and_says_so(few: Path, tmp_path: Path) -> None:
    import torch

    from export.models import build
    from export.training import FitConfig, train
    from export.training.start import FEATURES, MODEL, SHAPE, begin

    config = TrainConfig(
        data=str(few), cache=str(tmp_path), model=MODEL, model_changes=SHAPE, features=FEATURES, start="speech",
        fit=FitConfig(epochs=1, learning_rate=1e-9, weight_decay=0),
    )  # fmt: skip
    result = train(config)
    start = build(result.model.config)
    begin(start)
    assert result.card.provenance["start"]["name"] == "speech sounds"
    assert any("tuxpaint" in line for line in result.card.sources)
    for name, value in start.state_dict().items():
        if not name.startswith("head.") and "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(result.model.state_dict()[name], value, atol=1e-4, rtol=0)
