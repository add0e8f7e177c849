"""Everything measured about a finished model file, with the runtime itself, as one dictionary."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.recipes.speech_music_noise.training.streams import Streams, Trial
from export.recipes.speech_music_noise.training.figures import (
    Probs,
    by_condition,
    detect,
    event_figures,
    frame_figures,
    on_grid,
)
from export.recipes.speech_music_noise.sources.rules import KINDS
from stream.inference.session import Model


def model_scores(model: Model, data: Streams, carried_hours: float = 0.0) -> Probs:
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


def report(model: Model, trial: Trial, carried_hours: float = 8.0) -> dict[str, Any]:
    """Frame figures at the card's thresholds, conditions, reliability, events, and the same after hours."""
    spec, rules, delay = model.card.features, model.card.detector, model.card.delay
    validation, quiet = trial.mixed, trial.quiet
    thresholds = [rules.rule(kind).threshold for kind in KINDS]
    active = validation.active.astype(bool)
    probs = model_scores(model, validation)
    graded = on_grid(probs, active.shape[1], spec, delay)
    flat, truth = graded.reshape(-1, len(KINDS)), active.reshape(-1, len(KINDS))
    aged = on_grid(model_scores(model, validation, carried_hours), active.shape[1], spec, delay)
    events = [detect(stream, rules, spec, delay) for stream in probs]
    still = [detect(stream, rules, spec, delay) for stream in model_scores(model, quiet)]
    return {
        "frames": frame_figures(flat, truth, thresholds),
        f"frames_after_{carried_hours:g}_h": frame_figures(aged.reshape(-1, len(KINDS)), truth, thresholds),
        "conditions": by_condition(graded, active, validation.segments, thresholds),
        "confusion": confusion(flat, truth, thresholds),
        "reliability": reliability(flat, truth),
        "events": {kind: event_figures(events, active, kind) for kind in KINDS},
        "false_speech_per_hour": event_figures(still, quiet.active.astype(bool), "speech")["false_per_hour"],
        "hours": {"validation": _hours(validation), "quiet": _hours(quiet)},
    }


def confusion(probs: Probs, active: np.ndarray, thresholds: list[float]) -> dict[str, dict[str, float]]:
    """For every combination that sounds, the share of its frames in which each combination is said."""

    def names(flags: np.ndarray) -> np.ndarray:
        return flags @ (1 << np.arange(len(KINDS)))

    words = ["+".join(k for i, k in enumerate(KINDS) if code >> i & 1) or "silence" for code in range(8)]
    said, true = names(probs >= np.array(thresholds)), names(active)
    return {
        words[code]: {
            words[other]: round(float(np.mean(said[true == code] == other)), 3)
            for other in range(8)
            if np.any(said[true == code] == other)
        }
        for code in range(8)
        if np.any(true == code)
    }


def reliability(probs: Probs, active: np.ndarray, bins: int = 10) -> dict[str, list[list[float]]]:
    """By class, for tenths of the score: [mean score, share of frames in which the class sounds, frames]."""
    out = {}
    for column, kind in enumerate(KINDS):
        which = np.minimum((probs[:, column] * bins).astype(int), bins - 1)
        out[kind] = [
            [
                round(float(probs[which == b, column].mean()), 3),
                round(float(active[which == b, column].mean()), 3),
                int(np.sum(which == b)),
            ]
            for b in range(bins)
            if np.any(which == b)
        ]
    return out


def _hours(data: Streams) -> float:
    return round(data.active.shape[0] * data.active.shape[1] / 100 / 3600, 2)
