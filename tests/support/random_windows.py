"""Layers for random networks that work within a frame, or on a window of frames: (N, T, width) -> the same."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.idiom_networks import window_mask


class Within(nn.Module):
    """A recurrence over the features of each frame, either way, from the first or the last state; LSTMs may project."""

    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        kind, both, self.slow = r.choice((nn.RNN, nn.GRU, nn.LSTM)), r.random() < 0.6, r.random() < 0.3
        options = {"proj_size": 2} if kind is nn.LSTM and r.random() < 0.3 else {}
        self.cells = kind(1, 3, r.randint(1, 2), batch_first=not self.slow, bidirectional=both, **options)
        self.last = r.random() < 0.3
        out = options.get("proj_size", 3) * (2 if both else 1)
        self.back = nn.Linear(out if self.last else out * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        y = x.reshape(n * t, f, 1)
        y = self.cells(y.transpose(0, 1))[0].transpose(0, 1) if self.slow else self.cells(y)[0]
        y = y[:, -1] if self.last else y.flatten(1)
        return x + self.back(y).reshape(n, t, f)


class Bands(nn.Module):
    """A recurrence over time for every feature, features in the batch axis, before or behind the streams."""

    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.slow = r.random() < 0.5
        self.cells, self.back = nn.GRU(1, 3, batch_first=True), nn.Linear(3 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        y = x.permute(2, 0, 1) if self.slow else x.permute(0, 2, 1)
        y = self.cells(y.reshape(n * f, t, 1))[0]
        y = y.reshape(f, n, t, 3).permute(1, 2, 0, 3) if self.slow else y.reshape(n, f, t, 3).transpose(1, 2)
        return self.back(y.reshape(n, t, 3 * f))


class BinAttention(nn.Module):
    """Every feature of a frame looks at all features of it."""

    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.enter, self.heads = nn.Linear(1, 12), r.choice((1, 2))
        self.back = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        h, d = self.heads, 4 // self.heads
        q, k, v = self.enter(x.reshape(n * t, f, 1)).chunk(3, -1)
        q, k, v = (z.reshape(n * t, f, h, d).transpose(1, 2).reshape(n * t * h, f, d) for z in (q, k, v))
        y = torch.bmm(torch.softmax(torch.bmm(q, k.transpose(1, 2)), -1), v)
        return x + self.back(y.reshape(n * t, h, f, d).transpose(1, 2).reshape(n, t, -1))


class FrameWindow(nn.Module):
    """Self-attention over the frames of a window, perhaps with a bias for each distance."""

    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.window, self.qkv = r.randint(1, 9), nn.Linear(width, 3 * width)
        self.heads = 2 if r.random() < 0.5 else 1
        self.bias = nn.Parameter(torch.randn(self.window)) if r.random() < 0.4 else None
        self.folded = r.random() < 0.3

    def forward(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        q, k, v = self.qkv(x).chunk(3, -1)
        if self.heads > 1 or self.folded:
            q, k, v = (z.reshape(n, t, self.heads, -1).transpose(1, 2) for z in (q, k, v))
        if self.folded:
            q, k, v = (z.reshape(n * self.heads, t, -1) for z in (q, k, v))
        score = q @ k.transpose(-2, -1)
        if self.bias is not None:
            place = torch.arange(t)
            score = score + self.bias[(place[:, None] - place[None, :]).clamp(0, self.window - 1)]
        y = torch.softmax(score.masked_fill(~window_mask(t, self.window), float("-inf")), -1) @ v
        if self.folded:
            y = y.reshape(n, self.heads, t, -1)
        return x + (y.transpose(1, 2).reshape(n, t, f) if y.dim() == 4 else y)


class Decoder(nn.Module):
    """Down along the features by a strided plane, up by a transposed convolution or interpolation, with a skip."""

    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.kernel, self.swap = r.randint(1, 3), r.random() < 0.4
        side, time = (3, self.kernel), (self.kernel, 3)
        sizes = side if self.swap else time
        step, pad, out = ((2, 1), (1, 0), (1, 0)) if self.swap else ((1, 2), (0, 1), (0, 1))
        self.down = nn.Conv2d(1, 2, sizes, step, pad)
        self.up = nn.ConvTranspose2d(2, 1, sizes, step, pad, out) if r.random() < 0.7 else None
        self.mode = r.choice(("nearest", "bilinear"))

    def forward(self, x: Tensor) -> Tensor:
        past = self.kernel - 1
        y = (x.transpose(1, 2) if self.swap else x).unsqueeze(1)
        y = self.down(functional.pad(y, (past, 0) if self.swap else (0, 0, past, 0)))
        if self.up is None:
            y = functional.interpolate(y, scale_factor=(2, 1) if self.swap else (1, 2), mode=self.mode).mean(
                1
            )
        else:
            y = self.up(y).squeeze(1)
        y = y.transpose(1, 2) if self.swap else y
        return x + torch.tanh(y[:, : x.shape[1]])


class Context(nn.Module):
    """A frame with those before it, gathered by a window; at the start zeros or copies of the first frame."""

    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.past, self.copies, self.columns = r.randint(1, 4), r.random() < 0.6, r.random() < 0.5
        self.conv = nn.Conv1d(width, width, self.past + 1)
        self.back = nn.Linear((self.past + 1) * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.pad(x.transpose(1, 2), (self.past, 0), mode="replicate" if self.copies else "constant")
        if not self.columns:
            return torch.relu(self.conv(y)).transpose(1, 2)
        y = functional.unfold(y.unsqueeze(3), (self.past + 1, 1)).transpose(1, 2)
        return functional.mish(self.back(y))


class Slower(nn.Module):
    """Down to a lower frame rate and back by repetition, added to what came in."""

    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.step, self.strided = r.randint(2, 3), r.random() < 0.6
        self.conv = nn.Conv1d(width, width, 3, self.step if self.strided else 1)
        self.inner = nn.GRU(width, width, batch_first=True) if r.random() < 0.4 else None
        self.nearest = r.random() < 0.5

    def forward(self, x: Tensor) -> Tensor:
        y = torch.tanh(self.conv(functional.pad(x.transpose(1, 2), (2, 0))))
        y = y if self.strided else y[:, :, :: self.step]
        if self.inner is not None:
            y = self.inner(y.transpose(1, 2))[0].transpose(1, 2)
        y = (
            functional.interpolate(y, scale_factor=self.step)
            if self.nearest
            else y.repeat_interleave(self.step, 2)
        )
        return x + y[:, :, : x.shape[1]].transpose(1, 2)


WINDOWS = (Within, Bands, BinAttention, FrameWindow, Decoder, Context, Slower)
