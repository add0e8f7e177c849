"""A trained network becomes a model file: rules, export and proof, figures of the test part, the card."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from export.conversion.onnx_export import to_onnx
from export.models import FrameClassifier, count_parameters
from export.recipes.alarm_ear.alarm_calibration import calibrate
from export.recipes.alarm_ear.alarm_mix import HELD_OUT
from export.recipes.alarm_ear.alarm_negatives import negatives
from export.recipes.alarm_ear.alarm_picture import draw
from export.recipes.alarm_ear.alarm_report import NO_SAFETY, chapter, heard, report
from export.recipes.alarm_ear.alarm_settings import FEATURES, LABELS, AlarmSettings
from export.recipes.alarm_ear.alarm_sources import licences
from export.recipes.alarm_ear.alarm_streams import StreamSet, compose_set, load_set, streams_in
from export.recipes.alarm_ear.alarm_training import validation_sets
from export.recipes.alarm_ear.alarm_trials import trials
from stream.inference.card import ModelCard
from stream.inference.session import Model

NAME = "alarms"
DESCRIPTION = (
    "Hears the cadence of smoke alarms (three pulses of half a second, a pause) and of carbon monoxide alarms (four "
    "short pulses, a long pause), and any other repeating beep. Reported in the second cycle. Causal, one prediction "
    "every 40 ms. " + NO_SAFETY
)
VALIDATION_TRIALS = 6  # a cell


def publish(
    model: FrameClassifier, cache: Path, recordings: Path | None, settings: AlarmSettings, out: Path,
    training: dict[str, float],
) -> tuple[ModelCard, dict[str, Any]]:  # fmt: skip
    """Choose rules on the validation part, export, measure the file on the test part, and write its card.

    Returns:
        The card and the figures; also written as Markdown, to ``cache/alarms-report.md``, and a picture beside it.

    Raises:
        ExportError: the exported file differs from the network; nothing is written to ``out``.
    """
    card = ModelCard(
        name=NAME, labels=LABELS, activation="sigmoid", features=FEATURES, description=DESCRIPTION,
        author="stream-classify", licence="Apache-2.0", warmup=round(0.2 * FEATURES.frame_rate),
        sources=("alarms and beeps: synthesised by rule, no recording of one", *licences(cache)),
        provenance={
            "recipe": "python -m export.recipes.alarms, from a clone", "seed": settings.seed,
            "hours": settings.hours * settings.rounds, "passes": settings.passes,
            "network": json.loads(msgspec.json.encode(model.config)), "parameters": count_parameters(model),
            "training": {key: round(float(value), 5) for key, value in training.items()},
        },
    )  # fmt: skip
    example = load_set(cache, validation_sets(settings)[0]).features[:2, :200].astype("float32")
    draft = cache / f"{NAME}.onnx"
    to_onnx(model, draft, card, example)
    measured = Model.load(draft, provider="cpu")
    tried = trials(cache, "validation", min(VALIDATION_TRIALS, settings.trials), 21)
    nothing = [each.streams for each in negatives(cache, "validation", settings.negative_hours, recordings)]
    detector = calibrate(tried, heard(measured, tried), [(each, heard(measured, each)) for each in nothing])
    print(f"chosen: {detector.classes}", file=sys.stderr, flush=True)
    figures = report(
        measured,
        detector,
        trials(cache, "test", settings.trials, 31),
        _whole(cache, settings),
        negatives(cache, "test", settings.negative_hours, recordings),
    )
    card = msgspec.structs.replace(card, detector=detector, metrics=figures)
    to_onnx(model, out / f"{NAME}.onnx", card, example)
    (cache / f"{NAME}-report.md").write_text(chapter(card, figures))
    draw(Model.load(out / f"{NAME}.onnx", provider="cpu"), cache, cache / f"{NAME}.png")
    return card, figures


def _whole(cache: Path, settings: AlarmSettings) -> Any:
    """Scenes of the test part in which alarms last."""
    wanted = StreamSet("test", "test", HELD_OUT, streams_in(settings.validation_hours / 2), 9)
    compose_set(cache, wanted)
    return load_set(cache, wanted)
