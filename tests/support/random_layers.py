"""Layers for random networks: each is causal, made in one of the ways people make it.

A new kind is one class and one line in ``LAYERS``.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.random_windows import WINDOWS

Made = tuple[nn.Module, int]


class Causal(nn.Module):
    """A convolution over time made causal in one of the ways people do it."""

    def __init__(self, r: random.Random, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.style = r.choice(("pad", "chomp", "concat"))
        kernel, dilation = r.randint(1 if stride == 1 else stride, 5), r.choice((1, 1, 2, 3))
        groups = width if r.random() < 0.2 and out % width == 0 else 1
        self.reach = (kernel - 1) * dilation
        if stride > 1:
            self.style = r.choice(("pad", "concat"))
        self.conv = nn.Conv1d(
            width,
            out,
            kernel,
            stride=stride,
            dilation=dilation,
            groups=groups,
            bias=r.random() < 0.7,
            padding=self.reach if self.style == "chomp" else 0,
        )
        self.late = r.randint(0, stride - 1)  # frames of a stride that the padding leaves to the next step

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        if self.style == "chomp":
            return self.conv(x)[:, :, : x.shape[2]].transpose(1, 2)
        pad = max(self.reach - self.late, 0)
        if self.style == "pad":
            x = functional.pad(x, (pad, 0))
        else:
            x = torch.cat([x.new_zeros(x.shape[0], x.shape[1], pad), x], dim=2)
        return self.conv(x).transpose(1, 2)


class Gated(nn.Module):
    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.conv, self.skip = Causal(r, width, 2 * width, 1), r.random() < 0.5

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.conv(x).chunk(2, dim=2)
        y = torch.tanh(a) * torch.sigmoid(b)
        return x + y if self.skip else y


class Residual(nn.Module):
    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.first, self.second = Causal(r, width, width, 1), Causal(r, width, width, 1)
        self.norm = nn.BatchNorm1d(width) if r.random() < 0.5 else None

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first(x))
        if self.norm is not None:
            y = self.norm(y.transpose(1, 2)).transpose(1, 2)
        return x + self.second(y)


class Cells(nn.Module):
    """RNN, GRU or LSTM in either layout, from zeros or learned values."""

    def __init__(self, r: random.Random, width: int, out: int) -> None:
        super().__init__()
        kind = r.choice((nn.RNN, nn.GRU, nn.LSTM))
        self.first, layers = r.random() < 0.5, r.randint(1, 2)
        self.cells = kind(width, out, layers, batch_first=self.first, bias=r.random() < 0.8)
        self.learned = nn.Parameter(torch.randn(layers, 1, out)) if r.random() < 0.2 else None

    def forward(self, x: Tensor) -> Tensor:
        state = None
        if self.learned is not None:
            state = self.learned.expand(-1, x.shape[0], -1).contiguous()
            state = (state, state) if isinstance(self.cells, nn.LSTM) else state
        x = x if self.first else x.transpose(0, 1)
        y = self.cells(x, state)[0]
        return y if self.first else y.transpose(0, 1)


class Pool(nn.Module):
    def __init__(self, r: random.Random) -> None:
        super().__init__()
        self.kernel = r.randint(2, 3)
        self.whole = r.random() < 0.3
        stride = self.kernel if self.whole else 1
        self.pool = r.choice((nn.AvgPool1d, nn.MaxPool1d))(self.kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        x = x if self.whole else functional.pad(x, (self.kernel - 1, 0))
        return self.pool(x).transpose(1, 2)


class Plane(nn.Module):
    """2-D convolution over time and features, causal in time."""

    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.kernel, self.maps = r.randint(1, 3), 2
        self.conv = nn.Conv2d(1, self.maps, (self.kernel, 3), padding=(0, 1))
        self.back = nn.Linear(self.maps * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(functional.pad(x.unsqueeze(1), (0, 0, self.kernel - 1, 0)))
        return self.back(torch.relu(y).permute(0, 2, 1, 3).flatten(2))


class Dense(nn.Module):
    """A linear layer, sometimes frame by frame through the batch axis."""

    def __init__(self, r: random.Random, width: int, out: int) -> None:
        super().__init__()
        self.linear, self.fold = nn.Linear(width, out), r.random() < 0.4
        self.act = r.choice((torch.relu, torch.tanh, functional.gelu, functional.elu, functional.silu))

    def forward(self, x: Tensor) -> Tensor:
        if not self.fold:
            return self.act(self.linear(x))
        n, t, f = x.shape
        return self.act(self.linear(x.reshape(n * t, f))).reshape(n, t, -1)


class Delta(nn.Module):
    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.shift, self.back = r.randint(1, 3), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        before = functional.pad(x, (0, 0, self.shift, 0))[:, : -self.shift]
        return self.back(torch.cat([x, x - before], dim=2))


class Norm(nn.Module):
    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.layer = r.random() < 0.6
        self.norm = nn.LayerNorm(width) if self.layer else nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x) if self.layer else self.norm(x.transpose(1, 2)).transpose(1, 2)


class Stack(nn.Module):
    """Two frames to one."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1] // 2, 2 * x.shape[2])


