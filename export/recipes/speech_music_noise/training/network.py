"""Train one network of the recipe on composed streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.metrics import frame_figures
from export.models import FrameClassifier, ModelConfig, build
from export.models.checkpoint import read_safely
from export.recipes.speech_music_noise.sources.rules import KINDS
from export.recipes.speech_music_noise.training.predictions import Probs, in_cells
from export.recipes.speech_music_noise.training.streams import ComposedStreams
from export.training import Curriculum, FitConfig, FitResult, Report, fit
from export.training.loop import FORMAT, SCHEMA
from stream.features.spec import FeatureSpec


def network_probs(model: nn.Module, data: ComposedStreams, chunk: int = 1000) -> Probs:
    """(S, T, 3) float32 probabilities, every stream from its beginning with carried state."""
    parts, state = [], None
    with torch.no_grad():
        for start in range(0, data.features.shape[1], chunk):
            piece = torch.from_numpy(data.features[:, start : start + chunk].astype(np.float32))
            logits, state = model(piece, state)
            parts.append(torch.sigmoid(logits).numpy())
    return np.concatenate(parts, axis=1)


def validator(
    plain: ComposedStreams,
    hard: ComposedStreams,
    spec: FeatureSpec,
    delay: int,
    cases: Sequence[ComposedStreams] = (),
) -> Callable[[nn.Module], dict[str, float]]:
    """A validation callback: F1 at the best threshold and AUC by class, on plain, hard and all cases together.

    "score" is the mean of all of them.
    """
    parts = {"plain": [plain], "hard": [hard], "cases": list(cases)}

    def on(sets: Sequence[ComposedStreams], model: nn.Module) -> dict[str, float]:
        judged = [in_cells(network_probs(model, data), data, spec, delay) for data in sets]
        probs, truth = (np.concatenate(column) for column in zip(*judged, strict=True))
        classes = frame_figures(probs, truth, KINDS)["classes"]
        return {
            f"{kind}_{short}": classes[kind][name]
            for kind in KINDS
            for short, name in (("f1", "f1"), ("auc", "roc_auc"))
            if classes[kind][name] is not None  # of a class that never sounds there is no AUC
        }

    def validate(model: nn.Module) -> dict[str, float]:
        out = {
            f"{where}_{name}": value
            for where, sets in parts.items()
            if sets
            for name, value in on(sets, model).items()
        }
        return {**out, "score": float(np.mean(list(out.values())))}

    return validate


def teacher_targets(teachers: Sequence[nn.Module], data: ComposedStreams, file: Path) -> NDArray[np.float16]:
    """(S, T, 3) float16 probabilities whose logits are the mean of the teachers'; kept in ``file``."""
    if file.is_file():
        found: NDArray[np.float16] = np.load(file, mmap_mode="r")
        return found
    total = np.zeros(data.labels.shape)
    for teacher in teachers:
        probs = np.clip(network_probs(teacher, data).astype(np.float64), 1e-6, 1 - 1e-6)
        total += np.log(probs / (1 - probs))
    targets: NDArray[np.float16] = (1 / (1 + np.exp(-total / len(teachers)))).astype(np.float16)
    part = file.with_suffix(".part.npy")
    np.save(part, targets)
    part.rename(file)
    return targets


def new_network(config: ModelConfig, data: ComposedStreams, seed: int) -> FrameClassifier:
    """An untrained network that normalises features by the statistics of ``data``."""
    torch.manual_seed(seed)
    model = build(config)
    mean, std = data.statistics
    model.fit(torch.from_numpy(mean), torch.from_numpy(std))
    return model


def train(
    model: FrameClassifier,
    curriculum: Curriculum,
    validate: Callable[[nn.Module], dict[str, float]],
    fitting: FitConfig,
    *,
    folder: Path | None = None,
    report: Report | None = None,
) -> FitResult:
    """Train ``model`` and leave in it the weights of the best epoch by ``validate``.

    A run that was interrupted continues from ``folder``.
    """
    # Rare classes weigh more, so that none is learnt by never predicting it.
    share = curriculum.parts[0].labels[:, ::50].reshape(-1, len(KINDS)).mean(axis=0)
    weight = torch.from_numpy((0.5 / np.maximum(share, 0.05)) ** 0.5).float()
    return fit(
        model,
        curriculum,
        fitting,
        validate=validate,
        folder=folder,
        resume=True,
        class_weight=weight,
        report=report,
    )


def average_best_and_last(model: nn.Module, folder: Path) -> None:
    """Give ``model`` the mean of the weights that the run in ``folder`` had at its best and after its last pass."""
    run = read_safely(folder / "last.pt", FORMAT, SCHEMA)
    best, last = run["best_weights"], run["averaged"]
    model.load_state_dict(between(best, last, 0.5))


def between(
    start: Mapping[str, torch.Tensor], end: Mapping[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """Weights ``share`` of the way from one state dict to another; what is no floating point number is the end's."""
    return {
        name: start[name] + share * (value - start[name]) if value.is_floating_point() else value
        for name, value in end.items()
    }
