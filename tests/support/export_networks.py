"""Networks as people write them, one idiom each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

F = 12
C = 4


class Simple(nn.Module):
    """Recurrent layers and a head, put together by ``how``."""

    def __init__(self, rnn: nn.Module, how: Callable[[Simple, Tensor], Tensor], width: int = 16) -> None:
        super().__init__()
        self.rnn, self.how, self.head = rnn, how, nn.Linear(width, C)

    def forward(self, x: Tensor) -> Tensor:
        return self.how(self, x)


class Convolutional(nn.Module):
    """One convolution over (N, F, T), or what ``how`` makes of it."""

    def __init__(
        self, conv: nn.Module, how: Callable[[Convolutional, Tensor], Tensor], width: int = 8
    ) -> None:
        super().__init__()
        self.conv, self.how, self.head = conv, how, nn.Linear(width, C)

    def forward(self, x: Tensor) -> Tensor:
        return self.how(self, x)


class Featureless(nn.Module):
    """A head on features that ``how`` makes without weights."""

    def __init__(self, how: Callable[[Tensor], Tensor], width: int = F) -> None:
        super().__init__()
        self.how, self.head = how, nn.Linear(width, C)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.how(x))


class CustomResidualLstm(nn.Module):
    """A custom class: LayerNorm, two LSTM layers, a residual, its own softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.norm = nn.Linear(F, 16), nn.LayerNorm(16)
        self.rnn, self.head = nn.LSTM(16, 16, 2, batch_first=True), nn.Linear(16, C)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        x = x + self.rnn(self.norm(x))[0]
        return torch.softmax(self.head(x), -1)


