"""Compose what is learnt from, and train the network on it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.augmentation import ChannelAugmentation
from export.metrics import f1_score
from export.models import FrameClassifier, build, preset
from export.recipes.alarm_ear.alarm_mix import HELD_OUT, NEGATIVE, TRAIN
from export.recipes.alarm_ear.alarm_settings import FEATURES, LABELS, NETWORK, AlarmSettings
from export.recipes.alarm_ear.alarm_streams import AlarmStreams, StreamSet, compose_set, load_set, streams_in
from export.recipes.pass_report import PassReport
from export.recipes.speech_music_noise.parallel import run_parallel
from export.training import Curriculum, FitConfig, LongStreamBatches, fit

Probs = NDArray[np.float32]
CHANNEL_GAIN_DB = 3.0
LOOKED_AT = 50  # streams of each validation set after every round
_CANDIDATES = np.arange(0.05, 1.0, 0.05)


def training_sets(settings: AlarmSettings) -> list[StreamSet]:
    """One a round."""
    count = streams_in(settings.hours)
    return [StreamSet(f"train-{r}", "train", TRAIN, count, 100 + r) for r in range(settings.rounds)]


def validation_sets(settings: AlarmSettings) -> tuple[StreamSet, StreamSet]:
    """With alarms, and with nothing of the kind."""
    return (
        StreamSet("validation", "validation", HELD_OUT, streams_in(settings.validation_hours), 7),
        StreamSet("validation-negative", "validation", NEGATIVE, streams_in(settings.negative_hours), 8),
    )


def prepare(cache: Path, settings: AlarmSettings, jobs: int) -> None:
    """Compose all sets that are not in ``cache``."""
    sets = (*validation_sets(settings), *training_sets(settings))
    for name in run_parallel(jobs, compose_set, [(cache, each) for each in sets]):
        print(f"composed {name}", file=sys.stderr, flush=True)


def probabilities(model: nn.Module, streams: AlarmStreams, rows: int = 64, chunk: int = 1000) -> Probs:
    """(S, T, 3) float32, every stream from its beginning with carried state."""
    out = []
    with torch.no_grad():
        for first in range(0, len(streams.features), rows):
            parts, state = [], None
            for start in range(0, streams.features.shape[1], chunk):
                piece = streams.features[first : first + rows, start : start + chunk].astype(np.float32)
                logits, state = model(torch.from_numpy(piece), state)
                parts.append(torch.sigmoid(logits).numpy())
            out.append(np.concatenate(parts, axis=1))
    return np.concatenate(out)


def validator(mixed: AlarmStreams, negative: AlarmStreams) -> Callable[[nn.Module], dict[str, float]]:
    """Best F1 by class on the frames that count, and how high the scores rise where there is nothing."""

    def validate(model: nn.Module) -> dict[str, float]:
        probs, nothing = probabilities(model, mixed), probabilities(model, negative)
        counted = mixed.weights.astype(bool)
        figures = {}
        for column, label in enumerate(LABELS):
            score, truth = probs[..., column][counted], mixed.targets[..., column][counted].astype(bool)
            figures[label] = max(f1_score(score >= step, truth) for step in _CANDIDATES)
            figures[f"{label}_alone"] = float((nothing[..., column].max(axis=1) > 0.8).mean())
        return {**figures, "score": float(np.mean([figures[label] for label in LABELS]))}

    return validate


def train(cache: Path, settings: AlarmSettings) -> tuple[FrameClassifier, dict[str, float]]:
    """The network with the weights of its best pass, and that pass's figures. A run that was stopped goes on."""
    rounds = [load_set(cache, each) for each in training_sets(settings)]
    mixed, negative = (load_set(cache, each).first(LOOKED_AT) for each in validation_sets(settings))
    torch.manual_seed(settings.seed)
    model = build(preset("crnn", features=FEATURES.width, classes=len(LABELS), **NETWORK))
    mean, std = rounds[0].statistics
    model.fit(torch.from_numpy(mean), torch.from_numpy(std))
    rng = np.random.default_rng(settings.seed)
    order = [int(index) for _ in range(settings.passes) for index in rng.permutation(len(rounds))]
    fitting = FitConfig(
        activation="sigmoid", epochs=len(order), learning_rate=settings.learning_rate, warmup=1.0,
        average=settings.average, memory=settings.memory, monitor="score", seed=settings.seed,
    )  # fmt: skip
    channel = ChannelAugmentation(FEATURES, CHANNEL_GAIN_DB, 0.0)
    batches = [
        LongStreamBatches(
            each.features, each.targets, rows=settings.rows, chunk=settings.chunk, seed=settings.seed,
            augmentation=channel, weights=each.weights,
        )
        for each in rounds
    ]  # fmt: skip
    result = fit(
        model, Curriculum(tuple(batches[index] for index in order)), fitting,
        validate=validator(mixed, negative), folder=cache / "run", resume=True,
        report=PassReport("alarms", lambda name: name != "score"),
    )  # fmt: skip
    return model, result.best
