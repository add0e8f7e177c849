"""train(): labelled audio in, a checkpoint with its card and a run folder out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from export.calibration import Calibration, EventReport, calibrate
from export.data.recording import Dataset
from export.data.splits import SplitConfig
from export.models import FrameClassifier, build, count_parameters
from export.models.checkpoint import save_model
from export.training.batch import Batch
from export.training.config import TrainConfig
from export.training.epochs import ClipEpoch, RepeatedEpochs, StreamEpoch
from export.training.fit_config import FitConfig
from export.training.listening import heard_streams
from export.training.loop import FitResult, Validate, fit
from export.training.opening import open_data
from export.training.prepare import Prepared, Progress, fitted_statistics, prepare
from export.training.progress import Report
from export.training.run_folder import RunFolder, origin
from export.training.sampler import Sampler
from export.training.scene_data import scene_batches
from export.training.scene_epochs import SceneBatches
from export.training.targets import SETTLE_SECONDS
from export.training.validation import confusion, figures, score
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.inference.card import ModelCard
from stream.printable import unicode_text

STATISTICS_STREAMS = 20
OWN_MINUTES = 40.0  # of streams of validation recordings, at most
SHORTEST_NEGATIVE_MINUTES = 15.0  # of each kind of sound that is no class


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A trained network.

    Attributes:
        model: eval mode, on the CPU.
        card: labels, features and figures; its states are filled in by the export.
        fitted: history and best epoch.
        figures: validation (and test) figures, with carried state and, as ``*_alone``, each recording alone.
        skipped: recordings left out, and why.
        ignored: files in class folders that are not audio by their suffix.
        calibration: of the detector's rules, where streams were composed and a budget was given.
    """

    model: FrameClassifier
    card: ModelCard
    fitted: FitResult
    figures: dict[str, float]
    skipped: tuple[tuple[str, str], ...]
    ignored: tuple[Path, ...] = ()
    calibration: Calibration | None = None


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
        report: told about the training.
        progress: told about the computation of features.

    Raises:
        DataError, SpecError, CheckpointError, OutputError, ProviderUnavailable: see what is called.
    """
    split = config.split if data is None else None
    data = open_data(config) if data is None else data
    ready = prepare(config, data, progress)
    settings = fit_settings(config, ready)
    run = None if folder is None else RunFolder(Path(folder))
    origins = origin(config, ready.data.digest())
    if run is not None:
        run.begin(config, origins, ready.skipped)
    torch.manual_seed(settings.seed)
    model = build(ready.model)
    learnt = training_batches(config, ready, settings.epochs)
    model.fit(*statistics(ready, learnt))
    fitted = fit(
        model,
        learnt,
        settings,
        validate=validator(ready.validation) if ready.validation is not None else None,
        folder=None if run is None else run.path,
        resume=resume,
        class_weight=ready.class_weight() if config.class_weights else None,
        report=report,
        record=None if run is None else run.metrics,
    )
    measured = measure(model, ready)
    calibration = calibrated(config, ready, model, progress)
    card = make_card(config, ready, model, measured, origins, split)
    if calibration is not None:
        card = msgspec.structs.replace(
            card, detector=calibration.rules, metrics={**card.metrics, **event_metrics(calibration.report)}
        )
    if run is not None:
        judged = ready.validation if ready.activation == "softmax" else None
        table = None if judged is None else confusion(score(model, judged, carried=True), judged)
        run.finish(fitted.history, {"best": fitted.best, "figures": measured}, card.labels, table)
        save_model(run.path / "model.pt", model, card)
    if output is not None:
        save_model(output, model, card)
    return TrainResult(model, card, fitted, measured, ready.skipped, data.ignored, calibration)


def calibrated(
    config: TrainConfig, ready: Prepared, model: FrameClassifier, progress: Progress | None
) -> Calibration | None:
    """Rules of the detector for the budget of false alarms, chosen on streams as they will be heard."""
    if ready.scenes is None or not config.false_alarms:
        return None
    own = [label for label in ready.data.labels if label != ready.background_class]
    if progress is not None:
        progress("calibration", 0, 2)
    streams = heard_streams(
        model,
        ready.scenes.judge,
        config.features,
        ready.activation,
        kinds=ready.scenes.kinds.allowed,
        without=own,
        own_minutes=OWN_MINUTES,
        negative_minutes=max(SHORTEST_NEGATIVE_MINUTES, 30 / config.false_alarms),
        seed=config.fit.seed,
    )
    if progress is not None:
        progress("calibration", 1, 2)
    found = calibrate(
        streams, ready.data.labels, budget_per_hour=config.false_alarms, background=ready.background_class
    )
    if progress is not None:
        progress("calibration", 2, 2)
    return found


def heard_beside(config: TrainConfig, ready: Prepared) -> dict[str, Any]:
    """What is no class to this model, and the false events an hour its rules were chosen for: for `evaluate`."""
    if ready.scenes is None:
        return {}
    budget = {"false_alarms": config.false_alarms} if config.false_alarms else {}
    return {"negatives": list(ready.scenes.kinds.allowed), **budget}


def event_metrics(report: EventReport) -> dict[str, float]:
    """The figures of a calibration that the card keeps."""
    total = report.total
    delay = total.delay()
    return {
        "events": float(total.events),
        "events_found": float(total.found),
        "events_doubled": float(total.doubled),
        "false_alarms_per_hour": float(report.false_per_hour),
        **({} if delay is None else {"event_delay_seconds": delay}),
    }


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


def validator(sampler: Sampler) -> Validate:
    """A validation callback that returns ``validation_figures``."""

    def validate(model: nn.Module) -> dict[str, float]:
        return validation_figures(model, sampler)

    return validate


def validation_figures(model: nn.Module, sampler: Sampler) -> dict[str, float]:
    """Figures with carried state and, as ``*_alone``, the main one with each recording from the initial state."""
    carried = figures(score(model, sampler, carried=True), sampler)
    alone = figures(score(model, sampler, carried=False), sampler)
    main = "accuracy" if "accuracy" in carried else "f1"
    return {**carried, f"{main}_alone": alone[main]}


def measure(model: nn.Module, ready: Prepared) -> dict[str, float]:
    """Figures of the finished model: ``validation_*`` and, where there is such a split, ``test_*``."""
    found: dict[str, float] = {}
    for split, sampler in (("validation", ready.validation), ("test", ready.test)):
        if sampler is not None:
            found |= {f"{split}_{name}": value for name, value in validation_figures(model, sampler).items()}
    return found


def make_card(
    config: TrainConfig,
    ready: Prepared,
    model: FrameClassifier,
    measured: dict[str, float],
    origins: dict[str, Any],
    split: SplitConfig | None,
) -> ModelCard:
    """The card. The background class and the class of all other labels raise no events.

    ``split`` tells ``evaluate --split`` which recordings training held out; None = they were divided elsewhere.
    """
    disabled = {name for name in (ready.background_class, config.unknown) if name is not None}
    return ModelCard(
        name=unicode_text(f"{Path(config.data).stem}-{config.model}"),
        labels=ready.data.labels,
        activation=ready.activation,
        features=config.features,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        stride=model.config.stride,
        warmup=round(SETTLE_SECONDS * config.features.frame_rate),
        receptive_field=model.receptive_field,
        detector=DetectorSpec(classes={name: ClassRule(enabled=False) for name in sorted(disabled)}),
        metrics=measured,
        provenance={
            **origins,
            "parameters": count_parameters(model),
            "clip_score": config.where,
            **heard_beside(config, ready),
            **({} if split is None else {"split": msgspec.to_builtins(split)}),
        },
    )
