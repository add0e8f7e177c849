"""Train one network of the recipe on composed streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.models import FrameClassifier, ModelConfig, build
from export.models.checkpoint import read_safely
from export.recipes.rooms.lessons.dataset import Programme, Streams
from export.recipes.rooms.lessons.figures import Probs, frame_figures, on_grid
from export.recipes.rooms.sources.rules import KINDS
from export.training import FitConfig, FitResult, Report, fit
from export.training.loop import FORMAT, SCHEMA
from stream.features.spec import MfccSpec


def scores(model: nn.Module, data: Streams, chunk: int = 1000) -> Probs:
    """(S, T, 3) float32 probabilities, every stream from its beginning with carried state."""
    parts, state = [], None
    with torch.no_grad():
        for start in range(0, data.features.shape[1], chunk):
            piece = torch.from_numpy(data.features[:, start : start + chunk].astype(np.float32))
            logits, state = model(piece, state)
            parts.append(torch.sigmoid(logits).numpy())
    return np.concatenate(parts, axis=1)


def judged(
    plain: Streams, hard: Streams, spec: MfccSpec, delay: int
) -> Callable[[nn.Module], dict[str, float]]:
    """A validation callback: F1 at the best threshold and AUC by class, on both; "score" is the mean of all twelve."""

    def on(data: Streams, model: nn.Module) -> dict[str, float]:
        truth = data.active.reshape(-1, len(KINDS)).astype(bool)
        probs = on_grid(scores(model, data), data.active.shape[1], spec, delay).reshape(-1, len(KINDS))
        found = frame_figures(probs, truth)
        return {f"{kind}_{name}": found[kind][name] for kind in KINDS for name in ("f1", "auc")}

    def figures(model: nn.Module) -> dict[str, float]:
        out = {
            f"{where}_{name}": value
            for where, data in (("plain", plain), ("hard", hard))
            for name, value in on(data, model).items()
        }
        return {**out, "score": float(np.mean(list(out.values())))}

    return figures


def opinion(models: Sequence[nn.Module], data: Streams, kept: Path) -> NDArray[np.float16]:
    """(S, T, 3) float16 probabilities whose logits are the mean of the models'; kept in a file."""
    if kept.is_file():
        found: NDArray[np.float16] = np.load(kept, mmap_mode="r")
        return found
    total = np.zeros(data.labels.shape)
    for model in models:
        sure = np.clip(scores(model, data).astype(np.float64), 1e-6, 1 - 1e-6)
        total += np.log(sure / (1 - sure))
    probs = (1 / (1 + np.exp(-total / len(models)))).astype(np.float16)
    fresh_file = kept.with_suffix(".part.npy")
    np.save(fresh_file, probs)
    fresh_file.rename(kept)
    return probs


def fresh(config: ModelConfig, data: Streams, seed: int) -> FrameClassifier:
    """An untrained network that normalises features by the statistics of ``data``."""
    torch.manual_seed(seed)
    model = build(config)
    mean, std = data.statistics
    model.fit(torch.from_numpy(mean), torch.from_numpy(std))
    return model


def train(
    model: FrameClassifier,
    data: Programme,
    validate: Callable[[nn.Module], dict[str, float]],
    fitting: FitConfig,
    *,
    folder: Path | None = None,
    report: Report | None = None,
) -> FitResult:
    """Train ``model`` on ``data`` and leave in it the weights of the best epoch by ``validate``.

    A run that was interrupted goes on from ``folder``.
    """
    # Rare classes weigh more, so that none is learnt by never naming it.
    share = data.lists[0].data.labels[:, ::50].reshape(-1, len(KINDS)).mean(axis=0)
    weight = torch.from_numpy((0.5 / np.maximum(share, 0.05)) ** 0.5).float()
    return fit(
        model,
        data,
        fitting,
        validate=validate,
        folder=folder,
        resume=True,
        class_weight=weight,
        report=report,
    )


def settle(model: nn.Module, folder: Path) -> None:
    """Give ``model`` the mean of the weights that the run in ``folder`` had at its best and after its last pass."""
    run = read_safely(folder / "last.pt", FORMAT, SCHEMA)
    best, last = run["best_weights"], run["averaged"]
    model.load_state_dict(
        {
            name: (value + last[name]) / 2 if value.is_floating_point() else value
            for name, value in best.items()
        }
    )
