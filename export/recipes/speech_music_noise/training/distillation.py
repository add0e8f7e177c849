"""Distillation: train the teachers, keep their targets, train a published network on these beside the labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from export.augmentation import ChannelAugmentation
from export.models import FrameClassifier, ModelConfig, preset
from export.recipes.pass_report import PassReport
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


def network_config(name: str, settings: RecipeSettings) -> ModelConfig:
    """The shape of a published network; teachers have that of "default"."""
    return preset(
        "crnn",
        features=FEATURES.width,
        classes=len(KINDS),
        level_memory=settings.level_memory,
        **NETWORK_SHAPES[name],
    )


def train_teacher(cache: Path, settings: RecipeSettings, seed: int) -> float:
    """Train a teacher, or take it from ``cache``; the score of its best pass."""
    return _teacher(load(cache, settings), cache, settings, seed)[1]["val_score"]


def write_teacher_targets(cache: Path, settings: RecipeSettings, index: int) -> None:
    """Keep what the teachers predict for a round."""
    data = load(cache, settings)
    teachers = [_teacher(data, cache, settings, seed)[0] for seed in settings.teacher_seeds]
    teacher_targets(teachers, data.rounds[index], _targets_file(cache, settings, index))


def train_published(
    name: str, data: RecipeData, cache: Path, settings: RecipeSettings, best_teacher: int
) -> tuple[FrameClassifier, dict[str, float]]:
    """Train one of the published networks; it and its validation figures."""
    seed = settings.seeds[name]
    model = new_network(network_config(name, settings), data.rounds[0], seed)
    if name == "default":  # the teachers have its shape
        model = _teacher(data, cache, settings, best_teacher)[0]
    run = run_folder(cache, settings, name, seed)
    train_network(model, name, name, seed, data, settings, run, teacher_of(data, cache, settings))
    average_best_and_last(model, run)
    return model, {f"val_{key}": value for key, value in validation(data)(model).items()}


def example_of(data: RecipeData) -> NDArray[np.float32]:
    """(2, 200, F) real features, so that proofs run where networks work and not where they saturate."""
    return data.plain.mixed.features[:2, :200].astype(np.float32)


def _teacher(
    data: RecipeData, cache: Path, settings: RecipeSettings, seed: int
) -> tuple[FrameClassifier, dict[str, float]]:
    model = new_network(network_config("default", settings), data.rounds[0], seed)
    run = run_folder(cache, settings, "teacher", seed)
    return model, train_network(model, "teacher", f"teacher {seed}", seed, data, settings, run)


def validation(data: RecipeData) -> Callable[[nn.Module], dict[str, float]]:
    """What the best pass is chosen by."""
    cases = list(data.cases.values())
    return validator(data.plain.mixed, data.hard.mixed, FEATURES, DELAY_FRAMES, cases)


def train_network(
    model: FrameClassifier,
    role: str,
    shown: str,
    seed: int,
    data: RecipeData,
    settings: RecipeSettings,
    folder: Path,
    targets: Callable[[int], NDArray[np.float16]] | None = None,
) -> dict[str, float]:
    """Leave the weights of the best pass in ``model``; its figures.

    Args:
        role: whose passes and learning rate.
        shown: in the report of a pass.
        folder: of the run; one that was interrupted continues.
        targets: by round, what to learn beside the labels.
    """
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
    augmentation = augmentation_of_streams()
    rounds = [
        LongStreamBatches(
            streams.features,
            streams.labels,
            seed=seed,
            augmentation=augmentation,
            delay=DELAY_FRAMES,
            teacher_targets=None if targets is None else targets(index),
            teacher_share=settings.teacher_share,
        )
        for index, streams in enumerate(data.rounds)
    ]
    curriculum = Curriculum(tuple(rounds[index] for index in order))
    return train(
        model,
        curriculum,
        validation(data),
        fitting,
        folder=folder,
        report=PassReport(shown, lambda name: name.endswith("_f1")),
    ).best


def augmentation_of_streams() -> ChannelAugmentation:
    """The change of channel that every stream of every pass has."""
    return ChannelAugmentation(FEATURES, CHANNEL_GAIN_DB, NARROW_SHARE)


def teacher_of(
    data: RecipeData, cache: Path, settings: RecipeSettings
) -> Callable[[int], NDArray[np.float16]]:
    """By round, what the teachers predict; kept in ``cache``."""
    return lambda index: teacher_targets((), data.rounds[index], _targets_file(cache, settings, index))


def runs_folder(cache: Path, settings: RecipeSettings) -> Path:
    """Where the runs with these switches are kept."""
    return cache / "runs" / settings.variant


def run_folder(cache: Path, settings: RecipeSettings, role: str, seed: int) -> Path:
    """Of one network with these switches."""
    return runs_folder(cache, settings) / f"{role}-{seed}"


def _targets_file(cache: Path, settings: RecipeSettings, index: int) -> Path:
    return runs_folder(cache, settings) / f"teacher-targets-{index}.npy"
