"""Random sequence networks for fuzzing the export: mostly causal, some of them poisoned with something that is not."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.random_layers import Cells, Cumulative, Repeated, Stack, draw_layer
from tests.support.random_loops import AtOnce, HandWritten, Running
from tests.support.random_windows import Context, Slower

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
            block, width = draw_layer(r, width)
            blocks.append(block)
        if loops:
            out = r.choice((4, 6))
            kind = r.choices((Running, HandWritten, AtOnce), (2, 3, 3))[0]
            blocks.append(Running(r, width) if kind is Running else kind(r, width, out))
            width = width if isinstance(blocks[-1], Running) else out
        self.poison = r.choice(POISONS) if r.random() < poisoned else ""
        if self.poison == "centre":  # of which nothing is left behind a mean so far that is taken off
            blocks = [nn.Identity() if isinstance(b, Cumulative) else b for b in blocks]
        if self.poison:
            blocks.insert(r.randint(0, len(blocks)), Poison(r, self.poison, self.width))
            if blocks[0] is not blocks[-1] and not isinstance(blocks[0], Poison):
                blocks = [b for b in blocks if isinstance(b, Poison)] + [
                    b for b in blocks if not isinstance(b, Poison)
                ]
        self.open_start = self.head != "frames" and not self.poison and r.random() < 0.25
        self.open_start = self.open_start and not any(
            isinstance(b, (Stack, Repeated, Slower)) for b in blocks
        )
        if self.open_start:
            for block in blocks:
                if isinstance(block, Context):
                    block.copies = False  # copies of frames that come late are refused
                if isinstance(block, Cells) and not isinstance(block.cells, nn.GRU):
                    block.learned = None  # the one combination without a rule
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
