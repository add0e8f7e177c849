"""Depthwise-separable convolution over time: each channel by itself, then all of a frame are mixed."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from export.models.layers import CausalConv, Layer, State


class SeparableBlock(Layer):
    """Dilated causal depthwise convolution, batch norm, ReLU, a mixing matrix, plus the input.

    (N, T, channels) -> the same. Of a full convolution's kernel * channels products a value it needs
    kernel + channels.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = CausalConv(channels, channels, kernel, dilation=dilation, groups=channels, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.point = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        y, state = self.conv(x, state)
        y = functional.relu(self.norm(y.transpose(1, 2)).transpose(1, 2))
        return functional.relu(x + self.point(self.dropout(y))), state
