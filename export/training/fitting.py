"""A network trained on prepared data, and the best of several after a short training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import ceil
from pathlib import Path

import msgspec
import numpy as np
import torch

from export.data.recording import Dataset
from export.models import FrameClassifier, build
from export.training.batch import Batch
from export.training.choices import Candidate
from export.training.config import TrainConfig
from export.training.epochs import ClipEpoch, RepeatedEpochs, StreamEpoch
from export.training.fit_config import FitConfig
from export.training.loop import FitResult, Validate, fit
from export.training.measuring import validations, validator
from export.training.prepare import Prepared, Progress, fitted_statistics, prepare
from export.training.progress import Report
from export.training.sampler import Sampler
from export.training.scene_data import scene_batches
from export.training.scene_epochs import SceneBatches
from export.training.start import begin

STATISTICS_STREAMS = 20
CLEAR_ERRORS = 2.0  # standard errors by which another network must lead after few epochs


def fitted(
    config: TrainConfig,
    ready: Prepared,
    settings: FitConfig,
    validate: Validate | None,
    *,
    folder: Path | None = None,
    resume: bool = False,
    report: Report | None = None,
    record: Callable[[list[dict[str, float]]], None] | None = None,
) -> tuple[FrameClassifier, FitResult]:
    """A new network, trained; see ``fit``."""
    torch.manual_seed(settings.seed)
    model = build(ready.model)
    learnt = training_batches(config, ready, settings.epochs)
    model.fit(*statistics(ready, learnt))
    if config.start is not None:
        begin(model)
    result = fit(
        model,
        learnt,
        settings,
        validate=validate,
        folder=folder,
        resume=resume,
        class_weight=ready.class_weight() if config.class_weights else None,
        report=report,
        record=record,
    )
    return model, result


def best_candidate(
    candidates: Sequence[Candidate],
    data: Dataset,
    report: Report | None = None,
    progress: Progress | None = None,
) -> TrainConfig:
    """The configuration that is best on the validation part after a short training.

    After so few epochs a network that will be the better one may be a hair behind. So the first stays unless another
    leads by two standard errors of such a difference.

    Args:
        candidates: at least one, the likeliest first.
        data: divided, with a validation part.
        report: told about each training.
        progress: told about the computation of features.
    """
    left = sum(each.epochs for each in candidates)
    scores: list[float] = []
    for each in candidates:
        left -= each.epochs
        if report is not None:
            report.start_run(f"compared: {each.name}", left + epochs_of(each.config))
        short = msgspec.structs.replace(
            each.config, fit=msgspec.structs.replace(each.config.fit, epochs=each.epochs)
        )
        ready = prepare(short, data, progress)
        settings = fit_settings(short, ready)
        assert ready.validation is not None
        validate = validator(ready.validation, validations(short, ready)["validation"])
        best = fitted(short, ready, settings, validate, report=report)[1].best
        scores.append(best["val_balanced"] if "val_balanced" in best else best["val_f1"])
    chosen = candidates[clear_winner(scores, len(data.part("validation")))]
    if report is not None:
        told = ", ".join(f"{each.name} {score:.3f}" for each, score in zip(candidates, scores, strict=True))
        report.start_run(f"chosen: {chosen.name} ({told})", 0)
    return chosen.config


def clear_winner(scores: Sequence[float], recordings: int) -> int:
    """The first of ``scores``, unless the best leads it by two standard errors of the difference.

    Args:
        scores: fractions right of each, the likeliest winner first.
        recordings: that each was measured on.

    Returns:
        Its place.
    """
    best = int(np.argmax(scores))
    variance = sum(score * (1 - score) / recordings for score in (scores[0], scores[best]))
    return best if scores[best] - scores[0] > CLEAR_ERRORS * variance**0.5 else 0


def epochs_of(config: TrainConfig) -> int:
    """Epochs of all trainings that a configuration asks for."""
    return config.fit.epochs * (2 if config.refit else 1)


def fit_settings(config: TrainConfig, ready: Prepared) -> FitConfig:
    """Settings of the loop: the activation as the data asks for, and a figure to monitor that exists."""
    monitor = config.fit.monitor
    if monitor == "auto":
        monitor = (
            "loss" if ready.validation is None else "accuracy" if ready.activation == "softmax" else "f1"
        )
    return msgspec.structs.replace(config.fit, activation=ready.activation, monitor=monitor)


def training_batches(config: TrainConfig, ready: Prepared, epochs: int) -> Callable[[int], Iterable[Batch]]:
    """Batches by epoch number: composed streams, or recordings laid end to end."""
    if ready.scenes is None:
        return batches(ready.train, passes(ready.train, config.steps, epochs))
    return scene_batches(config, ready.scenes.train, ready.train, ready.background_class)


def statistics(
    ready: Prepared, learnt: Callable[[int], Iterable[Batch]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (F,) float32 of the features that are learnt from."""
    if not isinstance(learnt, SceneBatches):
        return fitted_statistics(ready.train)
    some = learnt.sample(STATISTICS_STREAMS).astype(np.float64)
    return torch.from_numpy(some.mean(0).astype(np.float32)), torch.from_numpy(some.std(0).astype(np.float32))


def passes(sampler: Sampler, steps: int, epochs: int) -> int:
    """How often each of ``epochs`` must go through the data for ``steps`` optimiser steps in all; at least once."""
    if not steps:
        return 1
    kind = StreamEpoch if sampler.config.carry else ClipEpoch
    return max(1, ceil(steps / (epochs * len(kind(sampler, 0)))))


def batches(sampler: Sampler, passes: int = 1) -> Callable[[int], Iterable[Batch]]:
    """Batches by epoch number: streams with carried state, or recordings alone, as ``StreamConfig.carry`` says."""
    kind = StreamEpoch if sampler.config.carry else ClipEpoch
    if passes == 1:
        return lambda epoch: kind(sampler, epoch)
    return lambda epoch: RepeatedEpochs([kind(sampler, epoch * passes + part) for part in range(passes)])
