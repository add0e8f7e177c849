"""Training on composed streams: what it learns, what the card's rules promise, and that it is the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch")

from export.data.dataset import read_dataset  # noqa: E402
from export.scenes.compose import Composer  # noqa: E402
from export.scenes.kinds import class_kinds  # noqa: E402
from export.scenes.labels import events_of, frame_labels  # noqa: E402
from export.scenes.material import Material  # noqa: E402
from export.scenes.negatives import Negatives  # noqa: E402
from export.scenes.scene_config import SceneConfig  # noqa: E402
from export.scenes.sound_store import active_part, load_sounds  # noqa: E402
from export.training import pipeline, train  # noqa: E402
from export.training.config import TrainConfig  # noqa: E402
from export.training.fit_config import FitConfig  # noqa: E402
from export.training.heard_validation import HeardValidation, composed_once  # noqa: E402
from export.training.scene_epochs import SceneBatches  # noqa: E402
from export.training.stream_config import StreamConfig  # noqa: E402
from stream.features.spec import MfccSpec  # noqa: E402

pytestmark = pytest.mark.torch
RATE = 16_000
SPEC = MfccSpec()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of chirps, rising and falling, by six speakers."""
    root = tmp_path_factory.mktemp("chirps")
    rng = np.random.default_rng(0)
    for label, sign in (("rise", 1), ("fall", -1)):
        (root / label).mkdir()
        for speaker in range(6):
            for take in range(4):
                time = np.arange(round(0.5 * RATE)) / RATE
                sweep = 900 * (1 + 0.1 * speaker) * 2 ** (sign * 2.5 * (time - 0.25))
                wave = np.sin(2 * np.pi * np.cumsum(sweep) / RATE) * np.hanning(len(time))
                sound = np.concatenate([np.zeros(2000), 0.3 * wave, np.zeros(3000)]) + rng.normal(
                    0, 1e-4, len(time) + 5000
                )
                soundfile.write(root / label / f"s{speaker}_nohash_{take}.wav", sound, RATE)
    return root


def composer(data: Path, **settings: object) -> Composer:
    recordings = read_dataset(data).recordings
    sounds = load_sounds(recordings, SPEC)
    material = Material(Negatives("train", RATE), sounds, ("speech", "music", "noise", "silence"), True)
    return Composer(sounds, recordings, material, SceneConfig(**settings))  # type: ignore[arg-type]


def test_the_part_that_sounds() -> None:
    sound = np.concatenate([np.zeros(RATE), np.full(RATE, 0.1), np.zeros(RATE)]).astype(np.float32)
    first, last = active_part(sound, RATE)
    assert (first, last) == (pytest.approx(RATE, abs=500), pytest.approx(2 * RATE, abs=500))
    assert active_part(np.zeros(RATE, np.float32), RATE) == (0, 0)


def test_a_stream_says_where_its_recordings_are(data: Path) -> None:
    """Found again by their own energy, with neither noise nor room nor anything between."""
    plain = composer(
        data, negatives=0, noise=0, room=0, speed=0, tilt=0, narrow=0, level=(-20, -20), pause=(0.5, 1)
    )
    scene = plain.compose(range(48), np.random.default_rng(1))  # more than fit
    assert len(scene.placed) >= 8
    loud = np.abs(scene.samples) > 0.05
    inside = np.zeros(len(loud), bool)
    for placed in scene.placed:
        inside[placed.begin : placed.end] = True
        assert 0.3 < (placed.end - placed.begin) / RATE < 0.6
    assert loud[inside].mean() > 0.3
    assert not loud[~inside].any()


def test_levels_and_pauses_are_as_asked_for(data: Path) -> None:
    made = composer(data, negatives=0, noise=0, room=0, level=(-45, -6), pause=(0.3, 2))
    levels, pauses = [], []
    for seed in range(6):
        scene = made.compose(range(30), np.random.default_rng(seed))
        for placed in scene.placed:
            part = scene.samples[placed.begin : placed.end]
            levels.append(10 * np.log10(np.mean(part**2)))
        pauses += [(b.begin - a.end) / RATE for a, b in zip(scene.placed, scene.placed[1:], strict=False)]
    assert -50 < min(levels) < -30 < -15 < max(levels) < -4
    assert 0.25 < min(pauses) < max(pauses) < 2.2


def test_what_is_learnt_in_a_stream(data: Path) -> None:
    made = composer(data, negatives=0.5)
    scene = made.compose(range(12), np.random.default_rng(2))
    centres = np.arange(0, 30, 0.01)
    labels = ("fall", "rise", "background")
    targets, weight = frame_labels(
        scene, made.recordings, labels, centres, RATE, activation="softmax", background="background", where="end"
    )  # fmt: skip
    for placed in scene.placed:
        label = labels.index(made.recordings[placed.recording].labels[0])
        end = placed.end / RATE
        assert targets[np.searchsorted(centres, end - 0.05)] == label
        assert weight[np.searchsorted(centres, placed.begin / RATE + 0.05)] == 0  # nobody can know yet
        assert weight[np.searchsorted(centres, end + 0.2)] == 0  # either answer is right
    assert (targets == 2).mean() > 0.3
    strong, _ = frame_labels(
        scene, made.recordings, labels[:2], centres, RATE, activation="sigmoid", background=None, where="all"
    )  # fmt: skip
    assert strong.shape == (3000, 2)
    assert len(events_of(scene, made.recordings, RATE)) == len(scene.placed)


