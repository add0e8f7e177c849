"""Model files on further draws of the validation: ``python -m export.recipes.speech_music_noise.release.draws a.onnx b.onnx``.

A card's figures are for the streams on which its thresholds and rules were chosen. Here more are composed of the same
recordings, from other seeds, on which nothing was chosen: how far figures of so many minutes swing by themselves, what
was flattery, and whether two models (a bundled one and the recipe run again) differ by more than that.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from export.recipes.speech_music_noise.parallel import at_once
from export.recipes.speech_music_noise.training.figures import detect, event_figures, frame_figures, on_grid
from export.recipes.speech_music_noise.training.data import TRIALS, Order, compose_streams, streams
from export.recipes.speech_music_noise.settings import FEATURES
from export.recipes.speech_music_noise.release.report import model_scores
from export.recipes.speech_music_noise.release.tables import table
from export.recipes.speech_music_noise.sources.rules import KINDS
from stream.errors import StreamClassifyError, UsageError
from stream.inference.session import Model

NAMES = (*KINDS, "silence")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m export.recipes.speech_music_noise.release.draws", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("models", type=Path, nargs="+", help="model files of the recipe")
    parser.add_argument("--cache", type=Path, default=Path("runs/rooms"), help="the recipe's, with its banks")
    parser.add_argument("--draws", type=int, default=4, help="further ones, beside the cards' own")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes at once")
    given = parser.parse_args()
    for name in ("draws", "jobs"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} {getattr(given, name)}: at least 1")
    try:
        models = [_load(path) for path in given.models]
        for order in at_once(
            given.jobs, compose_streams, [(given.cache, order) for order in _all(given.draws)]
        ):
            print(f"composed {order.name}", file=sys.stderr, flush=True)
        for trial in ("plain", "hard"):
            found = [
                [_figures(model, given.cache, trial, draw) for draw in range(given.draws + 1)]
                for model in models
            ]
            print(f"\n{trial}, {given.draws} further draws\n")
            print(compared([str(path) for path in given.models], found), flush=True)
    except StreamClassifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def order_of(name: str, draw: int) -> Order:
    """The order of a trial's set; draw 0 is the one the cards are about."""
    order = next(order for order in TRIALS if order.name == name)
    return replace(order, name=f"{name}-draw-{draw}", seed=order.seed + 1000 * draw) if draw else order


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


def _load(path: Path) -> Model:
    model = Model.load(path, provider="cpu")
    if model.card.features != FEATURES or model.card.labels != KINDS:
        raise UsageError(f"{path}: not a model of this recipe; its features or labels are others")
    return model


def _all(draws: int) -> list[Order]:
    return [order_of(order.name, draw) for order in TRIALS for draw in range(draws + 1)]


def _figures(model: Model, cache: Path, trial: str, draw: int) -> dict[str, float]:
    """F1 by class at the card's thresholds; false speech events an hour; the median onset delay of speech."""
    rules, delay = model.card.detector, model.card.delay
    mixed, quiet = (streams(cache, order_of(name, draw)) for name in (trial, f"{trial}-quiet"))
    active = mixed.active.astype(bool)
    probs = model_scores(model, mixed)
    graded = on_grid(probs, active.shape[1], FEATURES, delay).reshape(-1, len(KINDS))
    frames = frame_figures(
        graded, active.reshape(-1, len(KINDS)), [rules.rule(kind).threshold for kind in KINDS]
    )

    def speech(scores: np.ndarray, true: np.ndarray) -> dict[str, float]:
        return event_figures([detect(stream, rules, FEATURES, delay) for stream in scores], true, "speech")

    heard, still = speech(probs, active), speech(model_scores(model, quiet), quiet.active.astype(bool))
    return {
        **{f"{name} F1": frames[name]["f1"] for name in NAMES},
        **{f"{kind} AUC": _or_nan(frames[kind]["auc"]) for kind in KINDS},
        "false speech an hour": still["false_per_hour"],
        "speech missed": heard["missed_share"],
        "onset delay of speech, s": heard["onset_delay_median_s"],
    }


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


if __name__ == "__main__":
    sys.exit(main())
