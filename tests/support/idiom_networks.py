"""Idioms of causal networks: padding, windows, final states, attention over a window."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.export_networks import C, Convolutional, F, Featureless, Simple


def _lstm(layers: int = 1) -> nn.Module:
    return nn.LSTM(F, 16, layers, batch_first=True)


def _final(how: Callable[[tuple[Tensor, Tensor]], Tensor], layers: int = 1, width: int = 16) -> nn.Module:
    return Simple(_lstm(layers), lambda m, x: m.head(how(m.rnn(x)[1])), width)


def _replicated(past: int, kernel: int) -> nn.Module:
    return Convolutional(
        nn.Conv1d(F, 8, kernel),
        lambda m, x: m.head(
            m.conv(functional.pad(x.transpose(1, 2), (past, 0), mode="replicate")).transpose(1, 2)
        ),
    )


class ReplicatedTcn(nn.Module):
    """Every layer repeats its own first frame; skips around it."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.head = nn.Conv1d(F, 8, 1), nn.Conv1d(8, C, 1)
        self.convs = nn.ModuleList(
            nn.Conv1d(8, 8, 3, dilation=2**i, padding=2 * 2**i, padding_mode="replicate") for i in range(3)
        )
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x.transpose(1, 2))
        for i, conv in enumerate(self.convs):
            x = x + functional.mish(self.norm(conv(x)[..., : -2 * 2**i]))
        return self.head(x).transpose(1, 2)


