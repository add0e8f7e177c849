"""A network on the embeddings of another that was trained on far more sound: little is left for ours to learn."""

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
from export.training.fitting import batches, fit_settings, passes
from export.training.measuring import measure
from export.training.pipeline import make_card
from export.training.prepare import Progress, prepare
from export.training.run_folder import origin
from export.training.sampler import Sampler
from stream.features.spec import FeatureSpec
from stream.inference.card import ModelCard


class Embedding(Layer):
    """Features of ``spec`` (N, T, F) -> (N, T // stride, width).

    Attributes:
        spec: its features.
        stride: frames between its embeddings.
        width: numbers in an embedding.
    """

    spec: ClassVar[FeatureSpec]
    stride: ClassVar[int]
    width: ClassVar[int]


class EmbeddingClassifier(nn.Module):
    """Embeddings, and a network of ours on them: features (N, T, F) -> logits (N, T // stride, C)."""

    def __init__(self, embedding: Embedding, network: FrameClassifier, dropout: float) -> None:
        super().__init__()
        self.embedding, self.network = embedding, network
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        past = state if isinstance(state, tuple) else (None, None)
        y, embedding_state = self.embedding(x, past[0])
        y, network_state = self.network(self.dropout(y), past[1])
        return y, (embedding_state, network_state)


@dataclass(frozen=True, slots=True)
class TrainedOnEmbeddings:
    """What ``train_on_embeddings`` made.

    Attributes:
        model: trained.
        card: as ``to_onnx`` takes it.
        figures: of the test part, with carried state and, as ``*_alone``, clip by clip.
    """

    model: EmbeddingClassifier
    card: ModelCard
    figures: dict[str, float]


def train_on_embeddings(
    embedding: Embedding,
    config: TrainConfig,
    data: Dataset,
    dropout: float,
    report: Report | None = None,
    progress: Progress | None = None,
) -> TrainedOnEmbeddings:
    """Train the network of ``config`` on ``embedding``; ``config.features`` are those of the embedding.

    Args:
        data: split.
        dropout: share of each embedding left out in training: no class may depend on a few of its numbers.
    """
    ready = prepare(config, data, progress)
    for source in (ready.train, ready.test):
        if source is not None:
            source.stride = embedding.stride
    fitting = fit_settings(config, ready)
    torch.manual_seed(fitting.seed)
    classes = len(ready.data.labels)
    network = build(preset(config.model, features=embedding.width, classes=classes, **config.model_changes))
    fit_scale(network, embedding, ready.train)
    model = EmbeddingClassifier(embedding, network, dropout)
    training = batches(ready.train, passes(ready.train, config.steps, fitting.epochs))
    fit(model, training, fitting, report=report)
    figures = measure(model, ready.test, None, "test")
    card = make_card(config, ready, network, figures, origin(config, ready.data.digest()), None)
    return TrainedOnEmbeddings(model, card, figures)


def fit_scale(network: FrameClassifier, embedding: Embedding, source: Sampler, count: int = 20) -> None:
    """Normalise the input of ``network`` by the embeddings of ``count`` batches of ``source``."""
    some = islice(iter(batches(source)(0)), count)
    embeddings = torch.cat([embedding(batch.features)[0].flatten(0, 1) for batch in some])
    network.fit(embeddings.mean(0), embeddings.std(0))
