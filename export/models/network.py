"""FrameClassifier: normalisation, a row of causal layers, a linear head."""

from __future__ import annotations

from torch import Tensor, nn

from export.models.config import ModelConfig
from export.models.layers import (
    Bands,
    CausalConv,
    ConvFront,
    Layer,
    LevelAdaptation,
    Normalise,
    Recurrent,
    ResidualBlock,
    State,
    TimeConvBlock,
    TimeFrequencyBlock,
)
from export.models.linear_attention import LinearAttentionBlock
from export.models.separable import SeparableBlock


class FrameClassifier(nn.Module):
    """Features (N, T, F) float32 -> logits (N, T // stride, C) float32, causal, and the state to go on from.

    Attributes:
        config: the shape it was built from; call ``fit`` before training.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.normalise = Normalise(config.features)
        self.layers = nn.ModuleList(_layers(config))
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, config.classes)

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Set what depends on the features' statistics, each (F,) float32: normalisation, and bands if it has them."""
        self.normalise.fit(mean, std)
        for layer in self.layers:
            if isinstance(layer, Bands):
                layer.fit(std)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """A sequence from its beginning, or, with the state returned for the piece before, a further piece of it.

        Args:
            x: (N, T, F) float32. T must be a multiple of the stride if another piece follows.
            state: None at the beginning of a sequence.

        Returns:
            Logits (N, T // stride, C) float32, and the state to pass with the next piece.
        """
        before = state if isinstance(state, tuple) else (None,) * len(self.layers)
        after: list[State] = []
        x = self.normalise(x)
        for layer, part in zip(self.layers, before, strict=True):
            x, part = layer(x, part)
            after.append(part)
        return self.head(self.dropout(x)), tuple(after)

    @property
    def receptive_field(self) -> int | None:
        """Feature frames that can influence a row of logits; None = all earlier ones."""
        frames, scale = 1, 1
        for module in self.modules():
            if isinstance(module, (Recurrent, LinearAttentionBlock, LevelAdaptation)):
                return None
            if isinstance(module, (CausalConv, TimeFrequencyBlock)):
                step = module.conv.stride[0]
                frames += (module.past + step - 1) * scale
                scale *= step
        return frames


def build(config: ModelConfig) -> FrameClassifier:
    """A network with fresh weights (drawn from torch's global generator)."""
    return FrameClassifier(config)


def count_parameters(module: nn.Module) -> int:
    """Learnt numbers in a module."""
    return sum(p.numel() for p in module.parameters())


def _layers(config: ModelConfig) -> list[Layer]:
    rows: list[Layer] = []
    width = config.features
    if config.level_memory:
        rows.append(LevelAdaptation(width, config.level_memory, first=config.bands))
    if config.bands:
        rows.append(Bands(width))
    if config.front or (config.stride > 1 and not config.halving):
        rows.append(ConvFront(width, config.hidden, max(config.front, config.stride), config.stride))
        width = config.hidden
    if config.arch == "dstcn" or (config.arch == "crnn" and config.axes == "time-frequency"):
        width = _add_planes(rows, width, config)
    elif config.arch == "crnn":
        for _ in range(config.conv_layers):
            rows.append(TimeConvBlock(width, config.channels, config.kernel, config.dropout))
            width = config.channels
    if config.arch == "tcn" or config.arch == "dstcn":
        block = SeparableBlock if config.arch == "dstcn" else ResidualBlock
        rows.append(ConvFront(width, config.hidden, 1, 1))
        rows += [block(config.hidden, config.kernel, 2**i, config.dropout) for i in range(config.layers)]
    elif config.arch == "gla":
        if len(rows) == int(config.bands) + bool(config.level_memory):
            rows.append(ConvFront(width, config.hidden, 1, 1))
        rows += [
            LinearAttentionBlock(config.hidden, config.heads, config.dropout) for _ in range(config.layers)
        ]
    else:
        cell = config.cell if config.arch == "crnn" else config.arch
        rows.append(Recurrent(cell, width, config.hidden, config.layers, config.dropout))
    return rows


def _add_planes(rows: list[Layer], width: int, config: ModelConfig) -> int:
    """Append the convolutions over time and frequency; returns the width of what they give."""
    inputs = 1
    for i in range(config.conv_layers):
        bins = width // inputs
        step = 2 if config.halving and 2**i < config.stride else 1
        rows.append(
            TimeFrequencyBlock(
                inputs, bins, config.channels, config.kernel, config.dropout, step, config.norm,
                separable=config.arch == "dstcn" and i > 0,
            )
        )  # fmt: skip
        inputs, width = config.channels, config.channels * ((bins + 1) // 2)
    return width
