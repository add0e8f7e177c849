"""Causal layers. Each has one ``forward``, for a whole sequence and for a stream piece by piece.

``forward(x, state)`` returns the output and the state to pass with the next piece; None is the initial state.
A state is a tensor or a tuple of states, the batch axis always first, so that rows can be reset or picked
without knowing the layer. With a stride, every piece but the last must have a multiple of it in frames.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.models.config import Cell
from stream.features.tables import dct_matrix

State = Tensor | tuple["State", ...] | None
MAX_RECURRENT_GAIN = (
    1.15  # of a plain RNN; the slope of tanh, below one where a unit is active, does the rest
)


class Layer(nn.Module):
    """Base of all: x (N, T, F), state -> (N, T', F'), state. The state of a layer without memory is None."""

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        raise NotImplementedError


def with_past(x: Tensor, state: State, frames: int) -> tuple[Tensor, Tensor]:
    """x (N, T, F) with the ``frames`` frames before it, zeros if there is no state; and the state after it."""
    if state is None:
        joined = functional.pad(x, (0, 0, frames, 0))
    else:
        joined = torch.cat((cast(Tensor, state), x), dim=1)
    return joined, joined[:, joined.shape[1] - frames :]


class Normalise(nn.Module):
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


class LevelAdaptation(Layer):
    """Takes a learnt share of the running level off every feature: (N, T, F) -> (N, T, F), state (N, 1), the level.

    The level is that of normalised features, so a stream begins at that of training. The shares begin at 0: at first
    the layer changes nothing, and it can be put before a network that is trained already.
    """

    def __init__(self, features: int, memory: int, *, first: bool) -> None:
        """``memory``: time constant in frames. ``first``: the level is the first feature, not the mean of all."""
        super().__init__()
        self.pace, self.first = 1 / memory, first
        self.share = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        loud = x[..., :1] if self.first else x.mean(-1, keepdim=True)
        level = torch.zeros_like(loud[:, 0]) if state is None else cast(Tensor, state)
        levels = []
        for now in loud.unbind(1):
            level = level + self.pace * (now - level)
            levels.append(level)
        return x - torch.stack(levels, 1) * self.share, level


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

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        return self.mix(x), None


class CausalConv(Layer):
    """1-D convolution over time, (N, T, F) -> (N, T // stride, F'); zeros stand before the first frame."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.past = dilation * (kernel - 1) + 1 - stride
        self.conv = nn.Conv1d(
            inputs, outputs, kernel, stride=stride, dilation=dilation, groups=groups, bias=bias
        )

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        joined, state = with_past(x, state, self.past)
        return self.conv(joined.transpose(1, 2)).transpose(1, 2), state


class ConvFront(Layer):
    """A causal, possibly strided, convolution and a ReLU before everything else."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = CausalConv(inputs, outputs, kernel, stride=stride)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        y, state = self.conv(x, state)
        return functional.relu(y), state


class TimeConvBlock(Layer):
    """Causal convolution, batch norm, ReLU, dropout: (N, T, F) -> (N, T, channels)."""

    def __init__(self, inputs: int, channels: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.conv = CausalConv(inputs, channels, kernel, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        y, state = self.conv(x, state)
        return self.dropout(functional.relu(self.norm(y.transpose(1, 2)).transpose(1, 2))), state


class TimeFrequencyBlock(Layer):
    """2-D convolution, causal over time; each step halves the frequency axis, which travels flattened.

    (N, T, inputs * bins) -> (N, T // stride, channels * ceil(bins / 2)). ``separable``: each map by itself, and the
    maps are mixed afterwards.
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
        separable: bool = False,
    ) -> None:
        super().__init__()
        self.inputs, self.bins, self.past = inputs, bins, kernel - stride
        maps, groups = (inputs, inputs) if separable else (channels, 1)
        self.conv = nn.Conv2d(
            inputs, maps, (kernel, 3), (stride, 2), (0, 1), groups=groups, bias=not (norm or separable)
        )
        self.mix = nn.Conv2d(inputs, channels, 1, bias=not norm) if separable else nn.Identity()
        self.norm = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        joined, state = with_past(x, state, self.past)
        maps = joined.reshape(*joined.shape[:2], self.inputs, self.bins).transpose(
            1, 2
        )  # (N, inputs, T, bins)
        z: Tensor = self.dropout(functional.relu(self.norm(self.mix(self.conv(maps)))))
        return z.transpose(1, 2).flatten(2), state


class ResidualBlock(Layer):
    """Dilated causal convolution, batch norm, ReLU, pointwise convolution, plus the input."""

    def __init__(self, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.conv = CausalConv(channels, channels, kernel, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(channels)
        self.dropout = nn.Dropout(dropout)
        self.point = nn.Linear(channels, channels)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        y, state = self.conv(x, state)
        y = functional.relu(self.norm(y.transpose(1, 2)).transpose(1, 2))
        return functional.relu(x + self.point(self.dropout(y))), state


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

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        y, last = self.rnn(x, None if state is None else _swap(state))
        return y, _swap(last)

    def limit_gain(self) -> None:
        """Keep a plain tanh RNN from amplifying: scale its recurrent weights so that their largest singular value
        is at most ``MAX_RECURRENT_GAIN``. Without a limit training makes it chaotic: better on short clips, but
        rounding alone then changes its scores and no export can be shown to be equal. GRU and LSTM need no limit.
        """
        if not isinstance(self.rnn, nn.RNN):
            return
        with torch.no_grad():
            for name, weight in self.rnn.named_parameters():
                if name.startswith("weight_hh") and torch.isfinite(weight).all():  # the loop names a lost run
                    largest = torch.linalg.matrix_norm(weight, ord=2)
                    if largest > MAX_RECURRENT_GAIN:
                        weight.mul_(MAX_RECURRENT_GAIN / largest)

    def memory_excess(self, x: Tensor, y: Tensor, frames: float) -> Tensor:
        """How far the gate that keeps old state exceeds a memory of ``frames`` frames: a mean over units, a scalar.

        That gate is the update gate of a GRU and the forget gate of an LSTM: at a logit of L a unit forgets with
        a time constant of 1 + exp(L) frames. Units that keep it shut remember a start, or a noise, for hours.
        A unit's mean over the piece counts, so keeping state through a pause is free; and the excess counts
        linearly, for the logits of saturated gates are large and their squares would drown the task.
        torch does not give access to the gates, so they are computed again from the layer's input x (N, T, F)
        and output y (N, T, hidden); the first frame, whose earlier state is not in y, is left out. 0 for a plain
        RNN and for several layers, whose inner gates cannot be computed this way.
        """
        rnn = self.rnn
        if rnn.num_layers != 1 or isinstance(rnn, nn.RNN):
            return x.new_zeros(())
        rows = slice(rnn.hidden_size, 2 * rnn.hidden_size)  # second of torch's gates: r z n, and i f g o
        weight_ih, weight_hh, bias_ih, bias_hh = rnn.all_weights[0]
        gate = functional.linear(x[:, 1:], weight_ih[rows], bias_ih[rows])
        gate = gate + functional.linear(y[:, :-1], weight_hh[rows], bias_hh[rows])
        return functional.relu(gate.mean(dim=1) - math.log(frames - 1)).mean()


def _swap(state: State) -> State:
    """torch's (layers, N, hidden) to and from our (N, layers, hidden)."""
    if isinstance(state, tuple):
        return tuple(_swap(part) for part in state)
    return cast(Tensor, state).transpose(0, 1).contiguous()
