"""Layers that work on a whole sequence and, with the same weights, on a stream in pieces.

``forward(x)`` starts from the initial state. ``stream(x, state)`` returns the output and the state to pass
with the next piece; None is the initial state. A state is a tensor or a tuple of states, the batch axis
always first, so that rows can be reset or picked without knowing the layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.models.config import Cell
from stream.features.tables import dct_matrix

State = Tensor | tuple["State", ...] | None
STEADY = 1.15  # largest gain of a plain RNN's recurrence; tanh's slope, below one where a unit works, does the rest


class Layer(nn.Module):
    """Base of all: (N, T, F) -> (N, T', F'). Layers without memory need only ``forward``."""

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def stream(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self(x), None


class Normalise(Layer):
    """(x - mean) * scale with fitted buffers; the identity until fitted."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Set from (F,) statistics; a feature that never varies is only centred."""
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(std > 1e-6, 1.0 / std.clamp_min(1e-6), torch.ones_like(std)))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) * self.scale


class Bands(Layer):
    """A learnt matrix over the features that begins as the inverse cosine transform: MFCC become mel bands.

    It follows ``Normalise``, so what it undoes is the transform of coefficients scaled to unit deviation; ``fit``
    gives each its deviation back, and the bands one of about 1.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.mix = nn.Linear(features, features)
        self.fit(torch.ones(features))

    def fit(self, std: Tensor) -> None:
        """Set from the (F,) standard deviations of the coefficients."""
        features = len(std)
        # An orthonormal matrix: its inverse is its transpose.
        inverse = torch.from_numpy(dct_matrix(features, features, "ortho")).to(torch.float32).T * std
        with torch.no_grad():
            self.mix.weight.copy_(inverse / inverse.square().sum(dim=1).mean().sqrt().clamp_min(1e-6))
            self.mix.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.mix(x))


class CausalConv(Layer):
    """1-D convolution over time, (N, T, F) -> (N, T // stride, F'); zeros stand before the first frame."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1, bias: bool = True
    ) -> None:
        super().__init__()
        self.past = dilation * (kernel - 1) + 1 - stride
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride=stride, dilation=dilation, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(functional.pad(x.transpose(1, 2), (self.past, 0)))
        return y.transpose(1, 2)

    def stream(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        past = x.new_zeros(len(x), self.past, x.shape[2]) if state is None else cast(Tensor, state)
        joined = torch.cat((past, x), dim=1)
        return self.conv(joined.transpose(1, 2)).transpose(1, 2), joined[:, joined.shape[1] - self.past :]


class ConvFront(Layer):
    """A causal, possibly strided, convolution and a ReLU before everything else."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = CausalConv(inputs, outputs, kernel, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv(x))

    def stream(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        y, state = self.conv.stream(x, state)
        return functional.relu(y), state


class TimeConvBlock(Layer):
    """Causal convolution, batch norm, ReLU, dropout: (N, T, F) -> (N, T, channels)."""

    def __init__(self, inputs: int, channels: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.conv = CausalConv(inputs, channels, kernel, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(dropout)

    def _rest(self, y: Tensor) -> Tensor:
        z: Tensor = self.dropout(functional.relu(self.norm(y.transpose(1, 2)).transpose(1, 2)))
        return z

    def forward(self, x: Tensor) -> Tensor:
        return self._rest(self.conv(x))

    def stream(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        y, state = self.conv.stream(x, state)
        return self._rest(y), state


class TimeFrequencyBlock(Layer):
    """2-D convolution, causal over time; each step halves the frequency axis, which travels flattened.

    (N, T, inputs * bins) -> (N, T // stride, channels * ceil(bins / 2)).
    """

    def __init__(
        self,
        inputs: int,
        bins: int,
        channels: int,
        kernel: int,
        dropout: float,
        stride: int = 1,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.inputs, self.bins, self.past = inputs, bins, kernel - stride
        self.conv = nn.Conv2d(
            inputs, channels, (kernel, 3), stride=(stride, 2), padding=(0, 1), bias=not norm
        )
        self.norm = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def _maps(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.inputs, self.bins).transpose(1, 2)  # (N, inputs, T, bins)

    def _rest(self, maps: Tensor) -> Tensor:
        z: Tensor = self.dropout(functional.relu(self.norm(self.conv(maps))))
        return z.transpose(1, 2).flatten(2)

    def forward(self, x: Tensor) -> Tensor:
        return self._rest(functional.pad(self._maps(x), (0, 0, self.past, 0)))

    def stream(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        past = x.new_zeros(len(x), self.past, x.shape[2]) if state is None else cast(Tensor, state)
        joined = torch.cat((past, x), dim=1)
        return self._rest(self._maps(joined)), joined[:, joined.shape[1] - self.past :]


class ResidualBlock(Layer):
    """Dilated causal convolution, batch norm, ReLU, pointwise convolution, plus the input."""

    def __init__(self, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = CausalConv(channels, channels, kernel, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(dropout)
        self.point = nn.Linear(channels, channels)

    def _rest(self, x: Tensor, y: Tensor) -> Tensor:
        y = functional.relu(self.norm(y.transpose(1, 2)).transpose(1, 2))
        return functional.relu(x + self.point(self.dropout(y)))

    def forward(self, x: Tensor) -> Tensor:
        return self._rest(x, self.conv(x))

    def stream(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        y, state = self.conv.stream(x, state)
        return self._rest(x, y), state


class Recurrent(Layer):
    """A stack of tanh RNN, LSTM or GRU layers: (N, T, F) -> (N, T, hidden)."""

    def __init__(self, cell: Cell, inputs: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        kinds: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
        self.rnn = kinds[cell](
            inputs, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
        )
        if cell == "rnn":  # orthogonal recurrence: a plain tanh layer forgets or explodes without it
            for name, weight in self.rnn.named_parameters():
                if name.startswith("weight_hh"):
                    nn.init.orthogonal_(weight)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.rnn(x)[0])

    def stream(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        y, last = self.rnn(x, None if state is None else _swap(state))
        return y, _swap(last)

    def steady(self) -> None:
        """Keep a plain tanh RNN from amplifying: the largest singular value of its recurrent weights stays below
        ``STEADY``. Without a limit training makes it chaotic: better on short clips, but rounding alone then moves
        its answers and export cannot prove it. GRU and LSTM need no such limit.
        """
        if not isinstance(self.rnn, nn.RNN):
            return
        with torch.no_grad():
            for name, weight in self.rnn.named_parameters():
                if name.startswith("weight_hh") and torch.isfinite(weight).all():  # the loop names a lost run
                    largest = torch.linalg.matrix_norm(weight, ord=2)
                    if largest > STEADY:
                        weight.mul_(STEADY / largest)

    def holding(self, x: Tensor, y: Tensor, limit: float) -> Tensor:
        """How far the gate that keeps old state stays beyond ``limit`` (a logit), on average over units.

        That gate is the update gate of a GRU and the forget gate of an LSTM: at a logit of L a unit forgets with
        a time constant of 1 + exp(L) frames. Units that keep it shut remember a start, or a noise, for hours.
        A unit's mean over the piece counts, so holding on through a pause is free; and the excess counts
        linearly, for the logits of saturated gates are large and their squares would drown the task.
        The layer's own gates are not to be had from torch, so they are computed again from its input x
        (N, T, F) and output y (N, T, hidden); the first frame, whose earlier state is not in y, is left out.
        """
        rnn = self.rnn
        if rnn.num_layers != 1 or isinstance(rnn, nn.RNN):
            return x.new_zeros(())
        rows = slice(rnn.hidden_size, 2 * rnn.hidden_size)  # second of torch's gates: r z n, and i f g o
        gate = functional.linear(x[:, 1:], rnn.weight_ih_l0[rows], rnn.bias_ih_l0[rows])
        gate = gate + functional.linear(y[:, :-1], rnn.weight_hh_l0[rows], rnn.bias_hh_l0[rows])
        return functional.relu(gate.mean(dim=1) - limit).mean()


def _swap(state: State) -> State:
    """torch's (layers, N, hidden) to and from our (N, layers, hidden)."""
    if isinstance(state, tuple):
        return tuple(_swap(part) for part in state)
    return cast(Tensor, state).transpose(0, 1).contiguous()
