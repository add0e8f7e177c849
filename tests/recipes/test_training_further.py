"""A published network that is trained further: what it learns from, and which weights are kept."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from export.models import FrameClassifier, build, preset
from export.recipes.speech_music_noise.recipe_settings import DELAY_FRAMES, FEATURES
from export.recipes.speech_music_noise.scenes.cases import TURNS, is_general
from export.recipes.speech_music_noise.training import further
from export.recipes.speech_music_noise.training.further import best_between, what_it_knows
from export.recipes.speech_music_noise.training.network import between, network_probs, validator
from export.recipes.speech_music_noise.training.streams import ComposedStreams, frame_labels
from export.training import LongStreamBatches

pytestmark = pytest.mark.torch
FRAMES = 60


def _streams(count: int, seed: int = 0) -> ComposedStreams:
    rng = np.random.default_rng(seed)
    cells = 2 * FRAMES + 4
    active = rng.random((count, cells // 4, 3)).repeat(4, axis=1) < 0.5
    labels = np.stack([frame_labels(each, FRAMES, FEATURES) for each in active])
    features = rng.normal(size=(count, FRAMES, FEATURES.width)).astype(np.float16)
    return ComposedStreams(features, labels, active.astype(np.uint8), [[] for _ in range(count)])


def _network(seed: int) -> FrameClassifier:
    torch.manual_seed(seed)
    return build(preset("gru", features=FEATURES.width, classes=3, hidden=4, layers=1)).eval()


def test_a_third_of_the_streams_are_of_cases_and_those_left_out_are_of_the_general_mix():
    general = [is_general(stream, frozenset()) for stream in range(len(TURNS))]
    assert sum(general) == 2 * len(TURNS) / 3
    for stream, turn in enumerate(TURNS):
        assert is_general(stream, frozenset(["singing"])) == (turn in (None, "singing"))
        assert is_general(stream + len(TURNS), frozenset()) == general[stream]


def test_it_learns_from_itself_in_the_general_mix_and_from_labels_in_the_cases(tmp_path):
    streams, model = _streams(6), _network(1)
    known = what_it_knows(model, streams, tmp_path / "before.npy", frozenset())
    probs = network_probs(model, streams)
    played = LongStreamBatches(streams.features, streams.labels, rows=2, delay=DELAY_FRAMES)
    late = played.targets(np.arange(6))
    for stream in range(6):
        wanted = probs[stream] if is_general(stream, frozenset()) else late[stream]
        np.testing.assert_allclose(known[stream], wanted, atol=1e-3)
    # What was predicted at first is kept, whatever the network has become when a run goes on.
    again = what_it_knows(_network(2), streams, tmp_path / "before.npy", frozenset())
    np.testing.assert_array_equal(again, known)


@pytest.mark.parametrize(("peak", "kept"), [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])
def test_the_weights_that_do_best_between_first_and_last_are_kept(peak, kept, monkeypatch, capsys):
    start, model = _network(1).state_dict(), _network(2)
    start = {name: value.clone() for name, value in start.items()}
    end = {name: value.clone() for name, value in model.state_dict().items()}
    name = next(
        name
        for name, value in end.items()
        if value.is_floating_point() and not torch.equal(value, start[name])
    )
    target = between(start, end, peak)[name]

    def validation(_data):
        return lambda model: {"score": -float((model.state_dict()[name] - target).abs().sum())}

    monkeypatch.setattr(further, "validation", validation)
    figures = best_between(model, start, None)  # type: ignore[arg-type]
    assert figures["share"] == kept
    assert f"kept {kept:g}" in capsys.readouterr().err
    torch.testing.assert_close(model.state_dict()[name], target)


def test_the_score_is_of_plain_hard_and_all_cases_together():
    model = _network(1)
    plain, hard, one, two = (_streams(3, seed) for seed in range(4))
    without = validator(plain, hard, FEATURES, 0)(model)
    assert len(without) == 13
    figures = validator(plain, hard, FEATURES, 0, [one, two])(model)
    assert len(figures) == 19
    assert figures["score"] == pytest.approx(np.mean([v for name, v in figures.items() if name != "score"]))
    assert {name: figures[name] for name in without if name != "score"} == {
        name: value for name, value in without.items() if name != "score"
    }
    together = ComposedStreams(
        np.concatenate([one.features, two.features]),
        np.concatenate([one.labels, two.labels]),
        np.concatenate([one.active, two.active]),
        [*one.segments, *two.segments],
    )
    alone = validator(plain, hard, FEATURES, 0, [together])(model)
    for name, value in alone.items():
        assert figures[name] == pytest.approx(value), name
