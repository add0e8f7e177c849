"""A network behind a front, one that others trained on far more sound: little is left for ours to learn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import torch
from torch import Tensor, nn

from export.data.recording import Dataset
from export.models import FrameClassifier, build, preset
from export.models.layers import Layer, State
from export.training import Report, TrainConfig, fit
from export.training.pipeline import batches, fit_settings, make_card, measure, passes
from export.training.prepare import Progress, prepare
from export.training.run_folder import origin
from export.training.sampler import Sampler
from stream.features.spec import MfccSpec
from stream.inference.card import ModelCard


class Front(Layer):
    """Features of ``spec`` (N, T, F) -> (N, T // stride, width).

    Attributes:
        spec: what it hears.
        stride: frames between its answers.
        width: numbers in an answer.
    """

    spec: ClassVar[MfccSpec]
    stride: ClassVar[int]
    width: ClassVar[int]


class Fronted(nn.Module):
    """A front, and a network of ours that hears its answers: features (N, T, F) -> logits (N, T // stride, C)."""

    def __init__(self, front: Front, network: FrameClassifier, dropout: float) -> None:
        super().__init__()
        self.front, self.network = front, network
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        past = state if isinstance(state, tuple) else (None, None)
        y, heard = self.front(x, past[0])
        y, answered = self.network(self.dropout(y), past[1])
        return y, (heard, answered)


@dataclass(frozen=True, slots=True)
class Behind:
    """What ``train_behind`` made.

    Attributes:
        model: trained.
        card: as ``to_onnx`` takes it.
        figures: of the test part, with carried state and, as ``*_alone``, clip by clip.
    """

    model: Fronted
    card: ModelCard
    figures: dict[str, float]


def train_behind(
    front: Front,
    config: TrainConfig,
    data: Dataset,
    dropout: float,
    report: Report | None = None,
    progress: Progress | None = None,
) -> Behind:
    """Train the network of ``config`` behind ``front``; ``config.features`` are the front's.

    Args:
        data: split.
        dropout: share of the front's answers left out in training: no class may hang on a few of them.
    """
    ready = prepare(config, data, progress)
    for source in (ready.train, ready.test):
        if source is not None:
            source.stride = front.stride
    fitting = fit_settings(config, ready)
    torch.manual_seed(fitting.seed)
    classes = len(ready.data.labels)
    network = build(preset(config.model, features=front.width, classes=classes, **config.model_changes))
    scale(network, front, ready.train)
    model = Fronted(front, network, dropout)
    lessons = batches(ready.train, passes(ready.train, config.steps, fitting.epochs))
    fit(model, lessons, fitting, report=report)
    figures = measure(model, ready)
    card = make_card(config, ready, network, figures, origin(config, ready.data.digest()), None)
    return Behind(model, card, figures)


def scale(network: FrameClassifier, front: Front, source: Sampler, count: int = 20) -> None:
    """Let ``network`` expect what ``front`` says about ``count`` batches of ``source``."""
    some = islice(iter(batches(source)(0)), count)
    heard = torch.cat([front(batch.features)[0].flatten(0, 1) for batch in some])
    network.fit(heard.mean(0), heard.std(0))