class Loop(nn.Module):
    """A cell called frame by frame."""

    def __init__(self, r: random.Random, width: int, out: int) -> None:
        super().__init__()
        self.cell, self.out = r.choice((nn.GRUCell, nn.RNNCell, nn.LSTMCell))(width, out), out
        self.unbound = r.random() < 0.5

    def forward(self, x: Tensor) -> Tensor:
        state, out = None, []
        for frame in x.unbind(1) if self.unbound else (x[:, t] for t in range(x.shape[1])):
            state = self.cell(frame, state)
            out.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(out, 1)


class Repeated(nn.Module):
    """A convolution whose first frame is repeated to the left."""

    def __init__(self, r: random.Random, width: int, out: int) -> None:
        super().__init__()
        self.kernel = r.randint(2, 5)
        self.conv = nn.Conv1d(width, out, self.kernel)

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x.transpose(1, 2), (self.kernel - 1, 0), mode="replicate")
        return self.conv(padded).transpose(1, 2)


class Cumulative(nn.Module):
    """The mean of all frames so far, taken off."""

    def forward(self, x: Tensor) -> Tensor:
        count = torch.arange(1, x.shape[1] + 1).view(1, -1, 1)
        return x - x.cumsum(1) / count


class Up(nn.Module):
    """Twice the features by a transposed convolution within the frame."""

    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(1, 1, (1, 4), (1, 2), (0, 1))
        self.back = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.back(self.conv(x.unsqueeze(1)).squeeze(1))


class Normed(nn.Module):
    """Divided by its own size, with a floor that only silence sees."""

    def __init__(self, r: random.Random) -> None:
        super().__init__()
        self.floor = r.choice((1e-5, 1e-8, 1e-12))

    def forward(self, x: Tensor) -> Tensor:
        return x / (x.abs().mean(2, keepdim=True) + self.floor)


def _strided(r: random.Random, width: int, out: int) -> Made:
    return Causal(r, width, out, r.choice((1, 1, 1, 2))), out


def _stacked(r: random.Random, width: int, out: int) -> Made:
    return (Stack(), 2 * width) if r.random() < 0.4 else (nn.Identity(), width)


# name -> (how often it is drawn, how it is made: (random, width in, a width out) -> (layer, its width out))
LAYERS: dict[str, tuple[int, Callable[[random.Random, int, int], Made]]] = {
    "conv": (4, _strided),
    "gated": (2, lambda r, width, _: (Gated(r, width), width)),
    "residual": (2, lambda r, width, _: (Residual(r, width), width)),
    "cells": (6, lambda r, width, out: (Cells(r, width, out), out)),
    "pool": (2, lambda r, width, _: (Pool(r), width)),
    "plane": (2, lambda r, width, _: (Plane(r, width), width)),
    "dense": (2, lambda r, width, out: (Dense(r, width, out), out)),
    "delta": (2, lambda r, width, _: (Delta(r, width), width)),
    "norm": (2, lambda r, width, _: (Norm(r, width), width)),
    "stack": (2, _stacked),
    **{layer.__name__: (1, lambda r, width, _, layer=layer: (layer(r, width), width)) for layer in WINDOWS},
    "repeated": (1, lambda r, width, out: (Repeated(r, width, out), out)),
    "cumulative": (1, lambda r, width, _: (Cumulative(), width)),
    "up": (1, lambda r, width, _: (Up(r, width), width)),
    "normed": (1, lambda r, width, _: (Normed(r), width)),
    "loop": (1, lambda r, width, out: (Loop(r, width, out), out)),
}


def draw_layer(r: random.Random, width: int) -> Made:
    """A layer that takes (N, T, width), and its width out."""
    out = r.choice((4, 6, 8, 2 * width))
    (kind,) = r.choices(list(LAYERS), [often for often, _ in LAYERS.values()])
    return LAYERS[kind][1](r, width, out)
