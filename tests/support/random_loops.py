"""Recurrences written by hand, drawn at random: for the fuzz of the export."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn


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


class AtOnce(nn.Module):
    """A linear recurrence for all frames at once: in doubling steps, in logarithms, or as a product of spectra."""

    def __init__(self, r: random.Random, width: int, out: int) -> None:
        super().__init__()
        self.kind = r.choice(("doubling", "logarithms", "spectra", "matrix"))
        self.gate, self.cell = nn.Linear(width, out), nn.Linear(width, out)
        self.decay = nn.Parameter(torch.rand(out))
        self.frequency = r.choice((0.0, 0.2))

    def forward(self, x: Tensor) -> Tensor:
        frames, times = x.shape[1], torch.arange(x.shape[1])
        new = self.cell(x)
        if self.kind == "spectra":
            kernel = self.decay[:, None] ** times * torch.cos(self.frequency * times)
            spectra = torch.fft.rfft(new.transpose(1, 2), n=2 * frames) * torch.fft.rfft(kernel, n=2 * frames)
            return torch.fft.irfft(spectra, n=2 * frames)[..., :frames].transpose(1, 2)
        if self.kind == "matrix":
            distance = times[:, None] - times
            return torch.where(distance >= 0, 0.8 ** distance.clamp(min=0), torch.zeros(())) @ new
        if self.kind == "logarithms":
            summed = nn.functional.logsigmoid(self.gate(x)).cumsum(1)
            values = torch.log(nn.functional.softplus(new) + 1e-3)
            return torch.exp(summed + torch.logcumsumexp(values - summed, 1))
        a, b, shift = torch.sigmoid(self.gate(x)), new, 1
        while shift < frames:
            b = torch.cat([b[:, :shift], b[:, shift:] + a[:, shift:] * b[:, :-shift]], 1)
            a = torch.cat([a[:, :shift], a[:, shift:] * a[:, :-shift]], 1)
            shift *= 2
        return b


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
