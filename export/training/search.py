"""search(): the choice of hidden units, layers and any other setting by grouped cross-validation.

Only recordings for training and validation take part, in folds that never divide a speaker or source; the test
split stays unseen. Each candidate is trained once per fold and scored with carried state; its cost is measured
on the exported graph, frame by frame, as in a live stream.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from rich.table import Table

from export.data.folds import grouped_folds
from export.data.recording import Dataset
from export.models import FrameClassifier, count_parameters
from export.training import TrainConfig, TrainResult, train
from export.training.opening import open_data
from export.training.settings import change
from stream.errors import DataError, SpecError
from stream.inference.session import Model


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One combination of settings and its results.

    Attributes:
        settings: name -> value, as text.
        scores: the monitored figure of each fold.
        mean, spread: of the scores; spread is the standard deviation (0 with one fold).
        parameters: number of learnt values.
        microseconds: median time of one frame through the exported graph on one core.
    """

    settings: dict[str, str]
    scores: tuple[float, ...]
    mean: float
    spread: float
    parameters: int
    microseconds: float


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """All candidates, best first; ``figure`` is what was compared."""

    figure: str
    folds: int
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        return self.candidates[0]

    def table(self) -> Table:
        """For the terminal."""
        table = Table(
            "setting", self.figure, "spread", "parameters", "µs per frame", title=f"{self.folds} folds"
        )
        for row in self.candidates:
            named = "  ".join(f"{name}={value}" for name, value in row.settings.items())
            table.add_row(
                named,
                f"{row.mean:.4f}",
                f"{row.spread:.4f}",
                f"{row.parameters:,}",
                f"{row.microseconds:.1f}",
            )
        return table


def search(
    config: TrainConfig,
    grid: Mapping[str, Sequence[str]],
    *,
    folds: int = 5,
    progress: Callable[[dict[str, str], int, float], None] | None = None,
) -> SearchResult:
    """Train every combination on every fold.

    Args:
        config: what all candidates share.
        grid: setting name (see ``export.training.settings``) -> values.
        folds: at least 2.
        progress: called after each training with settings, fold and score.

    Raises:
        DataError: fewer groups than folds, or a class that a fold's training part lacks.
        SpecError: an unknown setting or a bad value.
    """
    if folds < 2:
        raise SpecError(f"folds {folds}: must be at least 2")
    combinations = [
        dict(zip(grid, values, strict=True)) for values in itertools.product(*(grid[name] for name in grid))
    ]
    configs = [change(config, settings) for settings in combinations]
    parts = folded(open_data(config), folds)
    figure, found = "", []
    for settings, each in zip(combinations, configs, strict=True):
        scores, result = [], None
        for fold, data in enumerate(parts):
            result = train(each, data=data)
            figure = "accuracy" if "validation_accuracy" in result.figures else "f1"
            scores.append(result.figures[f"validation_{figure}"])
            if progress is not None:
                progress(settings, fold, scores[-1])
        found.append(_candidate(settings, scores, result))
    found.sort(key=lambda candidate: (-candidate.mean, candidate.parameters))
    return SearchResult(figure=figure, folds=folds, candidates=tuple(found))


def folded(data: Dataset, folds: int) -> list[Dataset]:
    """The data set once for each fold, that fold as validation, the test split left out."""
    recordings = [r for r in data.recordings if r.split != "test"]
    groups = {r.group for r in recordings}
    if len(groups) < folds:
        raise DataError(
            f"{data.root}: {len(groups)} speakers or sources cannot make {folds} folds; use fewer --folds"
        )
    numbers = grouped_folds(recordings, folds)
    return [
        replace(
            data,
            recordings=tuple(
                replace(r, split="validation" if number == fold else "train")
                for r, number in zip(recordings, numbers, strict=True)
            ),
        )
        for fold in range(folds)
    ]


def microseconds_per_frame(model: FrameClassifier, result: TrainResult, frames: int = 2000) -> float:
    """Median time of one live step (N = 1, T = stride) of the exported graph, per feature frame."""
    from export.conversion.onnx_export import to_onnx

    stride, width = model.config.stride, model.config.features
    example = torch.zeros(2, 64 * stride, width)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        to_onnx(model, path, result.card, example)
        runner = Model.load(path, provider="cpu")
        state = runner.initial_state()
        frame = np.zeros((1, stride, width), np.float32)
        took = []
        for _ in range(frames // stride):
            began = time.perf_counter()
            _, state = runner.step(frame, state)
            took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e6 / stride


def _candidate(settings: dict[str, str], scores: list[float], result: TrainResult | None) -> Candidate:
    assert result is not None  # folds >= 2
    return Candidate(
        settings=settings,
        scores=tuple(scores),
        mean=statistics.mean(scores),
        spread=statistics.stdev(scores),
        parameters=count_parameters(result.model),
        microseconds=microseconds_per_frame(result.model, result),
    )
