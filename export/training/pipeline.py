"""train(): labelled audio in, a checkpoint with its card and a run folder out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from export.calibration import Calibration, EventReport, HeardStream, calibrate, heard_events
from export.data.recording import Dataset, Interval
from export.data.splits import SplitConfig
from export.models import FrameClassifier, count_parameters
from export.models.checkpoint import save_model
from export.training.choices import Candidate
from export.training.config import TrainConfig
from export.training.doubts import doubts
from export.training.fitting import best_candidate, fit_settings, fitted
from export.training.listening import heard_negatives, heard_scenes
from export.training.loop import FitResult
from export.training.measuring import measure, scored, validations, validator
from export.training.opening import open_data
from export.training.prepare import Prepared, Progress, prepare
from export.training.progress import Report
from export.training.run_folder import RunFolder, origin
from export.training.start import start_origin, start_sources
from export.training.targets import SETTLE_SECONDS
from export.training.validation import confusion
from stream.decisions.spec import ClassRule, DetectorSpec
from stream.inference.card import ModelCard
from stream.printable import unicode_text

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
        doubts: why the figures may promise too much; a line each.
    """

    model: FrameClassifier
    card: ModelCard
    fitted: FitResult
    figures: dict[str, float]
    skipped: tuple[tuple[str, str], ...]
    ignored: tuple[Path, ...] = ()
    calibration: Calibration | None = None
    doubts: tuple[str, ...] = ()


def train(
    config: TrainConfig,
    output: str | Path | None = None,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    data: Dataset | None = None,
    candidates: Sequence[Candidate] = (),
    report: Report | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a network as ``config`` says, or the best of several.

    The test split, if there is one, is scored once, at the end, with the weights that validation chose.

    Args:
        config: see TrainConfig.
        output: where the checkpoint is written; None = nowhere.
        folder: the run folder; None = none is kept.
        resume: go on from the run folder's ``last.pt``.
        data: a data set already read and split, instead of ``config.data``.
        candidates: configurations that are trained for a short time; the one that validates best takes the place of
            ``config``. () = no comparison.
        report: told about the training.
        progress: told about the computation of features.

    Raises:
        DataError, SpecError, CheckpointError, OutputError, ProviderUnavailable: see what is called.
    """
    split = config.split if data is None else None
    data = open_data(config) if data is None else data
    if candidates and not resume:
        config = best_candidate(candidates, data, report, progress)
    ready = prepare(config, data, progress)
    settings = fit_settings(config, ready)
    run = None if folder is None else RunFolder(Path(folder))
    origins = origin(config, ready.data.digest())
    if run is not None:
        run.begin(config, origins, ready.skipped)
    heard = validations(config, ready)
    again = config.refit and ready.validation is not None
    if report is not None:
        report.start_run("", settings.epochs if again else 0)
    judged, result = fitted(
        config,
        ready,
        settings,
        None if ready.validation is None else validator(ready.validation, heard["validation"]),
        folder=None if run is None else run.path,
        resume=resume,
        report=report,
        record=None if run is None else run.metrics,
    )
    measured = measure(judged, ready.validation, heard["validation"], "validation")
    table = None
    if run is not None and ready.validation is not None and ready.activation == "softmax":
        table = confusion(scored(judged, ready.validation, heard["validation"]), ready.validation)
    model = judged
    if again:
        if report is not None:
            report.start_run("once more, with what validation held out", 0)
        settings = msgspec.structs.replace(settings, epochs=len(result.history), patience=0, monitor="loss")
        everything = prepare(config, joined(data), progress, ready.scenes)
        folder_again = None if run is None else run.again
        model, _ = fitted(
            config, everything, settings, None, folder=folder_again, resume=resume, report=report
        )
    measured |= measure(model, ready.test, heard["test"], "test")
    card = make_card(config, ready, model, measured, origins, split)
    own: list[HeardStream] = []
    calibration = None
    streams = heard["validation"]
    if streams is not None:
        own = heard_scenes(judged, streams.scenes, streams.composer, config.features, ready.activation)
        calibration = calibrated(config, ready, own, model, progress)
    if calibration is not None:
        card = msgspec.structs.replace(
            card, detector=calibration.rules, metrics={**card.metrics, **event_metrics(calibration.report)}
        )
    if run is not None:
        run.finish(result.history, {"best": result.best, "figures": measured}, card.labels, table)
        if streams is not None:
            events = [
                Interval(each.label, each.onset, each.offset)
                for each in heard_events(own[0], card.labels, card.detector)
            ]
            run.draw_minute(own[0], events, card.labels, card.detector, streams.scenes[0].samples)
        if calibration is not None:
            run.draw_events(calibration.report)
        save_model(run.path / "model.pt", model, card)
    if output is not None:
        save_model(output, model, card)
    return TrainResult(
        model, card, result, measured, ready.skipped, data.ignored, calibration, doubts(measured, ready.data)
    )


def joined(data: Dataset) -> Dataset:
    """``data`` with its validation part in training."""
    return replace(
        data,
        recordings=tuple(
            replace(each, split="train") if each.split == "validation" else each for each in data.recordings
        ),
    )


def calibrated(
    config: TrainConfig,
    ready: Prepared,
    own: Sequence[HeardStream],
    model: FrameClassifier,
    progress: Progress | None,
) -> Calibration | None:
    """Rules of the detector for the budget of false alarms, chosen on streams as they will be heard.

    Args:
        config: what was asked for.
        ready: the data.
        own: what a network that has not learnt the validation recordings gives in streams of them.
        model: the final one: false alarms in other sound are its.
        progress: told about it.
    """
    if ready.scenes is None or not config.false_alarms:
        return None
    classes = [label for label in ready.data.labels if label != ready.background_class]
    told = progress or (lambda what, done, total: None)
    told("calibration", 0, 2)
    negatives = heard_negatives(
        model,
        config.features,
        ready.activation,
        kinds=ready.scenes.kinds.allowed,
        without=classes,
        minutes=max(SHORTEST_NEGATIVE_MINUTES, 30 / config.false_alarms),
        seed=config.fit.seed,
    )
    told("calibration", 1, 2)
    found = calibrate(
        [*own, *negatives],
        ready.data.labels,
        budget_per_hour=config.false_alarms,
        background=ready.background_class,
        base=DetectorSpec(classes=disabled(config, ready)),
    )
    told("calibration", 2, 2)
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


def disabled(config: TrainConfig, ready: Prepared) -> dict[str, ClassRule]:
    """Rules of the classes that are never an event: the background, and what all other labels are."""
    names = {name for name in (ready.background_class, config.unknown) if name in ready.data.labels}
    return {str(name): ClassRule(enabled=False) for name in sorted(map(str, names))}


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
    return ModelCard(
        name=unicode_text(f"{Path(config.data).stem}-{config.model}"),
        labels=ready.data.labels,
        activation=ready.activation,
        features=config.features,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        stride=model.config.stride,
        warmup=round(SETTLE_SECONDS * config.features.frame_rate),
        receptive_field=model.receptive_field,
        detector=DetectorSpec(classes=disabled(config, ready)),
        metrics=measured,
        provenance={
            **origins,
            "parameters": count_parameters(model),
            "clip_score": config.where,
            **heard_beside(config, ready),
            **start_origin(config),
            **({} if split is None else {"split": msgspec.to_builtins(split)}),
        },
        sources=start_sources(config),
    )
