"""Model files on further draws of the validation.

    python -m export.recipes.speech_music_noise.release.draws a.onnx b.onnx          (from a clone)

A card's figures are for the streams on which its thresholds and rules were chosen. Here more are composed of the same
recordings, from other seeds, on which nothing was chosen: how far figures of so many minutes swing by themselves, what
was owed to that choice, and whether two models (a bundled one and the recipe run again) differ by more than that.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from export.metrics import event_figures
from export.recipes.speech_music_noise.parallel import run_parallel
from export.recipes.speech_music_noise.recipe_settings import FEATURES
from export.recipes.speech_music_noise.release.report import model_probs, with_silence
from export.recipes.speech_music_noise.release.tables import table
from export.recipes.speech_music_noise.sources.rules import KINDS
from export.recipes.speech_music_noise.training.data import (
    VALIDATION_SETS,
    StreamSet,
    another_draw,
    compose_set,
    load_set,
)
from export.recipes.speech_music_noise.training.predictions import in_cells, predictions
from stream.errors import StreamClassifyError, UsageError
from stream.inference.session import Model

NAMES = (*KINDS, "silence")


def arguments(module: str, summary: str, draws: tuple[int, str]) -> argparse.Namespace:
    """What a command that composes further draws is given: models, cache, draws, jobs.

    Args:
        module: of the command.
        summary: of it, a line.
        draws: how many by default, and what they are.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=summary)
    parser.add_argument("models", type=Path, nargs="+", help="model files of the recipe")
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/speech_music_noise"), help="the recipe's, with its banks"
    )
    parser.add_argument("--draws", type=int, default=draws[0], help=draws[1])
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes at once")
    given = parser.parse_args()
    for name in ("draws", "jobs"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} {getattr(given, name)}: at least 1")
    return given


def main() -> int:
    given = arguments(
        "export.recipes.speech_music_noise.release.draws",
        (__doc__ or "").splitlines()[0],
        (4, "further ones, beside the cards' own"),
    )
    try:
        models = [load_model(path) for path in given.models]
        sets = [(given.cache, each) for each in _all(given.draws)]
        for made in run_parallel(given.jobs, compose_set, sets):
            print(f"composed {made.name}", file=sys.stderr, flush=True)
        for side in ("plain", "hard"):
            found = [
                [_figures(model, given.cache, side, draw) for draw in range(given.draws + 1)]
                for model in models
            ]
            print(f"\n{side}, {given.draws} further draws\n")
            print(compared([str(path) for path in given.models], found), flush=True)
    except StreamClassifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def draw_of(name: str, draw: int) -> StreamSet:
    """A draw of the validation set of that name; draw 0 is the one the cards are about."""
    return another_draw(next(each for each in VALIDATION_SETS if each.name == name), draw)


def compared(names: Sequence[str], found: Sequence[Sequence[dict[str, float]]]) -> str:
    """A Markdown table: each figure on the cards' streams and on the further ones, and from the first model how far.

    Args:
        found: for each model, for each draw (the cards' first), name of the figure -> value.
    """
    rows = []
    for what in found[0][0]:
        for name, draws in zip(names, found, strict=True):
            own, *further = [draw[what] for draw in draws]
            apart = [draw[what] - first[what] for draw, first in zip(draws, found[0], strict=True)]
            rows.append(
                (what, name, own, float(np.mean(further)), min(further), max(further),
                 None if draws is found[0] else f"{apart[0]:+.3f}",
                 None if draws is found[0] else f"{np.mean(apart[1:]):+.3f}")
            )  # fmt: skip
    head = [
        "figure",
        "model",
        "the card's",
        "further, mean",
        "least",
        "most",
        "apart, the card's",
        "apart, further",
    ]
    return table(head, rows)


def load_model(path: Path) -> Model:
    """A model file of this recipe.

    Raises:
        UsageError: it is none.
        ModelError: it cannot be read.
    """
    model = Model.load(path, provider="cpu")
    if model.card.features != FEATURES or model.card.labels != KINDS:
        raise UsageError(f"{path}: not a model of this recipe; its features or labels are others")
    return model


def _all(draws: int) -> list[StreamSet]:
    return [draw_of(each.name, draw) for each in VALIDATION_SETS for draw in range(draws + 1)]


def _figures(model: Model, cache: Path, side: str, draw: int) -> dict[str, float]:
    """F1 by class at the card's thresholds; false speech events an hour; the median delay of speech."""
    rules, delay = model.card.detector, model.card.delay
    mixed, no_speech = (load_set(cache, draw_of(name, draw)) for name in (side, f"{side}-no-speech"))
    probs = model_probs(model, mixed)
    thresholds = [rules.rule(kind).threshold for kind in KINDS]
    frames = with_silence(*in_cells(probs, mixed, FEATURES, delay), thresholds)
    speech, without = (
        event_figures(predictions(scores, data, rules, FEATURES, delay), ("speech",))["classes"]["speech"]
        for scores, data in ((probs, mixed), (model_probs(model, no_speech), no_speech))
    )
    return {
        **{f"{name} F1": frames[name]["f1"] for name in NAMES},
        **{f"{kind} AUC": _or_nan(frames[kind]["roc_auc"]) for kind in KINDS},
        "false speech an hour": without["false_alarms_per_hour"],
        "speech missed": speech["missed_share"],
        "delay of speech, s": _or_nan(speech["median_delay_seconds"]),
    }


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


if __name__ == "__main__":
    sys.exit(main())
