"""The export's test bench: networks by name, with what must become of them.

``STREAMABLE`` must convert, ``DELAYED`` only with lookahead="delay" (rows of delay, and the layer that must be
named), ``REFUSED`` never (the layer that must be named, and a word of the reason). All take (N, T, 12).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.export_networks import (
    BandwiseGru,
    C,
    ChompedCrnn,
    Convolutional,
    Crnn2d,
    CustomResidualLstm,
    F,
    Featureless,
    GatedStack,
    LateLearnedStart,
    LearnedStart,
    PositionTable,
    SelfAttention,
    Simple,
    Strided,
    SymmetricCrnn,
    Tcn,
    TimeDistributed,
)

__all__ = ["DELAYED", "REFUSED", "STREAMABLE", "C", "F", "features"]


def _last_state(net: Simple, x: Tensor) -> Tensor:
    return net.head(net.rnn(x)[1][-1])


def _time_major(net: Simple, x: Tensor) -> Tensor:
    return net.head(net.rnn(x.transpose(0, 1))[0]).transpose(0, 1)


def _frames(net: Simple, x: Tensor) -> Tensor:
    return net.head(net.rnn(x)[0])


def _plain(net: Convolutional, x: Tensor) -> Tensor:
    return net.head(net.conv(x.transpose(1, 2)).transpose(1, 2))


def _padded(past: int) -> Callable[[Convolutional, Tensor], Tensor]:
    return lambda net, x: net.head(net.conv(functional.pad(x.transpose(1, 2), (past, 0))).transpose(1, 2))


def _concatenated(net: Convolutional, x: Tensor) -> Tensor:
    x = x.transpose(1, 2)
    x = torch.cat([x.new_zeros(x.shape[0], x.shape[1], 6), x], 2)
    return net.head(net.conv(x).transpose(1, 2))


def _depthwise_skip(net: Convolutional, x: Tensor) -> Tensor:
    y = net.conv(x.transpose(1, 2))[:, :, : x.shape[1]]
    return net.head(y.transpose(1, 2) + x)


def _two_gru() -> nn.Module:
    return nn.GRU(F, 16, 2, batch_first=True)


def _rnn() -> nn.Module:
    return nn.RNN(F, 16, batch_first=True)


STREAMABLE: dict[str, Callable[[], nn.Module]] = {
    "two-layer GRU": lambda: Simple(_two_gru(), _frames),
    "three-layer relu RNN": lambda: Simple(nn.RNN(F, 16, 3, nonlinearity="relu", batch_first=True), _frames),
    "time-major LSTM": lambda: Simple(nn.LSTM(F, 16, 2), _time_major),
    "GRU without bias": lambda: Simple(nn.GRU(F, 16, bias=False, batch_first=True), _frames),
    "last hidden state": lambda: Simple(_two_gru(), _last_state),
    "last frame": lambda: Simple(
        nn.LSTM(F, 16, 2, batch_first=True), lambda m, x: m.head(m.rnn(x)[0][:, -1])
    ),
    "last frame, kept": lambda: Simple(_rnn(), lambda m, x: m.head(m.rnn(x)[0][:, -1:].squeeze(1))),
    "mean over time": lambda: Simple(_rnn(), lambda m, x: m.head(m.rnn(x)[0].mean(1))),
    "sum over time": lambda: Simple(_rnn(), lambda m, x: m.head(m.rnn(x)[0].sum(1) * 1e-3)),
    "maximum over time": lambda: Simple(_rnn(), lambda m, x: m.head(m.rnn(x)[0].amax(1))),
    "minimum over time": lambda: Simple(_rnn(), lambda m, x: m.head(m.rnn(x)[0].amin(1))),
    "mean and maximum": lambda: Simple(
        _rnn(), lambda m, x: m.head((lambda y: torch.cat([y.mean(1), y.amax(1)], 1))(m.rnn(x)[0])), 32
    ),
    "custom residual LSTM": CustomResidualLstm,
    "chomped CRNN": ChompedCrnn,
    "chomped CRNN, pooled": lambda: ChompedCrnn(2),
    "2-D CRNN": Crnn2d,
    "stride four": Strided,
    "TCN, padded": lambda: Tcn(False),
    "TCN, chomped": lambda: Tcn(True),
    "gated stack": GatedStack,
    "zeros concatenated": lambda: Convolutional(nn.Conv1d(F, 8, 4, dilation=2), _concatenated),
    "depthwise with skip": lambda: Convolutional(nn.Conv1d(F, F, 5, groups=F, padding=4), _depthwise_skip, F),
    "average pooling": lambda: Convolutional(nn.AvgPool1d(4, 1), _padded(3), F),
    "max pooling": lambda: Convolutional(nn.MaxPool1d(3, 1), _padded(2), F),
    "max pooling its own padding": lambda: Convolutional(
        nn.MaxPool1d(3, 1, padding=1),
        lambda m, x: m.head(functional.pad(m.conv(x.transpose(1, 2)), (1, 0))[:, :, :-1].transpose(1, 2)),
        F,
    ),
    "unpadded, then maximum": lambda: Convolutional(
        nn.Conv1d(F, 8, 5), lambda m, x: m.head(m.conv(x.transpose(1, 2)).amax(-1))
    ),
    "unpadded, then mean": lambda: Convolutional(
        nn.Conv1d(F, 8, 5), lambda m, x: m.head(m.conv(x.transpose(1, 2)).mean(-1))
    ),
    "unpadded, then last": lambda: Convolutional(
        nn.Conv1d(F, 8, 5), lambda m, x: m.head(m.conv(x.transpose(1, 2))[:, :, -1])
    ),
    "learned start": LearnedStart,
    "padded before a GRU": lambda: Simple(
        nn.GRU(F, 16, batch_first=True),
        lambda m, x: m.head(m.rnn(functional.pad(x, (0, 0, 3, 0), value=0.5))[0][:, 3:]),
    ),
    "time distributed": TimeDistributed,
    "a GRU a band": BandwiseGru,
    "delta by padding": lambda: Featureless(
        lambda x: torch.cat([x, x - functional.pad(x, (0, 0, 1, 0))[:, :-1]], -1), 2 * F
    ),
    "delta by slices": lambda: Featureless(
        lambda x: torch.cat([x, functional.pad(x[:, 1:] - x[:, :-1], (0, 0, 1, 0))], -1), 2 * F
    ),
    "two frames stacked": lambda: Featureless(lambda x: x.reshape(x.shape[0], x.shape[1] // 2, 2 * F), 2 * F),
    "every second frame": lambda: Featureless(lambda x: x[:, ::2]),
    "running sum": lambda: Featureless(lambda x: x.cumsum(1) * 1e-3),
    "padding in the mean": lambda: Featureless(lambda x: functional.pad(x, (0, 0, 3, 0), value=0.5).mean(1)),
}
DELAYED: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
    "symmetric CRNN": (SymmetricCrnn, 3, "near"),
    "unpadded convolution": (
        lambda: Convolutional(nn.Conv1d(F, 8, 5), _plain),
        4,
        "conv",
    ),
    "symmetric pooling": (
        lambda: Convolutional(nn.AvgPool1d(3, 1, padding=1), _plain, F),
        1,
        "conv",
    ),
    "LSTM with a learned start": (lambda: LateLearnedStart(nn.LSTM), 2, "near"),
    "GRU with a learned start": (lambda: LateLearnedStart(nn.GRU), 2, "near"),
    "RNN with a learned start": (lambda: LateLearnedStart(nn.RNN), 2, "near"),
    "RNN of ReLU with a learned start": (lambda: LateLearnedStart(nn.RNN, nonlinearity="relu"), 2, "near"),
}
REFUSED: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "bidirectional": (
        lambda: Simple(nn.LSTM(F, 8, bidirectional=True, batch_first=True), _frames),
        "layer 'rnn' (LSTM)",
        "bidirectional=False",
    ),
    "attention": (SelfAttention, "layer 'att'", "attention"),
    "instance norm": (
        lambda: Convolutional(nn.InstanceNorm1d(F), _plain, F),
        "layer 'conv' (InstanceNorm",
        "LayerNorm",
    ),
    "group norm": (lambda: Convolutional(nn.GroupNorm(2, F), _plain, F), "layer 'conv'", "LayerNorm"),
    "positions": (PositionTable, "(Add)", "positional"),
    "flip": (lambda: Simple(_rnn(), lambda m, x: m.head(m.rnn(x.flip(1))[0])), "(Slice)", "reverses time"),
    "mean removal": (lambda: Featureless(lambda x: x - x.mean(1, keepdim=True)), "(Sub)", "summary"),
    "squeeze and excite": (
        lambda: Featureless(lambda x: x * torch.sigmoid(x.mean(1, keepdim=True))),
        "(Mul)",
        "squeeze-and-excite",
    ),
    "attention pooling": (
        lambda: Featureless(lambda x: (torch.softmax(x, 1) * x).sum(1)),
        "(Softmax)",
        "along time",
    ),
    "statistics pooling": (lambda: Featureless(lambda x: x.var(1)), "", "summary"),
    "first frame": (lambda: Featureless(lambda x: x[:, 0]), "(Gather)", "last frame"),
    "length as a number": (lambda: Featureless(lambda x: x.sum(1) / x.shape[1]), "(Div)", "mean over time"),
    "lookahead in a summary": (
        lambda: Convolutional(
            nn.Conv1d(F, 8, 3, padding=1), lambda m, x: m.head(m.conv(x.transpose(1, 2)).mean(-1))
        ),
        "layer 'conv'",
        "pad on the left",
    ),
    "mirrored padding": (
        lambda: Convolutional(
            nn.Conv1d(F, 8, 3, padding=2, padding_mode="reflect"),
            lambda m, x: m.head(m.conv(x.transpose(1, 2))[:, :, :-2].transpose(1, 2)),
        ),
        "conv",
        "constant",
    ),
}


def features(seed: int, streams: int = 2, frames: int = 96) -> Tensor:
    """(N, T, 12) noise at a level real features have."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(streams, frames, F, generator=generator) * 2 + 1
