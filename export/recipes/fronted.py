"""A network behind YAMNet, trained on what little there is: what ``export.recipes.urban --front`` does."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import torch

from export.augment import Augment
from export.data.recording import Dataset
from export.models import FrameClassifier, build, preset
from export.recipes.yamnet import SPEC, STRIDE, WIDTH, Fronted, Yamnet
from export.training import FitConfig, Report, TrainConfig, fit
from export.training.pipeline import batches, fit_settings, measure, passes
from export.training.prepare import Progress, prepare
from export.training.streams import Source, StreamPlan

SHAPE: dict[str, Any] = {"hidden": 96, "layers": 1, "dropout": 0.3}
CHANGES: dict[str, dict[str, Any]] = {
    "rnn": SHAPE,
    "lstm": SHAPE,
    "gru": SHAPE,
    "tcn": {**SHAPE, "layers": 2},
    "crnn": {**SHAPE, "channels": 96, "conv_layers": 1, "kernel": 3},
}
DROPOUT = 0.5  # of embeddings: no class may hang on a few of them


def settings(data: Path, model: str) -> TrainConfig:
    """Behind embeddings that tell sounds apart, little is left to learn: few steps, much variety."""
    return TrainConfig(
        data=str(data),
        model=model,
        features=SPEC,
        fit=FitConfig(epochs=1, average=0.98, learning_rate=2e-3, weight_decay=0.05, warmup=0.1),
        augment=Augment(
            gain=6, tilt=2, warp=0.05, under=0.4, snr=(3, 25), time_mask=0.2, mask_frames=25, band_mask=0.2
        ),
        streams=StreamPlan(rows=32, frames=2 * STRIDE, even=0.5),
        where="all",
        steps=300,
        validation=0,
        test=0,
    )


def train_behind(
    front: Yamnet,
    config: TrainConfig,
    data: Dataset,
    report: Report | None = None,
    progress: Progress | None = None,
) -> tuple[Fronted, dict[str, float]]:
    """A network of ``config.model`` behind ``front``, and its figures on the test part of ``data``."""
    ready = prepare(config, data, progress)
    for source in (ready.train, ready.test):
        if source is not None:
            source.stride = STRIDE
    fitting = fit_settings(config, ready)
    torch.manual_seed(fitting.seed)
    shape = preset(config.model, features=WIDTH, classes=len(ready.data.labels), **CHANGES[config.model])
    network = build(shape)
    scale(network, front, ready.train)
    model = Fronted(front, network, DROPOUT)
    lessons = batches(ready.train, passes(ready.train, config.steps, fitting.epochs))
    fit(model, lessons, fitting, report=report)
    return model, measure(model, ready)


def scale(network: FrameClassifier, front: Yamnet, source: Source, count: int = 20) -> None:
    """Let ``network`` expect what ``front`` says about ``count`` batches of ``source``."""
    some = islice(iter(batches(source)(0)), count)
    heard = torch.cat([front(batch.features).flatten(0, 1) for batch in some])
    network.normalise.fit(heard.mean(0), heard.std(0))