class Words(nn.Module):
    """A frame's values as numbers of words: quantised, embedded, summed up by a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.rnn = nn.Embedding(16, 3), nn.GRU(3 * F, 16, batch_first=True)
        self.head = nn.Linear(16, C)

    def forward(self, x: Tensor) -> Tensor:
        words = torch.clamp((x * 2 + 6).long(), 0, 15)
        return self.head(self.rnn(self.table(words).flatten(2))[0])


class Stacked(nn.Module):
    """Frames with those before them, by Tensor.unfold or nn.Unfold over time."""

    def __init__(self, how: str, past: int = 4) -> None:
        super().__init__()
        self.how, self.past = how, past
        self.dense, self.head = nn.Linear(F * (past + 1), 16), nn.Linear(16, C)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.pad(x, (0, 0, self.past, 0))
        if self.how == "tensor":
            y = y.unfold(1, self.past + 1, 1).flatten(2)
        elif self.how == "columns":
            y = functional.unfold(y.transpose(1, 2).unsqueeze(3), (self.past + 1, 1)).transpose(1, 2)
        else:
            y = functional.unfold(y.unsqueeze(1), (self.past + 1, F)).transpose(1, 2)
        return self.head(torch.relu(self.dense(y)))


def window_mask(frames: int, window: int) -> Tensor:
    """(T, T) boolean, True where row sees column: itself and the frames before it."""
    place = torch.arange(frames)
    distance = place[:, None] - place[None, :]
    return (distance >= 0) & (distance < window)


def rotated(x: Tensor) -> Tensor:
    """Rotary positions, (N, heads, T, d): Su et al. 2021, the halves of the features turned against each other."""
    half = x.shape[-1] // 2
    rates = 100.0 ** (-torch.arange(half) / half)
    angles = torch.outer(torch.arange(x.shape[-2]).to(rates.dtype), rates)
    angles = torch.cat([angles, angles], -1)
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return x * angles.cos() + turned * angles.sin()


def rotated_in_pairs(x: Tensor) -> Tensor:
    """The same of neighbouring features, as complex numbers."""
    half = x.shape[-1] // 2
    rates = 100.0 ** (-torch.arange(half) / half)
    angles = torch.outer(torch.arange(x.shape[-2]).to(rates.dtype), rates)
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], half, 2))
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


class Windowed(nn.Module):
    """Self-attention over the last frames, in the ways people write it."""

    bias: Tensor

    def __init__(self, how: str, window: int = 7) -> None:
        super().__init__()
        self.how, self.window, self.enter = how, window, nn.Linear(F, 8)
        self.qkv, self.out, self.head = nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, C)
        self.layer = nn.MultiheadAttention(8, 2, batch_first=how != "layer, time first")
        self.bias = nn.Parameter(torch.randn(2, window))
        self.register_buffer("table", window_mask(3000, window))
        self.norm = nn.LayerNorm(8)

    def mask(self, x: Tensor) -> Tensor:
        t = x.shape[1]
        if self.how == "table":
            return self.table[:t, :t]
        if self.how == "triangles":
            ones = torch.ones(t, t, dtype=torch.bool, device=x.device)
            return torch.tril(ones) & torch.triu(ones, diagonal=1 - self.window)
        return window_mask(t, self.window)

    def attend(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        seen = self.mask(x)
        if self.how.startswith("layer"):
            y = x if self.layer.batch_first else x.transpose(0, 1)
            y = self.layer(y, y, y, attn_mask=~seen, need_weights=False)[0]
            return y if self.layer.batch_first else y.transpose(0, 1)
        q, k, v = self.qkv(x).chunk(3, -1)
        if self.how == "one head":
            score = torch.bmm(q, k.transpose(1, 2)) / 8**0.5
            return torch.bmm(torch.softmax(score + torch.where(seen, 0.0, -1e9), -1), v)
        q, k, v = (z.reshape(n, t, 2, 4).transpose(1, 2) for z in (q, k, v))
        if self.how.startswith("rotary"):
            turn = rotated_in_pairs if self.how.endswith("pairs") else rotated
            q, k = turn(q), turn(k)
        if self.how.startswith("rotary") or self.how in ("scaled", "table", "triangles"):
            y = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        elif self.how == "heads in the batch":
            q, k, v = (z.reshape(n * 2, t, 4) for z in (q, k, v))
            score = torch.baddbmm(torch.where(seen, 0.0, float("-inf")), q, k.transpose(1, 2), alpha=0.5)
            y = torch.bmm(torch.softmax(score, -1), v).reshape(n, 2, t, 4)
        else:
            score = (q @ k.transpose(-2, -1)) * 0.5
            if self.how == "relative":
                place = torch.arange(t)
                score = score + self.bias[:, (place[:, None] - place[None, :]).clamp(0, self.window - 1)]
            score = score.masked_fill(~seen, -1e9 if self.how == "by hand" else float("-inf"))
            if self.how == "by hand":
                score = (score - score.amax(-1, keepdim=True)).exp()
                weights = score / score.sum(-1, keepdim=True)
            else:
                weights = torch.softmax(score, -1)
            y = weights @ v
        return self.out(y.transpose(1, 2).reshape(n, t, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        return self.head(self.norm(x + self.attend(x)))


class Positions(nn.Module):
    """Sinusoidal positions added to the frames: Vaswani et al. 2017, for sounds of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.rnn, self.head = nn.Linear(F, 8), nn.GRU(8, 8, batch_first=True), nn.Linear(8, C)

    def forward(self, x: Tensor) -> Tensor:
        angles = torch.arange(x.shape[1])[:, None] * 100.0 ** (-torch.arange(4) / 4)
        table = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
        return self.head(self.rnn(self.enter(x) + table)[0])


