"""The start of training: what is written down of speech, how it is varied, and that it can be learnt."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from export.models import build, preset
from export.recipes.speech_sounds.learning import collapsed, edits, error_rate, learn
from export.recipes.speech_sounds.phones import letters, phones
from export.recipes.speech_sounds.transcribed import RATE, Utterance
from export.recipes.speech_sounds.utterances import Utterances, gathered
from export.recipes.speech_sounds.variation import FLOOR, other_place, other_speaker, padded
from export.training.config import TrainConfig
from export.training.start import FEATURES, MODEL, SHAPE, begin, check_start, start_origin, start_sources


def test_sounds_are_letters_without_stress_length_and_language() -> None:
    assert letters("hˈəlˈoʊ (en)wˈɜːld(de)\n") == "həloʊwɜld"


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")
def test_a_text_is_written_as_it_is_spoken() -> None:
    assert phones("to", "en-us") == phones("two", "en-us") == "tu"
    assert phones("chat", "fr-fr") != phones("chat", "en-us")


def test_a_path_is_written_without_repetition_and_its_errors_are_counted() -> None:
    assert collapsed([0, 3, 3, 0, 3, 5, 5, 0]) == [3, 3, 5]
    assert edits([3, 3, 5], [3, 5]) == 1
    assert edits([], [1, 2]) == 2
    assert edits([1, 2, 3], [4, 2]) == 2


def test_another_speaker_is_another_tempo_and_a_moved_spectrum() -> None:
    rng = np.random.default_rng(0)
    features = np.full((100, 40), -60, np.float32)
    features[:, 20] = 0
    found = [other_speaker(features, rng) for _ in range(30)]
    assert len({len(each) for each in found}) > 10
    assert len({int(each.mean(0).argmax()) for each in found}) > 2
    assert max(float(each.max()) for each in found) <= 0


def test_another_place_keeps_what_is_said_and_takes_away_the_top_of_some() -> None:
    torch.manual_seed(0)
    rows = [np.full((50, 40), -20, np.float32) for _ in range(64)]
    silent = padded(rows, [10] * 64)
    assert silent.shape == (64, 80, 40)
    assert float(silent[:, :10].max()) == FLOOR
    heard = other_place(silent)
    assert torch.isfinite(heard).all()
    assert float(heard.min()) >= FLOOR
    narrow = (heard[:, 10:60, 30:] == FLOOR).all((1, 2)).float().mean()
    assert 0.25 < narrow < 0.75
    spoken, before = heard[:, 10:60, :20].mean((1, 2)), heard[:, :10, :20].mean((1, 2))
    assert float((spoken > before + 3).float().mean()) > 0.95
    after = other_place(padded(rows, [10] * 64))[:, 60:64, :20].mean((1, 2))
    assert float((after > -50).float().mean()) > 0.3  # rooms and noise


def two_sounds(count: int = 40) -> Utterances:
    """Utterances of two sounds, each a band of its own for 12 frames."""
    rng = np.random.default_rng(0)
    written = [rng.integers(1, 3, int(rng.integers(1, 4))).tolist() for _ in range(count)]
    parts = []
    for row in written:
        x = np.full((16 * len(row) + 4, 40), -75, np.float16)
        for place, sound in enumerate(row):
            x[16 * place + 2 : 16 * place + 14, (5 if sound == 1 else 15) : (9 if sound == 1 else 19)] = -15
        parts.append(x)
    length = np.array([len(x) for x in parts])
    source = ["flite-slt" if i % 8 == 0 else "other" for i in range(count)]
    return Utterances(np.concatenate(parts), np.cumsum(length) - length, length, written, source, "ab")


def test_a_network_learns_to_write_sounds_down() -> None:
    said: list[str] = []
    network = learn(two_sounds(), 6, said.append, {**SHAPE, "channels": 4, "hidden": 16})
    assert not network.training
    assert [line.split(":")[0] for line in said] == [f"pass {n} of 6" for n in range(1, 7)]
    loss = [float(line.split("loss ")[1].split(",")[0]) for line in said]
    assert loss[-1] < 0.8 * loss[0]


def test_wrong_sounds_are_counted() -> None:
    data = two_sounds()

    class Writes(torch.nn.Module):
        """The sound of the louder band, and nothing between."""

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
            rows = x[:, 3::4]
            low, high = rows[..., 5:9].mean(-1), rows[..., 15:19].mean(-1)
            return torch.stack((torch.full_like(low, -50), low, high), -1), None

    assert error_rate(Writes(), data, range(len(data.source))) == 0
    low_only = Writes()
    low_only.forward = lambda x: (Writes.forward(low_only, x)[0] * torch.tensor([1, 1, 9]), None)  # type: ignore[method-assign]
    highs = sum(row.count(2) for row in data.written)
    found = error_rate(low_only, data, range(len(data.source)))
    assert found == pytest.approx(highs / sum(map(len, data.written)))


def test_utterances_become_features_and_numbers_and_are_kept(tmp_path) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    heard = [
        Utterance(rng.normal(0, 0.1, RATE).astype(np.float32), "to be", "en-us", "a"),
        Utterance(
            rng.normal(0, 0.1, RATE // 20).astype(np.float32),
            "far too fast for so short a time",
            "en-us",
            "b",
        ),
        Utterance(np.zeros(RATE, np.float32), "nothing", "en-us", "c"),
    ]
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng")
    data = gathered(heard, lambda line: None, rare=1)
    assert data.source == ["a"]
    assert "".join(data.sounds[each - 1] for each in data.written[0]) == phones("to be", "en-us")
    data.save(tmp_path / "kept.npz")
    again = Utterances.load(tmp_path / "kept.npz")
    assert again.written == data.written
    np.testing.assert_array_equal(again.features, data.features)


def test_the_bundled_start_fits_the_network_that_training_chooses() -> None:
    config = TrainConfig(data="x", model=MODEL, model_changes=SHAPE, features=FEATURES, start="speech")
    check_start(config)
    model = build(preset(MODEL, features=FEATURES.width, classes=3, **SHAPE))
    head = model.head.weight.clone()
    first, second = (build(model.config) for _ in range(2))
    for each in (first, second):
        begin(each)
    assert torch.equal(first.layers[0].conv.weight, second.layers[0].conv.weight)
    assert not torch.equal(first.layers[0].conv.weight, model.layers[0].conv.weight)
    assert torch.equal(first.normalise.mean, second.normalise.mean)
    assert not torch.equal(first.head.weight, second.head.weight)
    assert torch.equal(model.head.weight, head)
    assert start_origin(config)["start"]["licence"]
    assert any("tuxpaint" in line for line in start_sources(config))
    assert start_origin(TrainConfig(data="x")) == {}
