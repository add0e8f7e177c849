"""Families of causal networks for enhancement, detection and keywords, as the literature has them, a few lines each."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.export_networks import C, F
from tests.support.frequency_networks import Scored


class ChannelNorm(nn.Module):
    """Conv-TasNet's norm over the channels of each frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.randn(channels, 1)), nn.Parameter(torch.randn(channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        mean, var = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
        return self.gain * (x - mean) / torch.sqrt(var + 1e-8) + self.bias


class TasBlock(nn.Module):
    def __init__(self, channels: int, inner: int, dilation: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Conv1d(channels, inner, 1), nn.Conv1d(inner, channels, 1)
        self.depth = nn.Conv1d(inner, inner, 3, dilation=dilation, padding=2 * dilation, groups=inner)
        self.first, self.second = ChannelNorm(inner), ChannelNorm(inner)
        self.act = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(self.act(self.enter(x)))
        y = self.depth(y)[:, :, : x.shape[2]].contiguous()
        return x + self.leave(self.second(self.act(y)))


class ConvTasNet(Scored):
    """Masks for two sources from a temporal convolutional network."""

    def __init__(self) -> None:
        super().__init__(2 * F)
        self.norm, self.bottle = ChannelNorm(F), nn.Conv1d(F, 8, 1)
        self.blocks = nn.Sequential(*(TasBlock(8, 16, 2**d) for _ in range(2) for d in range(3)))
        self.masks = nn.Conv1d(8, 2 * F, 1)

    def body(self, x: Tensor) -> Tensor:
        w = x.transpose(1, 2)
        m = torch.relu(self.masks(self.blocks(self.bottle(self.norm(w))))).view(x.shape[0], 2, F, -1)
        return (w.unsqueeze(1) * m).flatten(1, 2).transpose(1, 2)


class Axial(Scored):
    """MTFAA's attention along bins, then along the last frames, written with einsum. Layout (N, C, F, T)."""

    def __init__(self) -> None:
        super().__init__(8 * F)
        self.enter, self.leave = nn.Conv2d(1, 8, 1), nn.Conv2d(6, 8, 1)
        self.query, self.key, self.value = (nn.Conv2d(8, 6, 1) for _ in range(3))
        self.later_query, self.later_key = nn.Conv2d(8, 6, 1), nn.Conv2d(8, 6, 1)

    def body(self, x: Tensor) -> Tensor:
        y = self.enter(x.transpose(1, 2).unsqueeze(1))
        t = y.shape[3]
        a = torch.einsum("bcft,bcyt->btfy", self.query(y), self.key(y)) / math.sqrt(6)
        z = torch.einsum("btfy,bcyt->bcft", a.softmax(-1), self.value(y))
        a = torch.einsum("bcft,bcfy->bfty", self.later_query(y), self.later_key(y)) / math.sqrt(6)
        unseen = torch.triu(torch.ones(t, t), 1) + torch.tril(torch.ones(t, t), -6)
        z = torch.einsum("bfty,bcfy->bcft", a.masked_fill(unseen > 0, -1e9).softmax(-1), z)
        return (y + self.leave(z)).permute(0, 3, 1, 2).flatten(2)


class SequentialMemory(Scored):
    """FRCRN's: a memory block along bins between a strided plane and its transposed one."""

    def __init__(self) -> None:
        super().__init__(F)
        self.down = nn.Conv2d(1, 4, (5, 2), (2, 1))
        self.wide, self.narrow = nn.Linear(4, 6), nn.Linear(6, 4, bias=False)
        self.memory = nn.Conv2d(4, 4, (3, 1), padding=(1, 0), groups=4, bias=False)
        self.up = nn.ConvTranspose2d(4, 1, (5, 2), (2, 1), output_padding=(1, 0))

    def body(self, x: Tensor) -> Tensor:
        y = self.down(functional.pad(x.transpose(1, 2).unsqueeze(1), (1, 0)))
        n, c, f, t = y.shape
        z = self.narrow(torch.relu(self.wide(y.permute(0, 3, 2, 1).reshape(n * t, f, c))))
        z = z.unsqueeze(1).permute(0, 3, 2, 1)
        z = (z + self.memory(z)).squeeze(3).reshape(n, t, c, f).permute(0, 2, 3, 1)
        return self.up(y + z)[..., :-1].squeeze(1).transpose(1, 2)


class SubbandChannels(Scored):
    """ULCNet's: bands as channels, a bidirectional GRU along what is left of frequency, GRUs over halves of it."""

    def __init__(self) -> None:
        super().__init__(16)
        self.plane, self.both = (
            nn.Conv2d(3, 8, (1, 3), padding=(0, 1)),
            nn.GRU(8, 4, bidirectional=True, batch_first=True),
        )
        self.point = nn.Conv1d(8, 4, 1)
        self.low, self.high = nn.GRU(8, 8, batch_first=True), nn.GRU(8, 8, batch_first=True)

    def body(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        y = torch.relu(self.plane(x.view(n, t, 3, 4).permute(0, 2, 1, 3)))
        y = self.both(y.permute(0, 2, 3, 1).reshape(n * t, 4, 8))[0]
        low, high = self.point(y.transpose(1, 2)).reshape(n, t, 16).chunk(2, -1)
        return torch.cat([self.low(low)[0], self.high(high)[0]], -1)


class Successive(Scored):
    """SuDoRM-RF's block: depthwise convolutions down three octaves of frame rate, nearest neighbours up again."""

    def __init__(self) -> None:
        super().__init__(8)
        self.enter = nn.Conv1d(F, 8, 1)
        self.down = nn.ModuleList(nn.Conv1d(8, 8, 5, step, groups=8) for step in (1, 2, 2, 2))
        self.norms = nn.ModuleList(nn.BatchNorm1d(8) for _ in range(4))

    def body(self, x: Tensor) -> Tensor:
        y, kept = self.enter(x.transpose(1, 2)), []
        for down, norm in zip(self.down, self.norms, strict=True):
            y = torch.relu(norm(down(functional.pad(y, (4, 0)))))
            kept.append(y)
        for z in kept[-2::-1]:
            y = z + functional.interpolate(y, scale_factor=2)[..., : z.shape[2]]
        return y.transpose(1, 2)


class WaveUNet(Scored):
    """Strided convolutions down, a GRU, transposed convolutions up, skips joined."""

    def __init__(self) -> None:
        super().__init__(8 + F)
        self.one, self.two = nn.Conv1d(F, 8, 4, 2), nn.Conv1d(8, 8, 4, 2)
        self.gru = nn.GRU(8, 8, batch_first=True)
        self.back_two, self.back_one = nn.ConvTranspose1d(8, 8, 4, 2), nn.ConvTranspose1d(16, 8, 4, 2)

    def body(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        a = torch.relu(self.one(functional.pad(x, (3, 0))))
        b = torch.relu(self.two(functional.pad(a, (3, 0))))
        y = self.gru(b.transpose(1, 2))[0].transpose(1, 2)
        y = torch.relu(self.back_two(y))[..., : a.shape[2]]
        y = torch.relu(self.back_one(torch.cat([y, a], 1)))[..., : x.shape[2]]
        return torch.cat([y, x], 1).transpose(1, 2)


class Broadcasted(Scored):
    """BC-ResNet's block with sub-spectral normalisation. Layout (N, C, F, T)."""

    def __init__(self) -> None:
        super().__init__(6)
        self.enter, self.bins = (
            nn.Conv2d(1, 6, 3, padding=(1, 0)),
            nn.Conv2d(6, 6, (3, 1), padding=(1, 0), groups=6),
        )
        self.norm, self.frames = nn.BatchNorm2d(6 * 3), nn.Conv2d(6, 6, (1, 3), dilation=(1, 2), groups=6)
        self.point = nn.Conv2d(6, 6, 1)

    def body(self, x: Tensor) -> Tensor:
        y = self.enter(functional.pad(x.transpose(1, 2).unsqueeze(1), (2, 0)))
        n, c, f, t = y.shape
        a = self.norm(self.bins(y).view(n, 3 * c, f // 3, t)).view(n, c, f, t)
        b = functional.silu(self.frames(functional.pad(a.mean(2, keepdim=True), (4, 0))))
        return torch.relu(y + a + self.point(b)).mean(2).transpose(1, 2)


class DeepFilterOperator(Scored):
    """Coefficients for each bin and the last frames, and what they make of the frames."""

    def __init__(self) -> None:
        super().__init__(F)
        self.gru, self.coefficients = nn.GRU(F, 8, batch_first=True), nn.Linear(8, 3 * F)

    def body(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        weights = self.coefficients(self.gru(x)[0]).view(n, t, 3, f)
        padded = functional.pad(x, (0, 0, 2, 0))
        return (weights * torch.stack([padded[:, k : k + t] for k in range(3)], 2)).sum(2)


class Conditioned(Scored):
    """A GRU over the bins of a frame that starts from what a GRU over frames makes of it."""

    def __init__(self) -> None:
        super().__init__(6 * F)
        self.frames, self.bins = nn.GRU(F, 6, batch_first=True), nn.GRU(1, 6, batch_first=True)

    def body(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        start = self.frames(x)[0].reshape(1, n * t, 6)
        return self.bins(x.reshape(n * t, f, 1), start)[0].reshape(n, t, -1)


class Encoder(Scored):
    """nn.TransformerEncoder with the mask of a window."""

    def __init__(self) -> None:
        super().__init__(8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.enter, self.layers = nn.Linear(F, 8), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def body(self, x: Tensor) -> Tensor:
        place = torch.arange(x.shape[1])
        distance = place[:, None] - place[None, :]
        return self.layers(self.enter(x), mask=(distance < 0) | (distance >= 6))


class Segments(Scored):
    """Dual-path: over the frames of a segment, then over segments. A segment must be complete: 3 frames late."""

    def __init__(self) -> None:
        super().__init__(8)
        self.inner, self.outer = (
            nn.GRU(F, 6, batch_first=True, bidirectional=True),
            nn.GRU(12, 8, batch_first=True),
        )

    def body(self, x: Tensor) -> Tensor:
        n = x.shape[0]
        y = self.inner(x.reshape(-1, 4, F))[0].reshape(n, -1, 4, 12)
        y = y.transpose(1, 2).reshape(n * 4, -1, 12)
        return self.outer(y)[0].reshape(n, 4, -1, 8).transpose(1, 2).reshape(n, -1, 8)


class Prototypes(nn.Module):
    """Distances to learned points, the nearest three, and the most similar one's word."""

    def __init__(self) -> None:
        super().__init__()
        self.points, self.words = nn.Parameter(torch.randn(6, F)), nn.Embedding(6, 5)
        self.head = nn.Linear(3 + 5 + 6, C)

    def forward(self, x: Tensor) -> Tensor:
        distance = (x.unsqueeze(2) - self.points).pow(2).mean(-1)
        nearest, place = torch.topk(distance, 3, dim=-1, largest=False)
        best = functional.one_hot(place[..., 0], 6).float()
        return self.head(torch.cat([nearest, self.words(place[..., 0]), best], -1))


STREAMABLE: dict[str, Callable[[], nn.Module]] = {
    "Conv-TasNet": ConvTasNet,
    "axial attention": Axial,
    "FRCRN": SequentialMemory,
    "ULCNet": SubbandChannels,
    "SuDoRM-RF": Successive,
    "Wave-U-Net": WaveUNet,
    "BC-ResNet": Broadcasted,
    "deep filtering": DeepFilterOperator,
    "bins conditioned on frames": Conditioned,
    "transformer encoder over a window": Encoder,
    "prototypes": Prototypes,
}
DELAYED: dict[str, tuple[Callable[[], nn.Module], int]] = {"dual path over segments": (Segments, 3)}