class Conformer(nn.Module):
    """Half-step feed-forward, windowed attention with relative positions, causal convolution, half-step."""

    def __init__(self, blocks: int = 2) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(F, 8), nn.Linear(8, C)
        self.blocks = nn.ModuleList(self._block() for _ in range(blocks))

    @staticmethod
    def _block() -> nn.ModuleDict:
        def feed() -> nn.Module:
            return nn.Sequential(
                nn.LayerNorm(8), nn.Linear(8, 16), nn.SiLU(), nn.Dropout(0.1), nn.Linear(16, 8)
            )

        return nn.ModuleDict(
            {
                "first": feed(),
                "attention": Windowed("relative", 5),
                "before": nn.LayerNorm(8),
                "gate": nn.Conv1d(8, 16, 1),
                "depth": nn.Conv1d(8, 8, 5, groups=8),
                "norm": nn.BatchNorm1d(8),
                "mix": nn.Conv1d(8, 8, 1),
                "last": feed(),
                "after": nn.LayerNorm(8),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for block in self.blocks:
            x = x + 0.5 * block["first"](x)
            x = x + block["attention"].attend(x)
            y = functional.glu(block["gate"](block["before"](x).transpose(1, 2)), 1)
            y = block["norm"](block["depth"](functional.pad(y, (4, 0))))
            x = x + block["mix"](functional.silu(y)).transpose(1, 2)
            x = block["after"](x + 0.5 * block["last"](x))
        return self.head(x)


class Subsampled(nn.Module):
    """Down to a lower frame rate, something there, and back by repeating; a skip around it."""

    def __init__(self, down: str, middle: str, back: str, step: int = 2) -> None:
        super().__init__()
        self.down, self.middle, self.back, self.step = down, middle, back, step
        self.conv, self.norm = nn.Conv1d(F, 8, 3, stride=step), nn.BatchNorm1d(8)
        self.inner = nn.LSTM(8, 8, batch_first=True) if middle == "LSTM" else nn.GRU(8, 8, batch_first=True)
        self.deep, self.wide = nn.Conv1d(8, 8, 3), nn.Conv1d(8, 8 * step, 1)
        self.up, self.head = nn.ConvTranspose1d(8, 8, 2 * step, step), nn.Linear(8 + F, C)

    def forward(self, x: Tensor) -> Tensor:
        t, y = x.shape[1], x.transpose(1, 2)
        if self.down == "convolution":
            y = torch.relu(self.norm(self.conv(functional.pad(y, (2, 0)))))
        elif self.down == "slice":
            y = y[:, :8, :: self.step]
        else:
            pool = functional.avg_pool1d if self.down == "average" else functional.max_pool1d
            y = pool(y[:, :8], self.step)
        if self.middle == "levels":  # a U-Net
            y = torch.relu(self.deep(functional.pad(y, (2, 0))))
            z = functional.max_pool1d(functional.pad(y, (1, 0)), 2)
            y = (
                y
                + torch.tanh(self.deep(functional.pad(z, (2, 0)))).repeat_interleave(2, 2)[..., : y.shape[2]]
            )
        else:
            y = self.inner(y.transpose(1, 2))[0].transpose(1, 2)
        if self.back == "repeat":
            y = y.repeat_interleave(self.step, 2)
        elif self.back == "nearest":
            y = functional.interpolate(y, scale_factor=self.step)
        elif self.back == "transposed":
            y = self.up(y)[..., : -self.step]
        else:  # sub-pixel
            n, _, m = y.shape
            y = self.wide(y).view(n, 8, self.step, m).permute(0, 1, 3, 2).reshape(n, 8, m * self.step)
        y = y.transpose(1, 2)[:, :t]
        return self.head(torch.cat([y, x[:, : y.shape[1]]], -1))


def _trained(network: nn.Module) -> nn.Module:
    """After one step of training: the weights have a history."""
    x = torch.randn(2, 40, F)
    network.train()
    loss = network(x).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.1 * (parameter.grad if parameter.grad is not None else 0)
    network(x)
    return network


def _old_weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old form is deprecated, and people have it
        norm = nn.utils.weight_norm
        conv = norm(nn.Conv1d(F, 8, 3))
    return Convolutional(
        conv, lambda m, x: m.head(m.conv(functional.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2))
    )


def _new_weight_norm() -> nn.Module:
    norm = nn.utils.parametrizations.weight_norm
    return Convolutional(
        norm(nn.Conv1d(F, 8, 3)),
        lambda m, x: m.head(m.conv(functional.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2)),
    )


class Projected(nn.Module):
    """An LSTM with projections; rows, last hidden and last cell."""

    def __init__(self, layers: int = 2, **options: bool) -> None:
        super().__init__()
        self.rnn = nn.LSTM(F, 10, layers, proj_size=4, batch_first=True, **options)
        self.head = nn.Linear(4, C)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0])


