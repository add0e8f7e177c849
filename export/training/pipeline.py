"""train(): labelled audio in, a checkpoint with its card and a run folder out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch import nn

from export.data.recording import Dataset
from export.data.splits import SplitConfig
from export.models import FrameClassifier, build, count_parameters
from export.models.checkpoint import save_model
from export.training.batch import Batch
from export.training.config import TrainConfig
from export.training.epochs import ClipEpoch, Passes, StreamEpoch
from export.training.loop import FitConfig, FitResult, Validate, fit
from export.training.prepare import Prepared, Progress, fitted_statistics, open_data, prepare
from export.training.progress import Report
from export.training.run_folder import RunFolder, origin
from export.training.sampler import Sampler
from export.training.targets import SETTLE
from export.training.validation import confusion, figures, score
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.inference.card import ModelCard


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A trained network.

    Attributes:
        model: eval mode, on the CPU.
        card: labels, features and figures; its states are filled in by the export.
        fitted: history and best epoch.
        figures: validation (and test) figures, with carried state and, as ``*_alone``, clip by clip.
        skipped: recordings left out, and why.
    """

    model: FrameClassifier
    card: ModelCard
    fitted: FitResult
    figures: dict[str, float]
    skipped: tuple[tuple[str, str], ...]


def train(
    config: TrainConfig,
    output: str | Path | None = None,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    data: Dataset | None = None,
    report: Report | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a network as ``config`` says.

    The test split, if there is one, is scored once, at the end, with the weights that validation chose.

    Args:
        config: see TrainConfig.
        output: where the checkpoint is written; None = nowhere.
        folder: the run folder; None = none is kept.
        resume: go on from the run folder's ``last.pt``.
        data: a data set already read and split, instead of ``config.data``.
        report, progress: shown what happens.

    Raises:
        DataError, SpecError, CheckpointError, OutputError, ProviderUnavailable: see what is called.
    """
    plan = config.plan if data is None else None
    data = open_data(config) if data is None else data
    ready = prepare(config, data, progress)
    settings = fit_settings(config, ready)
    run = None if folder is None else RunFolder(Path(folder))
    origins = origin(config, ready.data.digest())
    if run is not None:
        run.begin(config, origins, ready.skipped)
    torch.manual_seed(settings.seed)
    model = build(ready.model)
    model.fit(*fitted_statistics(ready.train))
    fitted = fit(
        model,
        batches(ready.train, passes(ready.train, config.steps, settings.epochs)),
        settings,
        validate=validator(ready.validation) if ready.validation is not None else None,
        folder=None if run is None else run.path,
        resume=resume,
        class_weight=ready.class_weight() if config.balance else None,
        report=report,
        record=None if run is None else run.metrics,
    )
    measured = measure(model, ready)
    card = make_card(config, ready, model, measured, origins, plan)
    if run is not None:
        judged = ready.validation if ready.activation == "softmax" else None
        table = None if judged is None else confusion(score(model, judged, carried=True), judged)
        run.finish(fitted.history, {"best": fitted.best, "figures": measured}, card.labels, table)
        save_model(run.path / "model.pt", model, card)
    if output is not None:
        save_model(output, model, card)
    return TrainResult(model, card, fitted, measured, ready.skipped)


def fit_settings(config: TrainConfig, ready: Prepared) -> FitConfig:
    """The loop's settings: activation from the data; a figure to watch that exists."""
    monitor = config.fit.monitor
    if monitor == "auto":
        monitor = (
            "loss" if ready.validation is None else "accuracy" if ready.activation == "softmax" else "f1"
        )
    return msgspec.structs.replace(config.fit, activation=ready.activation, monitor=monitor)


def passes(source: Sampler, steps: int, epochs: int) -> int:
    """Times the data must be gone through in each of ``epochs`` for ``steps`` optimiser steps in all, at least 1."""
    if not steps:
        return 1
    kind = StreamEpoch if source.plan.carry else ClipEpoch
    return max(1, ceil(steps / (epochs * len(kind(source, 0)))))


def batches(source: Sampler, passes: int = 1) -> Callable[[int], Iterable[Batch]]:
    """Batches by epoch number: streams with carried state, or clips alone, as the plan says."""
    kind = StreamEpoch if source.plan.carry else ClipEpoch
    if passes == 1:
        return lambda epoch: kind(source, epoch)
    return lambda epoch: Passes([kind(source, epoch * passes + part) for part in range(passes)])


def validator(source: Sampler) -> Validate:
    """Figures with carried state, and the main one for recordings alone."""

    def validate(model: nn.Module) -> dict[str, float]:
        return both_ways(model, source)

    return validate


def both_ways(model: nn.Module, source: Sampler) -> dict[str, float]:
    """Figures of ``score`` with carried state; with ``_alone`` those from the initial state."""
    carried = figures(score(model, source, carried=True), source)
    alone = figures(score(model, source, carried=False), source)
    main = "accuracy" if "accuracy" in carried else "f1"
    return {**carried, f"{main}_alone": alone[main]}


def measure(model: nn.Module, ready: Prepared) -> dict[str, float]:
    """Figures of the finished model: ``validation_*`` and, where there is such a split, ``test_*``."""
    found: dict[str, float] = {}
    for split, source in (("validation", ready.validation), ("test", ready.test)):
        if source is not None:
            found |= {f"{split}_{name}": value for name, value in both_ways(model, source).items()}
    return found


def make_card(
    config: TrainConfig,
    ready: Prepared,
    model: FrameClassifier,
    measured: dict[str, float],
    origins: dict[str, Any],
    plan: SplitConfig | None,
) -> ModelCard:
    """The card; classes that stand for nothing in particular raise no events.

    ``plan`` tells ``evaluate --split`` which recordings training held out; None = they were divided elsewhere.
    """
    silent = {name for name in (ready.quiet, config.unknown) if name is not None}
    return ModelCard(
        name=f"{Path(config.data).stem}-{config.model}",
        labels=ready.data.labels,
        activation=ready.activation,
        features=config.features,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        stride=model.config.stride,
        warmup=round(SETTLE * config.features.frame_rate),
        receptive_field=model.receptive_field,
        detector=DetectorSpec(classes={name: ClassRule(enabled=False) for name in sorted(silent)}),
        metrics=measured,
        provenance={
            **origins,
            "parameters": count_parameters(model),
            "clip_score": config.where,
            **({} if plan is None else {"split": msgspec.to_builtins(plan)}),
        },
    )
