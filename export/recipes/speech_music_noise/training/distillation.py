"""Distillation: train the teachers, keep their targets, train a published network on these beside the labels."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from export.augmentation import ChannelAugmentation
from export.models import FrameClassifier, ModelConfig, build, preset
from export.recipes.pass_report import PassReport
from export.recipes.speech_music_noise.recipe_settings import (
    DELAY_FRAMES,
    FEATURES,
    NETWORK_SHAPES,
    RecipeSettings,
)
from export.recipes.speech_music_noise.sources.rules import KINDS
from export.recipes.speech_music_noise.training.bundled import network_of, normalised_by
from export.recipes.speech_music_noise.training.data import RecipeData, load
from export.recipes.speech_music_noise.training.network import (
    average_best_and_last,
    new_network,
    teacher_targets,
    train,
    validator,
)
from export.training import Curriculum, FitConfig, LongStreamBatches
from export.training.tensors import detach

CHANNEL_GAIN_DB = 1.5
NARROW_SHARE = 0.3
TIMED_BATCHES = 12


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
    _train(model, name, name, seed, data, cache, settings, distilled=True)
    average_best_and_last(model, _run_folder(cache, settings, name, seed))
    validate = validator(data.plain.mixed, data.hard.mixed, FEATURES, DELAY_FRAMES)
    return model, {f"val_{key}": value for key, value in validate(model).items()}


def train_further(
    name: str, start: Path, data: RecipeData, cache: Path, settings: RecipeSettings, passes: int
) -> tuple[FrameClassifier, dict[str, float]]:
    """Go on from the weights of a published file, by labels alone; the network and its validation figures."""
    model = network_of(start, example_of(data))
    normalised_by(model, *data.rounds[0].statistics)
    if settings.level_memory and not model.config.level_memory:
        model = with_level(model, settings.level_memory)
    role, seed = f"continue-{name}-{passes}", settings.seeds[name]
    further = replace(
        settings,
        passes={**settings.passes, role: 1},
        learning_rates={**settings.learning_rates, role: settings.learning_rates["continue"]},
    )
    data = replace(data, rounds=tuple(data.rounds[index % len(data.rounds)] for index in range(passes)))
    _train(model, role, f"{name} {seed}", seed, data, cache, further, distilled=False)
    average_best_and_last(model, _run_folder(cache, further, role, seed))
    validate = validator(data.plain.mixed, data.hard.mixed, FEATURES, DELAY_FRAMES)
    return model, {f"val_{key}": value for key, value in validate(model).items()}


def pass_seconds(model: FrameClassifier, data: RecipeData) -> float:
    """About how long a pass through one round takes here: a few batches' training, and a validation."""
    began = time.monotonic()
    validator(data.plain.mixed, data.hard.mixed, FEATURES, DELAY_FRAMES)(model)
    validated = time.monotonic() - began
    streams = data.rounds[0]
    batches = LongStreamBatches(streams.features, streams.labels, augmentation=_augmentation())(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    state, took = None, []
    for batch in itertools.islice(batches, TIMED_BATCHES):
        began = time.monotonic()
        logits, state = model(batch.features, detach(state))
        loss = functional.binary_cross_entropy_with_logits(logits, batch.targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        took.append(time.monotonic() - began)
    return validated + float(np.median(took)) * len(batches)


def example_of(data: RecipeData) -> NDArray[np.float32]:
    """(2, 200, F) real features, so that proofs run where networks work and not where they saturate."""
    return data.plain.mixed.features[:2, :200].astype(np.float32)


def with_level(model: FrameClassifier, memory: int) -> FrameClassifier:
    """The same network behind a layer that adapts to the level of its input, and at first changes nothing."""
    out = build(msgspec.structs.replace(model.config, level_memory=memory))
    shifted = {}
    for key, value in model.state_dict().items():
        parts = key.split(".")
        if parts[0] == "layers":
            parts[1] = str(int(parts[1]) + 1)
        shifted[".".join(parts)] = value
    out.load_state_dict({**out.state_dict(), **shifted})
    return out


def _teacher(
    data: RecipeData, cache: Path, settings: RecipeSettings, seed: int
) -> tuple[FrameClassifier, dict[str, float]]:
    model = new_network(network_config("default", settings), data.rounds[0], seed)
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
    augmentation = _augmentation()
    rounds = [
        LongStreamBatches(
            streams.features, streams.labels, seed=seed, augmentation=augmentation, delay=DELAY_FRAMES,
            teacher_targets=teacher_targets((), streams, _targets_file(cache, settings, index)) if distilled else None,
            teacher_share=settings.teacher_share,
        )
        for index, streams in enumerate(data.rounds)
    ]  # fmt: skip
    curriculum = Curriculum(tuple(rounds[index] for index in order))
    validate = validator(data.plain.mixed, data.hard.mixed, FEATURES, DELAY_FRAMES)
    folder = _run_folder(cache, settings, role, seed)
    return train(
        model,
        curriculum,
        validate,
        fitting,
        folder=folder,
        report=PassReport(shown, lambda name: name.endswith("_f1")),
    ).best


def _augmentation() -> ChannelAugmentation:
    return ChannelAugmentation(FEATURES, CHANNEL_GAIN_DB, NARROW_SHARE)


def runs_folder(cache: Path, settings: RecipeSettings) -> Path:
    """Where the runs with these switches are kept."""
    return cache / "runs" / settings.variant


def _run_folder(cache: Path, settings: RecipeSettings, role: str, seed: int) -> Path:
    return runs_folder(cache, settings) / f"{role}-{seed}"


def _targets_file(cache: Path, settings: RecipeSettings, index: int) -> Path:
    return runs_folder(cache, settings) / f"teacher-targets-{index}.npy"