class ProjectedEnd(Projected):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(14, C)

    def forward(self, x: Tensor) -> Tensor:
        h, c = self.rnn(x)[1]
        return self.head(torch.cat([h[-1], c[-1]], -1))


class ProjectedBins(nn.Module):
    """Bidirectional with projections, over the bins of a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(1, 6, bidirectional=True, batch_first=True, proj_size=3)
        self.head = nn.Linear(6 * F, C)

    def forward(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        return self.head(self.rnn(x.reshape(n * t, f, 1))[0].reshape(n, t, -1))


class Compiled(nn.Module):
    """A part of it through torch.compile."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.compile(nn.Sequential(nn.Linear(F, 8), nn.ReLU()))
        self.rnn, self.head = nn.GRU(8, 16, batch_first=True), torch.compile(nn.Linear(16, C))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(self.first(x))[0])


STREAMABLE: dict[str, Callable[[], nn.Module]] = {
    "h_n viewed": lambda: _final(lambda s: s[0].view(-1, 16)),
    "h_n squeezed": lambda: _final(lambda s: s[0].squeeze(0)),
    "h_n of all layers": lambda: _final(lambda s: s[0].transpose(0, 1).reshape(-1, 32), 2, 32),
    "h_n permuted": lambda: _final(lambda s: s[0].permute(1, 0, 2).flatten(1), 2, 32),
    "h_n, last two layers": lambda: _final(lambda s: torch.cat((s[0][-2], s[0][-1]), dim=1), 2, 32),
    "h_n by layer and direction": lambda: _final(lambda s: s[0].view(2, 1, -1, 16)[-1].squeeze(0), 2),
    "h_n, mean of layers": lambda: _final(lambda s: s[0].mean(0), 2),
    "c_n": lambda: _final(lambda s: s[1][-1]),
    "h_n and c_n": lambda: _final(lambda s: torch.cat([s[0][-1], s[1][-1]], 1), 2, 32),
    "mean of the last 5 frames": lambda: Simple(_lstm(), lambda m, x: m.head(m.rnn(x)[0][:, -5:].mean(1))),
    "maximum of the last 5 frames": lambda: Simple(_lstm(), lambda m, x: m.head(m.rnn(x)[0][:, -5:].amax(1))),
    "last 3 frames, laid out": lambda: Simple(
        _lstm(), lambda m, x: m.head(m.rnn(x)[0][:, -3:].flatten(1)), 48
    ),
    "last 4 frames of a convolution": lambda: Convolutional(
        nn.Conv1d(F, 8, 3), lambda m, x: m.head(m.conv(x.transpose(1, 2))[..., -4:].mean(-1))
    ),
    "replicate padding": lambda: _replicated(4, 5),
    "replicate padding, more than needed": lambda: Convolutional(
        nn.Conv1d(F, 8, 3),
        lambda m, x: m.head(
            m.conv(functional.pad(x.transpose(1, 2), (4, 0), mode="replicate"))[..., 2:].transpose(1, 2)
        ),
    ),
    "replicate padding in two layers": ReplicatedTcn,
    "replicated plane": lambda: Convolutional(
        nn.Conv2d(1, 2, (3, 3), padding=(0, 1)),
        lambda m, x: m.head(
            m.conv(functional.pad(x.unsqueeze(1), (0, 0, 2, 0), mode="replicate")).transpose(1, 2).flatten(2)
        ),
        2 * F,
    ),
    "first difference, first frame repeated": lambda: Featureless(
        lambda x: torch.cat([x, x - torch.cat([x[:, :1], x[:, :-1]], 1)], -1), 2 * F
    ),
    "embedded values": Words,
    "unfolded in time": lambda: Stacked("tensor"),
    "unfolded columns": lambda: Stacked("columns"),
    "unfolded plane": lambda: Stacked("plane"),
    "every second frame, repeated": lambda: Subsampled("slice", "GRU", "repeat"),
    "every second frame through an LSTM, repeated": lambda: Subsampled("slice", "LSTM", "repeat"),
    "convolution of step 2, levels, repeated": lambda: Subsampled("convolution", "levels", "repeat"),
    "convolution of step 3, GRU, nearest": lambda: Subsampled("convolution", "GRU", "nearest", 3),
    "convolution of step 4, transposed": lambda: Subsampled("convolution", "GRU", "transposed", 4),
    "convolution of step 3, sub-pixel": lambda: Subsampled("convolution", "GRU", "sub-pixel", 3),
    "weight norm, old, fresh from training": lambda: _trained(_old_weight_norm()),
    "weight norm, fresh from training": lambda: _trained(_new_weight_norm()),
    "LSTM with projections": Projected,
    "LSTM with projections, no bias": lambda: Projected(1, bias=False),
    "LSTM with projections, last states": ProjectedEnd,
    "LSTM with projections over bins": ProjectedBins,
    "compiled in part": Compiled,
    "compiled": lambda: torch.compile(Simple(_lstm(), lambda m, x: m.head(m.rnn(x)[0]))),
    **{
        f"attention over 7 frames, {how}": lambda how=how: Windowed(how)
        for how in (
            *(
                "scaled",
                "table",
                "triangles",
                "one head",
                "heads in the batch",
                "relative",
                "rotary",
                "rotary, pairs",
                "by hand",
                "masked",
            ),
            *("layer", "layer, time first"),
        )
    },
    "attention over 150 frames": lambda: Windowed("scaled", 150),
    "attention over one frame": lambda: Windowed("scaled", 1),
    "Conformer": Conformer,
    "sinusoidal positions": Positions,
    "mish": lambda: Featureless(functional.mish),
}


