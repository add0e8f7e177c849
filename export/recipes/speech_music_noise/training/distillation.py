"""Distillation: train the teachers, keep their targets, train a published network on these beside the labels."""

from __future__ import annotations

import sys
from pathlib import Path

from export.augmentation import ChannelAugmentation
from export.models import FrameClassifier, ModelConfig, preset
from export.recipes.speech_music_noise.recipe_settings import (
    DELAY_FRAMES,
    FEATURES,
    NETWORK_SHAPES,
    RecipeSettings,
)
from export.recipes.speech_music_noise.sources.rules import KINDS
from export.recipes.speech_music_noise.training.data import RecipeData, load
from export.recipes.speech_music_noise.training.network import (
    average_best_and_last,
    new_network,
    teacher_targets,
    train,
    validator,
)
from export.training import Curriculum, FitConfig, LongStreamBatches

CHANNEL_GAIN_DB = 1.5
NARROW_SHARE = 0.3


class PassReport:
    """A line on stderr after every pass, with the name of the network: several may be training at once."""

    def __init__(self, name: str) -> None:
        self.name, self.passes = name, 0

    def start_run(self, what: str, later: int) -> None:
        pass

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        self.passes = epochs

    def step(self, loss: float) -> None:
        pass

    def end_epoch(self, record: dict[str, float], best: bool) -> None:
        shown = "  ".join(
            f"{key.removeprefix('val_')} {value:.3f}" for key, value in record.items() if key.endswith("_f1")
        )
        score = f"loss {record['loss']:.4f}  score {record['val_score']:.4f}{'*' if best else ' '}"
        turn = f"pass {int(record['epoch']) + 1} of {self.passes}"
        print(f"{self.name}  {turn}  {score}  {shown}", file=sys.stderr, flush=True)


def network_config(name: str) -> ModelConfig:
    """The shape of a published network; teachers have that of "default"."""
    return preset("crnn", features=FEATURES.width, classes=len(KINDS), **NETWORK_SHAPES[name])


def train_teacher(cache: Path, settings: RecipeSettings, seed: int) -> float:
    """Train a teacher, or take it from ``cache``; the score of its best pass."""
    return _teacher(load(cache, settings), cache, settings, seed)[1]["val_score"]


def write_teacher_targets(cache: Path, settings: RecipeSettings, index: int) -> None:
    """Keep what the teachers predict for a round."""
    data = load(cache, settings)
    teachers = [_teacher(data, cache, settings, seed)[0] for seed in settings.teacher_seeds]
    teacher_targets(teachers, data.rounds[index], _targets_file(cache, index))


def train_published(
    name: str, data: RecipeData, cache: Path, settings: RecipeSettings, best_teacher: int
) -> tuple[FrameClassifier, dict[str, float]]:
    """Train one of the published networks; it and its validation figures."""
    seed = settings.seeds[name]
    model = new_network(network_config(name), data.rounds[0], seed)
    if name == "default":  # the teachers have its shape
        model = _teacher(data, cache, settings, best_teacher)[0]
    _train(model, name, name, seed, data, cache, settings, distilled=True)
    average_best_and_last(model, _run_folder(cache, name, seed))
    validate = validator(data.plain.mixed, data.hard.mixed, FEATURES, DELAY_FRAMES)
    return model, {f"val_{key}": value for key, value in validate(model).items()}


def _teacher(
    data: RecipeData, cache: Path, settings: RecipeSettings, seed: int
) -> tuple[FrameClassifier, dict[str, float]]:
    model = new_network(network_config("default"), data.rounds[0], seed)
    return model, _train(model, "teacher", f"teacher {seed}", seed, data, cache, settings, distilled=False)


def _train(
    model: FrameClassifier,
    role: str,
    shown: str,
    seed: int,
    data: RecipeData,
    cache: Path,
    settings: RecipeSettings,
    *,
    distilled: bool,
) -> dict[str, float]:
    """Leave the weights of the best pass in ``model``; its figures."""
    order = data.round_order(seed, settings.passes[role])
    fitting = FitConfig(
        activation="sigmoid",
        epochs=len(order),
        learning_rate=settings.learning_rates[role],
        warmup=0.3,
        average=settings.average,
        memory=settings.memory,
        monitor="score",
        seed=seed,
    )
    augmentation = ChannelAugmentation(FEATURES, CHANNEL_GAIN_DB, NARROW_SHARE)
    rounds = [
        LongStreamBatches(
            streams.features, streams.labels, seed=seed, augmentation=augmentation, delay=DELAY_FRAMES,
            teacher_targets=teacher_targets((), streams, _targets_file(cache, index)) if distilled else None,
            teacher_share=settings.teacher_share,
        )
        for index, streams in enumerate(data.rounds)
    ]  # fmt: skip
    curriculum = Curriculum(tuple(rounds[index] for index in order))
    validate = validator(data.plain.mixed, data.hard.mixed, FEATURES, DELAY_FRAMES)
    folder = _run_folder(cache, role, seed)
    return train(model, curriculum, validate, fitting, folder=folder, report=PassReport(shown)).best


def _run_folder(cache: Path, role: str, seed: int) -> Path:
    return cache / "runs" / f"{role}-{seed}"


def _targets_file(cache: Path, index: int) -> Path:
    return cache / "runs" / f"teacher-targets-{index}.npy"
