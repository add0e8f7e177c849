"""Random sequence networks for fuzzing the export: mostly causal, some of them poisoned with something that is not."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.random_layers import LAYERS, Context, Slower

CLASSES = 3
POISONS = (
    "bidirectional",
    "symmetric",
    "flip",
    "excite",
    "instance",
    "attention",
    "position",
    "centre",
    "group",
)
HEADS = ("frames", "frames", "frames", "last", "mean", "max", "final", "cell", "recent", "average_pool")


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


class HandWritten(nn.Module):
    """A recurrence as a loop over frames: a cell or a gated average; from zeros, learned values or the first frame."""

    def __init__(self, r: random.Random, width: int, out: int) -> None:
        super().__init__()
        self.kind = r.choice(("gru", "lstm", "tanh", "average"))
        self.start = r.choice(("zeros", "learned", "first"))
        self.assigned, self.skip = r.random() < 0.3, r.random() < 0.3
        cells = {"gru": nn.GRUCell, "lstm": nn.LSTMCell, "tanh": nn.Linear, "average": nn.Linear}
        self.cell = cells[self.kind](width, out)
        self.learned = nn.Parameter(torch.randn(1, out))
        self.first, self.gate = nn.Linear(width, out), nn.Linear(width, out)

    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        if self.kind == "gru":
            return self.cell(x, h), c
        if self.kind == "lstm":
            return self.cell(x, (h, c))
        z = torch.sigmoid(self.gate(x))
        new = self.cell(x)
        return (torch.tanh(new + z * h), c) if self.kind == "tanh" else (z * h + (1 - z) * new, c)

    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], self.learned.shape[1])
        c = h
        if self.start == "learned":
            h = self.learned.expand(x.shape[0], -1)
        elif self.start == "first":
            h = self.first(x[:, 0])
        rows, out = [], x.new_zeros(x.shape[0], x.shape[1], h.shape[1])
        for t in range(x.shape[1]):
            h, c = self.step(x[:, t], h, c)
            row = h + self.first(x[:, t]) if self.skip else h
            if self.assigned:
                out[:, t] = row
            rows.append(row)
        return out if self.assigned else torch.stack(rows, 1)


class Running(nn.Module):
    """A running sum, mean, product or maximum."""

    def __init__(self, r: random.Random, width: int) -> None:
        super().__init__()
        self.kind, self.back = r.choice(("mean", "maximum", "product")), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "mean":
            y = x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]
        elif self.kind == "maximum":
            y = x.cummax(1).values
        else:
            y = torch.sigmoid(x + 4).cumprod(1)
        return self.back(torch.cat([x, y], 2))


class Stack(nn.Module):
    """Two frames to one."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1] // 2, 2 * x.shape[2])