class Masked(nn.Module):
    """Attention whose mask is something else than a window of the past."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.head = how, nn.Linear(F, C)

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "causal flag":
            return self.head(functional.scaled_dot_product_attention(x, x, x, is_causal=True))
        place = torch.arange(x.shape[1])
        distance = place[:, None] - place[None, :]
        seen = {
            "causal": distance >= 0,
            "ahead": (distance >= -2) & (distance < 5),
            "chunks": (distance >= 0) & (place[:, None] // 4 == place[None, :] // 4),
            "none": distance > -1000000,
        }[self.how]
        score = (x @ x.transpose(1, 2)).masked_fill(~seen, float("-inf"))
        return self.head(torch.softmax(score, -1) @ x)


DELAYED: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "average of 4, repeated": (lambda: Subsampled("average", "GRU", "repeat", 4), 3),
    "maximum of 2, levels, repeated": (lambda: Subsampled("maximum", "levels", "repeat"), 1),
}
REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "causal attention": (lambda: Masked("causal"), "all frames before it, so its memory grows without end"),
    "causal attention by flag": (lambda: Masked("causal flag"), "memory grows without end"),
    "attention that sees ahead": (lambda: Masked("ahead"), "2 frame(s) to come"),
    "attention in chunks": (lambda: Masked("chunks"), "differs from frame to frame"),
    "attention with a mask that masks nothing": (lambda: Masked("none"), "frame(s) to come"),
    "mirrored padding": (
        lambda: Featureless(
            lambda x: functional.pad(x.transpose(1, 2), (2, 0), mode="reflect")[..., :-2].transpose(1, 2)
        ),
        "mode='replicate'",
    ),
    "replicate padding before a GRU": (
        lambda: Simple(
            nn.GRU(F, 16, batch_first=True),
            lambda m, x: m.head(
                m.rnn(functional.pad(x.transpose(1, 2), (3, 0), mode="replicate").transpose(1, 2))[0][:, 3:]
            ),
        ),
        "first frame",
    ),
    "the first frame added to all": (lambda: Featureless(lambda x: x + x[:, :1]), "first frames only"),
    "interpolation over time": (
        lambda: Featureless(
            lambda x: functional.interpolate(
                x[:, ::2].transpose(1, 2), scale_factor=2, mode="linear"
            ).transpose(1, 2)
        ),
        "interpolates along time",
    ),
}
