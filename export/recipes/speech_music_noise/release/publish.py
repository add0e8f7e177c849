"""A trained network becomes a model file: thresholds and rules, export and proof, measured figures, the card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from export.conversion.onnx_export import to_onnx
from export.models import FrameClassifier, count_parameters
from export.recipes.speech_music_noise.recipe_settings import DELAY_FRAMES, FEATURES, RecipeSettings
from export.recipes.speech_music_noise.release.calibrate import ScoredValidation, calibrate
from export.recipes.speech_music_noise.release.hard_cases import figures_of, rows_of
from export.recipes.speech_music_noise.release.report import report
from export.recipes.speech_music_noise.release.tables import chapter
from export.recipes.speech_music_noise.sources.rules import KINDS
from export.recipes.speech_music_noise.training.data import RecipeData
from export.recipes.speech_music_noise.training.distillation import example_of
from export.recipes.speech_music_noise.training.network import network_probs
from export.recipes.speech_music_noise.training.streams import ValidationStreams
from stream.inference.card import ModelCard
from stream.inference.session import Model

DESCRIPTION = (
    "Tells speech, music and noise apart, several at once; nothing means silence. Songs count as music, "
    "but a voice that sings alone is mostly taken for speech. Noise is meant to be heard down to {heard:g} dB under "
    "what else sounds. Causal, one prediction every 20 ms."
)


def publish(
    name: str, model: FrameClassifier, data: RecipeData, settings: RecipeSettings, out: Path, runs: Path,
    training: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Calibrate and export a trained network, measure the file, and put the figures into its card.

    Returns:
        "plain" and "hard" -> what ``report`` gives; also written as tables, to ``runs/NAME-report.md``.

    Raises:
        ExportError: the exported file differs from the network; nothing is written to ``out``.
    """
    card = ModelCard(
        name=name, labels=KINDS, activation="sigmoid", features=FEATURES,
        detector=calibrate(*_scored_draws(model, data), FEATURES),
        description=DESCRIPTION.format(heard=settings.noise_heard_db), author="stream-classify", licence="Apache-2.0",
        delay=DELAY_FRAMES, warmup=round(0.1 * FEATURES.frame_rate),
        sources=tuple(f"{source}: {licence}" for source, licence in sorted(data.licences.items())),
        provenance={
            "recipe": "python -m export.recipes.speech_music_noise, from a clone",
            "seed": settings.seeds[name], "hours": settings.hours * settings.rounds, "corpora": data.digest,
            "without": list(settings.without), "noise_heard_db": settings.noise_heard_db,
            "network": json.loads(msgspec.json.encode(model.config)), "parameters": count_parameters(model),
            "training": {key: round(float(value), 5) for key, value in training.items()},
        },
    )  # fmt: skip
    draft = runs / f"{name}.onnx"
    to_onnx(model, draft, card, example_of(data))
    measured = Model.load(draft, provider="cpu")
    figures = {"plain": report(measured, data.plain), "hard": report(measured, data.hard)}
    cases = {case: figures_of(measured, streams) for case, streams in data.cases.items()}
    metrics = _rounded({**figures["plain"], "hard": figures["hard"], "cases": rows_of(cases)})
    to_onnx(model, out / f"{name}.onnx", msgspec.structs.replace(card, metrics=metrics), example_of(data))
    (runs / f"{name}-report.md").write_text(chapter(card, figures, cases))
    return figures


def _scored_draws(
    model: FrameClassifier, data: RecipeData
) -> tuple[list[ScoredValidation], list[ScoredValidation]]:
    """The plain and the hard validation, each with its further draws."""
    draws = ((data.plain, data.hard), *data.further)
    return [_scored(model, plain) for plain, _ in draws], [_scored(model, hard) for _, hard in draws]


def _scored(model: FrameClassifier, data: ValidationStreams) -> ScoredValidation:
    return ScoredValidation(
        data, network_probs(model, data.mixed), network_probs(model, data.no_speech), DELAY_FRAMES
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