class Poison(nn.Module):
    """Something that needs frames to come, or all of them."""

    def __init__(self, r: random.Random, kind: str, width: int) -> None:
        super().__init__()
        self.kind = kind
        kernel = r.choice((3, 5))
        self.inner = {
            "bidirectional": lambda: nn.LSTM(width, width, batch_first=True, bidirectional=True),
            "symmetric": lambda: nn.Conv1d(width, width, kernel, padding=kernel // 2),
            "instance": lambda: nn.InstanceNorm1d(width),
            "group": lambda: nn.GroupNorm(2, width),
            "attention": lambda: nn.Linear(width, width),
            "excite": lambda: nn.Linear(width, width),
        }.get(kind, nn.Identity)()
        self.register_buffer("table", torch.randn(1, 20000, width) if kind == "position" else torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "bidirectional":
            return self.inner(x)[0][:, :, x.shape[2] :]  # what runs backwards
        if self.kind in ("symmetric", "instance", "group"):
            return self.inner(x.transpose(1, 2)).transpose(1, 2)
        if self.kind == "attention":
            return x + torch.softmax(self.inner(x) @ x.transpose(1, 2), dim=2) @ x
        if self.kind == "excite":
            return x * torch.sigmoid(self.inner(x.mean(1, keepdim=True)))
        if self.kind == "position":
            return x + self.table[:, : x.shape[1]]
        return x.flip(1) if self.kind == "flip" else x - x.mean(1, keepdim=True)


class RandomNetwork(nn.Module):
    """Features (N, T, width) -> scores, drawn from a seed.

    Attributes:
        head: "frames" gives (N, T', C), all others (N, C).
        poison: what was built in that cannot be streamed, or "".
        open_start: an unpadded convolution shortens the sequence before a summary (streamable).
    """

    def __init__(self, seed: int, poisoned: float = 0.12, loops: bool = False) -> None:
        super().__init__()
        r = random.Random(seed)
        torch.manual_seed(seed)
        self.width = width = r.choice((4, 6, 8))
        self.head = r.choice(HEADS)
        blocks: list[nn.Module] = []
        for _ in range(r.randint(1, 4)):
            block, width = self._block(r, width)
            blocks.append(block)
        if loops:
            out = r.choice((4, 6))
            blocks.append(Running(r, width) if r.random() < 0.3 else HandWritten(r, width, out))
            width = width if isinstance(blocks[-1], Running) else out
        self.poison = r.choice(POISONS) if r.random() < poisoned else ""
        if self.poison:
            blocks.insert(r.randint(0, len(blocks)), Poison(r, self.poison, self.width))
            if blocks[0] is not blocks[-1] and not isinstance(blocks[0], Poison):
                blocks = [b for b in blocks if isinstance(b, Poison)] + [
                    b for b in blocks if not isinstance(b, Poison)
                ]
        self.open_start = self.head != "frames" and not self.poison and r.random() < 0.25
        self.open_start = self.open_start and not any(isinstance(b, (Stack, Slower)) for b in blocks)
        if self.open_start:
            for block in blocks:
                if isinstance(block, Context):
                    block.copies = False  # copies of frames that come late are refused
                if isinstance(block, Cells) and not isinstance(block.cells, nn.GRU):
                    block.learned = None  # has no rule either
            blocks.insert(0, _Unpadded(self.width, r.randint(2, 4)))
        self.blocks = nn.ModuleList(blocks)
        if self.head in ("final", "cell"):
            self.final = (nn.GRU if self.head == "final" else nn.LSTM)(width, 6, batch_first=True)
            width = 6
        self.scores = nn.Linear(width, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                nn.init.normal_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
        self.eval()

    @staticmethod
    def _block(r: random.Random, width: int) -> tuple[nn.Module, int]:
        out = r.choice((4, 6, 8, 2 * width))
        kinds = ("conv", "conv", "gated", "residual", "cells", "cells", "cells", "pool", "plane", "dense")
        kind = r.choice((*kinds, "delta", "norm", "stack", *LAYERS))
        if not isinstance(kind, str):
            return kind(r, width), width
        if kind == "conv":
            return Causal(r, width, out, r.choice((1, 1, 1, 2))), out
        if kind in ("cells", "dense"):
            return {"cells": Cells, "dense": Dense}[kind](r, width, out), out
        if kind == "pool":
            return Pool(r), width
        if kind == "stack":
            return (Stack(), 2 * width) if r.random() < 0.4 else (nn.Identity(), width)
        return {"gated": Gated, "residual": Residual, "plane": Plane, "delta": Delta, "norm": Norm}[kind](
            r, width
        ), width

    def body(self, x: Tensor) -> Tensor:
        """(N, T, width) -> (N, T', features), before the head."""
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        if self.head == "last":
            y = y[:, -1]
        elif self.head == "mean":
            y = y.mean(1)
        elif self.head == "max":
            y = y.amax(1)
        elif self.head == "average_pool":
            y = functional.adaptive_avg_pool1d(y.transpose(1, 2), 1).squeeze(2)
        elif self.head == "final":
            y = self.final(y)[1][-1]
        elif self.head == "cell":
            y = self.final(y)[1][1].view(-1, 6)
        elif self.head == "recent":
            y = y[:, -4:].mean(1)
        return self.scores(y)


class _Unpadded(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.transpose(1, 2)).transpose(1, 2)


def needs_the_future(network: RandomNetwork, frames: int = 144) -> bool:
    """True if a change of later frames changes earlier rows of the body: an independent test of a refusal.

    Compared are as many rows as the body gives for the earlier frames alone.
    """
    x = torch.randn(2, frames, network.width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = network.body(x)
        for cut in range(48, frames, 12):
            changed = x.clone()
            changed[:, cut:] += 3.0
            rows = network.body(x[:, :cut]).shape[1]
            if (network.body(changed)[:, :rows] - before[:, :rows]).abs().max() > 1e-6:
                return True
        # positions: a causal network gives the same after the same silence, wherever the stream begins
        if network.poison == "position":
            silence = torch.zeros(1, frames, network.width)
            y = network.body(silence)
            return bool((y[:, y.shape[1] // 2] - y[:, -1]).abs().max() > 1e-4)
    return False
