"""Gated linear attention: attention over all earlier frames in a state of fixed size (Yang et al., "Gated Linear
Attention Transformers with Hardware-Efficient Training", ICML 2024, in its recurrent form).

For each head a matrix S holds what was heard: values, found again by their keys. At every frame it fades, by a gate
for each key, and the frame's value is added::

    S[t] = g[t] * S[t - 1] + k[t] outer v[t]        o[t] = q[t] @ S[t]
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.models.layers import Layer, State

FIRST_MEMORIES = 4.0, 400.0  # frames: time constants of the gates at first, spread evenly in their logarithm
LARGEST_GATE = 1 - 1 / 1000  # a gate that never closed would remember the start of a stream for hours


class GatedLinearAttention(Layer):
    """(N, T, width) -> (N, T, width); state (N, heads, width / heads / 2, width / heads): keys half as wide as values.

    The frames are walked one by one, in training too, for a step is one multiplication and addition.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        keys = width // 2
        self.query, self.key = nn.Linear(width, keys), nn.Linear(width, keys)
        self.value, self.keep = nn.Linear(width, width), nn.Linear(width, keys)
        self.norm = nn.LayerNorm(width // heads, eps=1e-3)
        self.gate, self.out = nn.Linear(width, width), nn.Linear(width, width)
        with torch.no_grad():
            shortest, longest = (math.log10(frames) for frames in FIRST_MEMORIES)
            frames = torch.logspace(shortest, longest, keys // heads)
            self.keep.bias.copy_(torch.log(frames - 1).repeat(heads))

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        query, key, value = (self._by_head(part(x)) for part in (self.query, self.key, self.value))
        kept = self._by_head(torch.sigmoid(self.keep(x)) * LARGEST_GATE)
        added = key.unsqueeze(-1) * value.unsqueeze(-2)
        memory = torch.zeros_like(added[:, 0]) if state is None else cast(Tensor, state)
        memories = []
        for gate, more in zip(kept.unsqueeze(-1).unbind(1), added.unbind(1), strict=True):
            memory = gate * memory + more
            memories.append(memory)
        found = (query.unsqueeze(-1) * torch.stack(memories, 1)).sum(-2)
        return self.out(self.norm(found).flatten(2) * functional.silu(self.gate(x))), memory

    def _by_head(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], -1, self.heads, x.shape[2] // self.heads)


class LinearAttentionBlock(Layer):
    """Gated linear attention, then a hidden layer of twice the width, each normalised before and added to its input."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = GatedLinearAttention(width, heads)
        self.wide, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        y, state = self.attention(self.before(x), state)
        x = x + self.dropout(y)
        y = self.narrow(functional.silu(self.wide(self.between(x))))
        return x + self.dropout(y), state
