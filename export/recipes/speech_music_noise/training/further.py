"""Train a published network further, from its file: it learns the cases, and keeps what it knows of everything else."""

from __future__ import annotations

import itertools
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from export.models import FrameClassifier, build
from export.recipes.speech_music_noise.recipe_settings import DELAY_FRAMES, RecipeSettings
from export.recipes.speech_music_noise.scenes.cases import is_general
from export.recipes.speech_music_noise.training.bundled import network_of, normalised_by
from export.recipes.speech_music_noise.training.data import RecipeData
from export.recipes.speech_music_noise.training.distillation import (
    augmentation_of_streams,
    example_of,
    run_folder,
    train_network,
    validation,
)
from export.recipes.speech_music_noise.training.network import average_best_and_last, between, teacher_targets
from export.recipes.speech_music_noise.training.streams import ComposedStreams
from export.training import LongStreamBatches
from export.training.tensors import detach

TIMED_BATCHES = 12
# Shares of the way from the first weights to the trained ones that are tried; 0 = as it was.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def train_further(
    name: str, start: Path, data: RecipeData, cache: Path, settings: RecipeSettings, passes: int
) -> tuple[FrameClassifier, dict[str, float]]:
    """Go on from the weights of a published file; the network and its validation figures.

    In streams of the general mix the network learns from itself as it was, beside the labels, as published networks do
    from their teachers; in those of the cases from the labels alone. The weights are then those between the first and
    the trained ones that do best on validation: such means often know both what was known and what was learnt
    (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022).
    """
    model = network_of(start, example_of(data))
    normalised_by(model, *data.rounds[0].statistics)
    if settings.level_memory and not model.config.level_memory:
        model = with_level(model, settings.level_memory)
    first = {key: value.clone() for key, value in model.state_dict().items()}
    role, seed = f"continue-{name}-{passes}", settings.seeds[name]
    further = replace(
        settings,
        passes={**settings.passes, role: 1},
        learning_rates={**settings.learning_rates, role: settings.learning_rates["continue"]},
    )
    folder = run_folder(cache, further, role, seed)
    folder.mkdir(parents=True, exist_ok=True)
    used = min(passes, len(data.rounds))
    known = [
        what_it_knows(model, data.rounds[index], folder / f"before-{index}.npy", frozenset(settings.without))
        for index in range(used)
    ]
    turns = tuple(data.rounds[index % used] for index in range(passes))
    train_network(
        model,
        role,
        f"{name} {seed}",
        seed,
        replace(data, rounds=turns),
        further,
        folder,
        lambda index: known[index % used],
    )
    average_best_and_last(model, folder)
    figures = best_between(model, first, data)
    return model, {f"val_{key}": value for key, value in figures.items()}


def what_it_knows(
    model: FrameClassifier, streams: ComposedStreams, file: Path, without: frozenset[str]
) -> NDArray[np.float16]:
    """(S, T, 3) what ``model`` predicts where the general mix sounds, and the labels where a case does, as late."""
    out = teacher_targets([model], streams, file).copy()
    cases = [index for index in range(len(out)) if not is_general(index, without)]
    out[cases] = 0
    out[cases, DELAY_FRAMES:] = streams.labels[cases, : out.shape[1] - DELAY_FRAMES]
    return out


def best_between(
    model: FrameClassifier, first: dict[str, torch.Tensor], data: RecipeData
) -> dict[str, float]:
    """Leave in ``model`` the weights between ``first`` and its own that do best on validation; their figures."""
    last = {key: value.clone() for key, value in model.state_dict().items()}
    validate = validation(data)
    found = {}
    for share in SHARES:
        model.load_state_dict(between(first, last, share))
        found[share] = validate(model)
    best = max(found, key=lambda share: found[share]["score"])
    scores = "  ".join(f"{share:g}: {figures['score']:.4f}" for share, figures in found.items())
    print(f"share of the new weights, score: {scores}; kept {best:g}", file=sys.stderr, flush=True)
    model.load_state_dict(between(first, last, best))
    return {**found[best], "share": best}


def pass_seconds(model: FrameClassifier, data: RecipeData) -> float:
    """About how long a pass through one round takes here: a few batches' training, and a validation."""
    began = time.monotonic()
    validation(data)(model)
    validated = time.monotonic() - began
    streams = data.rounds[0]
    batches = LongStreamBatches(streams.features, streams.labels, augmentation=augmentation_of_streams())(0)
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
