"""Everything measured about a finished model file, with the runtime itself, as one dictionary."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.metrics import confusion, event_figures, frame_figures, reliability
from export.recipes.speech_music_noise.release.conditions import by_condition
from export.recipes.speech_music_noise.sources.rules import KINDS
from export.recipes.speech_music_noise.training.predictions import Active, Probs, in_cells, predictions
from export.recipes.speech_music_noise.training.streams import ComposedStreams, ValidationStreams
from stream.inference.session import Model

CARRIED_HOURS = 8.0


def model_probs(model: Model, data: ComposedStreams, carried_hours: float = 0.0) -> Probs:
    """(S, T, 3) float32 by ONNX Runtime, state carried through each stream.

    Args:
        carried_hours: the state every stream begins with is that old: one stream has played the others for as
            long, end to end.
    """
    state = model.initial_state()
    seconds = data.features.shape[1] / model.card.features.frame_rate
    for turn in range(round(carried_hours * 3600 / seconds)):
        stream = turn % len(data.features)
        _, state = model.step(data.features[stream : stream + 1].astype(np.float32), state)
    copies = tuple(
        np.repeat(array, len(data.features), axis=spec.batch_axis)
        for array, spec in zip(state, model.card.states, strict=True)
    )
    return model.step(data.features.astype(np.float32), copies)[0]


def report(
    model: Model, validation: ValidationStreams, carried_hours: float = CARRIED_HOURS
) -> dict[str, Any]:
    """Frame figures at the card's thresholds, conditions, reliability, events, and the same after hours."""
    spec, rules, delay = model.card.features, model.card.detector, model.card.delay
    mixed, no_speech = validation.mixed, validation.no_speech
    thresholds = [rules.rule(kind).threshold for kind in KINDS]
    probs = model_probs(model, mixed)
    cells, truth = in_cells(probs, mixed, spec, delay)
    aged, _ = in_cells(model_probs(model, mixed, carried_hours), mixed, spec, delay)
    events = event_figures(predictions(probs, mixed, rules, spec, delay), KINDS)["classes"]
    without = event_figures(
        predictions(model_probs(model, no_speech), no_speech, rules, spec, delay), ("speech",)
    )
    shape = (*mixed.active.shape[:2], len(KINDS))
    return {
        "frames": with_silence(cells, truth, thresholds),
        f"frames_after_{carried_hours:g}_h": with_silence(aged, truth, thresholds),
        "conditions": by_condition(cells.reshape(shape), truth.reshape(shape), mixed.segments, thresholds),
        "confusion": confusion(cells, truth, KINDS, thresholds),
        "reliability": {
            kind: [
                [round(score, 3), round(share, 3), count]
                for score, share, count in reliability(cells[:, column], truth[:, column])
            ]
            for column, kind in enumerate(KINDS)
        },
        "events": events,
        "false_speech_per_hour": without["classes"]["speech"]["false_alarms_per_hour"],
        "hours": {"validation": _hours(mixed), "no_speech": _hours(no_speech)},
    }


def with_silence(probs: Probs, truth: Active, thresholds: list[float]) -> dict[str, dict[str, Any]]:
    """The figures of each class, and as "silence" those of none of them."""
    figures = frame_figures(probs, truth, KINDS, thresholds)
    classes: dict[str, dict[str, Any]] = figures["classes"]
    return {**classes, "silence": {"f1": figures["none_of_them"]["f1"]}}


def _hours(data: ComposedStreams) -> float:
    return round(len(data.active) * data.seconds / 3600, 2)
