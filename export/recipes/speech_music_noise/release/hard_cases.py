"""Figures for the cases that networks get wrong: rows of the card, and a table for any model files.

    python -m export.recipes.speech_music_noise.release.hard_cases a.onnx b.onnx --cache DIR          (from a clone)

The streams are those of the recipe (scenes/cases.py), composed unless they are there; with --draws more of them, and
figures are means. A model's frames are judged at its card's thresholds, its events by its card's rules.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from export.metrics import event_figures, frame_figures
from export.recipes.speech_music_noise.parallel import run_parallel
from export.recipes.speech_music_noise.recipe_settings import FEATURES
from export.recipes.speech_music_noise.release.draws import arguments, load_model
from export.recipes.speech_music_noise.release.report import model_probs
from export.recipes.speech_music_noise.release.tables import case_table
from export.recipes.speech_music_noise.scenes.cases import CASES
from export.recipes.speech_music_noise.sources.rules import KINDS
from export.recipes.speech_music_noise.training.data import CASE_SETS, another_draw, compose_set, load_set
from export.recipes.speech_music_noise.training.predictions import in_cells, predictions
from export.recipes.speech_music_noise.training.streams import ComposedStreams
from stream.errors import StreamClassifyError
from stream.inference.session import Model

Figures = dict[str, float]


def figures_of(model: Model, streams: ComposedStreams) -> Figures:
    """Everything that can be said of one case, NaN where it cannot.

    For each class "F1", "AUC", "recall", "false" (share of the cells without the class in which it is predicted),
    "missed" (share of events), "delay, s" (median, of onsets), and "false CLASS an hour" (events).
    """
    rules, delay = model.card.detector, model.card.delay
    probs = model_probs(model, streams)
    thresholds = [rules.rule(kind).threshold for kind in KINDS]
    cells, truth = in_cells(probs, streams, FEATURES, delay)
    frames = frame_figures(cells, truth, KINDS, thresholds)["classes"]
    events = event_figures(predictions(probs, streams, rules, FEATURES, delay), KINDS)["classes"]
    predicted = cells >= np.array(thresholds)
    out: Figures = {}
    for column, kind in enumerate(KINDS):
        on, true = predicted[:, column], truth[:, column]
        out[f"{kind} F1"] = _number(frames[kind]["f1"])
        out[f"{kind} AUC"] = _number(frames[kind]["roc_auc"])
        out[f"{kind} recall"] = float(on[true].mean()) if true.any() else float("nan")
        out[f"{kind} false"] = float(on[~true].mean()) if not true.all() else float("nan")
        out[f"{kind} missed"] = _number(events[kind]["missed_share"])
        out[f"{kind} delay, s"] = _number(events[kind]["median_delay_seconds"])
        out[f"false {kind} an hour"] = _number(events[kind]["false_alarms_per_hour"])
    return out


def rows_of(cases: Mapping[str, Figures]) -> dict[str, dict[str, float | None]]:
    """Of each case the figures that matter, as they stand in the card; None = cannot be said."""
    return {
        name: {
            figure: None if np.isnan(cases[name][figure]) else cases[name][figure] for figure in case.figures
        }
        for name, case in CASES.items()
        if name in cases
    }


def measure(model: Model, cache: Path, draws: int) -> dict[str, Figures]:
    """Case -> figures, means of the draws."""
    out = {}
    for each in CASE_SETS:
        found = [figures_of(model, load_set(cache, another_draw(each, draw))) for draw in range(draws)]
        out[each.name.removeprefix("case-")] = {
            name: float(np.mean([draw[name] for draw in found])) for name in found[0]
        }
    return out


def main() -> int:
    given = arguments(
        "export.recipes.speech_music_noise.release.hard_cases",
        (__doc__ or "").splitlines()[0],
        (1, "of every case; the figures are means"),
    )
    try:
        models = {str(path): load_model(path) for path in given.models}
        sets = [(given.cache, another_draw(each, draw)) for each in CASE_SETS for draw in range(given.draws)]
        for made in run_parallel(given.jobs, compose_set, sets):
            print(f"composed {made.name}", file=sys.stderr, flush=True)
        print(case_table({name: measure(model, given.cache, given.draws) for name, model in models.items()}))
    except StreamClassifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


if __name__ == "__main__":
    sys.exit(main())