def test_what_the_classes_are(data: Path) -> None:
    recordings = read_dataset(data).recordings
    found = class_kinds(load_sounds(recordings, SPEC), recordings, ("fall", "rise"))
    assert found.short == {"fall", "rise"}
    assert set(found.allowed) == {
        "speech",
        "music",
        "noise",
        "silence",
    }  # of two short classes, other sound is none


def test_a_network_that_stays_silent_where_nothing_is(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what validation held out learnt too, once its figures are known; and with its pictures."""
    monkeypatch.setattr(pipeline, "SHORTEST_NEGATIVE_MINUTES", 4.0)
    config = TrainConfig(
        data=str(data), cache=str(tmp_path / "c"), compose=True, false_alarms=30, validation_groups=("s1", "s3"),
        test_groups=("s2",), scenes=SceneConfig(minutes=3, seconds=10), fit=FitConfig(epochs=4, learning_rate=2e-2),
        streams=StreamConfig(rows=8, frames=100), model_changes={"hidden": 32, "layers": 1}, refit=True,
    )  # fmt: skip
    learnt_from = []

    def progress(what: str, done: int, total: int) -> None:
        if what == "sound of train" and done == total:
            learnt_from.append(total)

    result = train(config, folder=tmp_path / "run", progress=progress)
    assert learnt_from == [24, 40]  # three speakers; then those of validation too, and never that of the test
    assert result.card.labels == ("fall", "rise", "background")
    assert not result.card.detector.rule("background").enabled
    assert result.calibration is not None
    report = result.calibration.report
    assert set(report.hours) == {"speech", "music", "noise", "silence", "own"}
    assert report.total.events == 16
    assert report.total.found >= 10
    assert report.total.false["silence"] == 0
    assert result.card.metrics["events_found"] == report.total.found
    assert result.card.provenance["negatives"] == ["speech", "music", "noise", "silence"]
    assert result.figures["test_accuracy"] >= 0.7
    for name in ("strip.png", "events.png", "confusion.png", "curves.png", "again/last.pt"):
        assert (tmp_path / "run" / name).stat().st_size > 1000, name
    first = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["best_weights"]
    final = result.model.state_dict()
    assert any(not torch.equal(first[name], final[name]) for name in first)


class Oracle(torch.nn.Module):
    """Says what is right, or what is wrong, in the order in which it is asked."""

    def __init__(self, heard: HeardValidation, *, wrong: bool = False) -> None:
        super().__init__()
        self.anything = torch.nn.Parameter(torch.zeros(1))
        self.targets = np.stack([stream.targets for stream in heard._streams])
        self.at, self.wrong = 0, wrong

    def forward(self, x: torch.Tensor, state: object) -> tuple[torch.Tensor, object]:
        targets = torch.from_numpy(self.targets[:, self.at : self.at + x.shape[1]])
        self.at += x.shape[1]
        if self.wrong:
            targets = (targets + 1) % 3
        return 20 * torch.nn.functional.one_hot(targets, 3).float(), state


def heard(data: Path, minutes: float = 40) -> HeardValidation:
    made = composer(data)
    return HeardValidation(
        made, ("fall", "rise", "background"), "softmax", "background", "end", SPEC, 1, minutes, 0
    )


def test_validation_hears_every_recording_once(data: Path) -> None:
    streams = heard(data)
    placed = [each.recording for scene in streams.scenes for each in scene.placed]
    assert sorted(placed) == list(range(48))
    again = composed_once(composer(data), 40, 0)
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(again, streams.scenes, strict=True))
    slow = composer(data, pause=(6, 9))
    assert len(composed_once(slow, 40, 0)) > 2
    (one,) = composed_once(slow, 2, 0)
    assert 0 < len(one.placed) < 48


def test_validation_in_streams_scores_recordings_and_pauses(data: Path) -> None:
    right, wrong = heard(data), heard(data)
    scores = right.score(Oracle(right))
    truth = [("fall", "rise").index(r.labels[0]) for r in right.composer.recordings]
    assert scores.probs.argmax(axis=1).tolist() == truth
    assert scores.loss < 1e-3
    assert np.allclose(scores.probs.sum(axis=1), 1)
    poor = wrong.score(Oracle(wrong, wrong=True))
    assert not (poor.probs.argmax(axis=1) == truth).any()
    assert poor.loss > 10


def test_an_epoch_is_the_same_each_time_it_is_asked_for(data: Path) -> None:
    made = composer(data, seconds=10, minutes=1)
    source = SceneBatches(
        made,
        lambda rng: made.sounds.usable(),
        ("fall", "rise", "background"),
        "softmax",
        "background",
        "end",
        SPEC,
        rows=4,
    )
    one, same, other = (list(source(epoch)) for epoch in (0, 0, 1))
    assert len(one) == len(source(0)) > 4
    for a, b in zip(one, same, strict=True):
        assert torch.equal(a.features, b.features)
        assert torch.equal(a.targets, b.targets)
        assert torch.equal(a.weight, b.weight)
        assert a.reset is not None
        assert b.reset is not None
        assert torch.equal(a.reset, b.reset)
    assert not torch.equal(one[0].features, other[0].features)