class ChompedCrnn(nn.Module):
    """Padded convolutions with the end cut off, batch norm, max pooling, a GRU."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv1d(F, 8, 3, padding=2), nn.BatchNorm1d(8)
        self.second = nn.Conv1d(8, 8, 3, padding=2, dilation=1, stride=1)
        self.pool = nn.MaxPool1d(stride) if stride > 1 else nn.Identity()
        self.rnn, self.head = nn.GRU(8, 16, batch_first=True), nn.Linear(16, C)
        nn.init.normal_(self.norm.running_mean)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        x = torch.relu(self.norm(self.first(x)[..., :-2]))
        x = self.pool(torch.relu(self.second(x)[..., :-2]))
        return self.head(self.rnn(x.transpose(1, 2))[0])


class Crnn2d(nn.Module):
    """2-D convolution causal in time, pooling along frequency, a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(1, 6, 3, padding=(0, 1)), nn.MaxPool2d((1, 2))
        self.rnn, self.head = nn.GRU(6 * (F // 2), 16, batch_first=True), nn.Linear(16, C)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x[:, None], (0, 0, 2, 0))
        x = self.pool(torch.relu(self.conv(x)))
        return self.head(self.rnn(x.permute(0, 2, 1, 3).flatten(2))[0])


class Strided(nn.Module):
    """Four frames to a row: a strided convolution, max pooling, an LSTM."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv1d(F, 8, 5, stride=2), nn.MaxPool1d(2)
        self.rnn, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, C)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(torch.relu(self.conv(functional.pad(x.transpose(1, 2), (4, 0)))))
        return self.head(self.rnn(x.transpose(1, 2))[0])


class Tcn(nn.Module):
    """Dilated residual blocks."""

    def __init__(self, chomp: bool) -> None:
        super().__init__()
        self.chomp, self.enter, self.head = chomp, nn.Conv1d(F, 8, 1), nn.Conv1d(8, C, 1)
        self.convs = nn.ModuleList(
            nn.Conv1d(8, 8, 3, dilation=2**i, padding=2 * 2**i if chomp else 0) for i in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x.transpose(1, 2))
        for i, conv in enumerate(self.convs):
            past = 2 * 2**i
            y = conv(x)[..., :-past] if self.chomp else conv(functional.pad(x, (past, 0)))
            x = torch.relu(y) + x
        return self.head(x).transpose(1, 2)


class GatedStack(nn.Module):
    """WaveNet's gates, weight normalisation, skip sum."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.enter, self.head = nn.Conv1d(F, 8, 1), nn.Conv1d(8, C, 1)
        self.filters = nn.ModuleList(norm(nn.Conv1d(8, 16, 2, dilation=2**k)) for k in range(4))
        self.mixers = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        x, skip = self.enter(x.transpose(1, 2)), torch.zeros(())
        for k, (conv, mix) in enumerate(zip(self.filters, self.mixers, strict=True)):
            a, b = conv(functional.pad(x, (2**k, 0))).chunk(2, 1)
            y = mix(torch.tanh(a) * torch.sigmoid(b))
            skip, x = skip + y, x + y
        return self.head(torch.relu(skip)).transpose(1, 2)


class TimeDistributed(nn.Module):
    """Frames through the batch axis and back."""

    def __init__(self) -> None:
        super().__init__()
        self.dense, self.rnn = nn.Linear(F, 8), nn.GRU(8, 16, batch_first=True)
        self.head = nn.Linear(16, C)

    def forward(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        y = torch.relu(self.dense(x.reshape(n * t, f))).reshape(n, t, 8)
        return self.head(self.rnn(y)[0])


class BandwiseGru(nn.Module):
    """One small GRU over every feature: features in the batch axis."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(1, 5, batch_first=True), nn.Linear(5 * F, C)

    def forward(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        y = self.rnn(x.permute(0, 2, 1).reshape(n * f, t, 1))[0]
        return self.head(y.reshape(n, f, t, 5).permute(0, 2, 1, 3).reshape(n, t, -1))


class LearnedStart(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(F, 16, batch_first=True), nn.Linear(16, C)
        self.h, self.c = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 1, 16))

    def forward(self, x: Tensor) -> Tensor:
        start = tuple(s.expand(-1, x.shape[0], -1).contiguous() for s in (self.h, self.c))
        return self.head(self.rnn(x, start)[0])


class LateLearnedStart(nn.Module):
    """Two recurrent layers with learned initial states behind a convolution that looks 2 frames ahead."""

    def __init__(self, kind: type[nn.RNNBase], **options: str) -> None:
        super().__init__()
        self.near = nn.Conv1d(F, 8, 5, padding=2)
        self.rnn, self.head = kind(8, 16, 2, batch_first=True, **options), nn.Linear(16, C)
        self.h, self.c = nn.Parameter(torch.randn(2, 1, 16)), nn.Parameter(torch.randn(2, 1, 16))

    def forward(self, x: Tensor) -> Tensor:
        h, c = (s.expand(-1, x.shape[0], -1).contiguous() for s in (self.h, self.c))
        y = self.near(x.transpose(1, 2)).transpose(1, 2)
        return self.head(self.rnn(y, (h, c) if isinstance(self.rnn, nn.LSTM) else h)[0])


class SymmetricCrnn(nn.Module):
    """Two symmetric convolutions with a skip: looks 3 frames ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = nn.Conv1d(F, 8, 3, padding=1), nn.Conv1d(8, 8, 5, padding=2)
        self.rnn, self.head = nn.GRU(8, 16, batch_first=True), nn.Linear(16, C)

    def forward(self, x: Tensor) -> Tensor:
        x = self.near(x.transpose(1, 2))
        x = torch.relu(self.far(x)) + x
        return self.head(self.rnn(x.transpose(1, 2))[0])


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.att, self.head = nn.MultiheadAttention(F, 2, batch_first=True), nn.Linear(F, C)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.att(x, x, x, need_weights=False)[0])


class PositionTable(nn.Module):
    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(F, C)
        self.register_buffer("table", torch.randn(1, 9000, F))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x + self.table[:, : x.shape[1]])
