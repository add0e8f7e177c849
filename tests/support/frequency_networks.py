"""Networks with a frequency axis as the literature has them: causal in time, anything within a frame."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.export_networks import C, F


class Scored(nn.Module):
    """A body (N, T, F) -> (N, T, features) with a head of scores."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = nn.Linear(width, C)

    def body(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


class CausalPlane(nn.Module):
    """(N, C, T, F): a convolution causal in time, symmetric in frequency."""

    def __init__(
        self, inner: int, outer: int, kernel: tuple[int, int], step: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.past, self.side = kernel[0] - 1, kernel[1] // 2
        self.conv = nn.Conv2d(inner, outer, kernel, (1, step), groups=groups)
        self.norm, self.act = nn.BatchNorm2d(outer), nn.PReLU(outer)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (self.side, self.side, self.past, 0))
        return self.act(self.norm(self.conv(x)))


class CausalUp(nn.Module):
    """Transposed convolution that doubles the bins; in time its tail is cut off."""

    def __init__(self, inner: int, outer: int, kernel: tuple[int, int], groups: int = 1) -> None:
        super().__init__()
        self.past = kernel[0] - 1
        self.conv = nn.ConvTranspose2d(inner, outer, kernel, (1, 2), (0, 1), (0, 1), groups=groups)
        self.norm = nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return functional.elu(self.norm(y[:, :, : y.shape[2] - self.past]))


class DualPath(nn.Module):
    """DPCRN's block: bidirectional over bins, forward over frames, layer norms over (bins, channels)."""

    def __init__(self, channels: int, bins: int, hidden: int = 6, kind: type[nn.RNNBase] = nn.LSTM) -> None:
        super().__init__()
        self.intra = kind(channels, hidden, batch_first=True, bidirectional=True)
        self.inter = kind(channels, hidden, batch_first=True)
        self.intra_fc, self.inter_fc = nn.Linear(2 * hidden, channels), nn.Linear(hidden, channels)
        self.intra_norm, self.inter_norm = nn.LayerNorm((bins, channels)), nn.LayerNorm((bins, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, F) -> the same."""
        n, c, t, f = x.shape
        x = x.permute(0, 2, 3, 1)  # (N, T, F, C)
        y = self.intra_fc(self.intra(x.reshape(n * t, f, c))[0]).reshape(n, t, f, c)
        x = x + self.intra_norm(y)
        y = x.permute(0, 2, 1, 3).reshape(n * f, t, c)
        y = self.inter_fc(self.inter(y)[0]).reshape(n, f, t, c).permute(0, 2, 1, 3)
        return (x + self.inter_norm(y)).permute(0, 3, 1, 2)


class Dpcrn(Scored):
    def __init__(self) -> None:
        super().__init__(F)
        self.down1, self.down2 = CausalPlane(1, 4, (2, 3), 2), CausalPlane(4, 8, (2, 3), 1)
        self.dual = nn.Sequential(DualPath(8, F // 2), DualPath(8, F // 2, kind=nn.GRU))
        self.up2, self.up1 = CausalUp(16, 4, (2, 3)), CausalPlane(4, 1, (1, 3))

    def body(self, x: Tensor) -> Tensor:
        a = self.down1(x.unsqueeze(1))
        b = self.down2(a)
        y = self.dual(b)
        return self.up1(self.up2(torch.cat([y, b], 1))).squeeze(1)


class SubbandFeatures(nn.Module):
    """Neighbouring bins as channels, by nn.Unfold over frequency."""

    def __init__(self) -> None:
        super().__init__()
        self.unfold = nn.Unfold((1, 3), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, c, t, f = x.shape
        return self.unfold(x).reshape(n, 3 * c, t, f)


class TemporalAttention(nn.Module):
    """GTCRN's TRA: energy over bins, a GRU over frames, a gate for every channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gru, self.fc = (
            nn.GRU(channels, 2 * channels, batch_first=True),
            nn.Linear(2 * channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        energy = x.pow(2).mean(-1)
        gate = torch.sigmoid(self.fc(self.gru(energy.transpose(1, 2))[0])).transpose(1, 2)
        return x * gate[..., None]


class GroupedTemporal(nn.Module):
    """GTCRN's grouped temporal convolution block with channel shuffle."""

    def __init__(self, channels: int, dilation: int, up: bool = False) -> None:
        super().__init__()
        half, self.past = channels // 2, 2 * dilation
        conv = nn.ConvTranspose2d if up else nn.Conv2d
        self.subband = SubbandFeatures()
        self.point = nn.Sequential(conv(3 * half, channels, 1), nn.BatchNorm2d(channels), nn.PReLU())
        padding = (2 * dilation, 1) if up else (0, 1)
        self.depth = conv(
            channels, channels, (3, 3), padding=padding, dilation=(dilation, 1), groups=channels
        )
        self.depth_norm = nn.BatchNorm2d(channels)
        self.back, self.gate = conv(channels, half, 1), TemporalAttention(half)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        y = self.point(self.subband(a))
        y = self.depth_norm(self.depth(functional.pad(y, (0, 0, self.past, 0))))
        y = self.gate(self.back(functional.relu(y)))
        n, c, t, f = y.shape
        return torch.stack([y, b], 1).transpose(1, 2).reshape(n, 2 * c, t, f)


class GroupedRnn(nn.Module):
    """Channels in two halves, each with its own recurrence."""

    def __init__(self, width: int, hidden: int, both: bool) -> None:
        super().__init__()
        self.first = nn.GRU(width // 2, hidden // 2, batch_first=True, bidirectional=both)
        self.second = nn.GRU(width // 2, hidden // 2, batch_first=True, bidirectional=both)

    def forward(self, x: Tensor) -> Tensor:
        a, b = torch.chunk(x, 2, -1)
        return torch.cat([self.first(a)[0], self.second(b)[0]], -1)


class GroupedDualPath(nn.Module):
    def __init__(self, channels: int, bins: int) -> None:
        super().__init__()
        self.intra, self.inter = (
            GroupedRnn(channels, channels // 2, True),
            GroupedRnn(channels, channels, False),
        )
        self.intra_fc, self.inter_fc = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.intra_norm, self.inter_norm = (nn.LayerNorm((bins, channels), eps=1e-8) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        y = x.reshape(x.shape[0] * x.shape[1], x.shape[2], x.shape[3])
        y = self.intra_fc(self.intra(y)).reshape(x.shape[0], -1, x.shape[2], x.shape[3])
        x = x + self.intra_norm(y)
        z = x.permute(0, 2, 1, 3)
        y = z.reshape(z.shape[0] * z.shape[1], z.shape[2], z.shape[3])
        y = self.inter_fc(self.inter(y)).reshape(x.shape[0], z.shape[1], -1, z.shape[3]).permute(0, 2, 1, 3)
        return (x + self.inter_norm(y)).permute(0, 3, 1, 2)


class Gtcrn(Scored):
    def __init__(self) -> None:
        super().__init__(F)
        self.bands, self.unband = nn.Linear(F - 4, 4, bias=False), nn.Linear(4, F - 4, bias=False)
        self.subband, self.down = SubbandFeatures(), CausalPlane(3, 8, (1, 5), 2)
        self.encoder = nn.ModuleList(GroupedTemporal(8, d) for d in (1, 2))
        self.dual = GroupedDualPath(8, 4)
        self.decoder = nn.ModuleList(GroupedTemporal(8, d, up=True) for d in (2, 1))
        self.up = CausalUp(8, 1, (1, 3))

    def body(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(1)
        x = torch.cat([x[..., :4], self.bands(x[..., 4:])], -1)
        y = self.down(self.subband(x))
        kept = []
        for block in self.encoder:
            y = block(y)
            kept.append(y)
        y = self.dual(y)
        for block in self.decoder:
            y = block(y + kept.pop())
        y = self.up(y)
        return torch.cat([y[..., :4], self.unband(y[..., 4:])], -1).squeeze(1)


class Crn(Scored):
    """Encoder of strided planes, LSTMs over all that a frame holds, decoder with skips."""

    def __init__(self) -> None:
        super().__init__(F)
        self.down = nn.ModuleList([CausalPlane(1, 4, (2, 3), 2), CausalPlane(4, 8, (2, 3), 2)])
        self.rnn = nn.LSTM(8 * 3, 8 * 3, 2, batch_first=True)
        self.up = nn.ModuleList([CausalUp(16, 4, (2, 3)), CausalUp(8, 1, (2, 3))])

    def body(self, x: Tensor) -> Tensor:
        y, kept = x.unsqueeze(1), []
        for down in self.down:
            y = down(y)
            kept.append(y)
        n, c, t, f = y.shape
        y = self.rnn(y.transpose(1, 2).reshape(n, t, c * f))[0].reshape(n, t, c, f).transpose(1, 2)
        for up in self.up:
            y = up(torch.cat([y, kept.pop()], 1))
        return y.squeeze(1)


class Dccrn(Scored):
    """Real and imaginary parts as tensors of their own: (a + ib)(x + iy) in every layer. Layout (N, C, F, T)."""

    def __init__(self) -> None:
        super().__init__(2 * F)
        self.real_in, self.imaginary_in = nn.Linear(F, F), nn.Linear(F, F)
        self.re, self.im = (nn.Conv2d(1, 4, (5, 2), (2, 1), (2, 1)) for _ in range(2))
        self.rnn_re, self.rnn_im = nn.LSTM(4 * F // 2, 16), nn.LSTM(4 * F // 2, 16)
        self.back_re, self.back_im = nn.Linear(16, 4 * F // 2), nn.Linear(16, 4 * F // 2)
        self.up_re, self.up_im = (nn.ConvTranspose2d(8, 1, (5, 2), (2, 1), (2, 0), (1, 0)) for _ in range(2))
        self.norm = nn.BatchNorm2d(8)

    @staticmethod
    def _times(re: nn.Module, im: nn.Module, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return re(a) - im(b), re(b) + im(a)

    def body(self, x: Tensor) -> Tensor:
        a, b = self.real_in(x).transpose(1, 2).unsqueeze(1), self.imaginary_in(x).transpose(1, 2).unsqueeze(1)
        a, b = self._times(self.re, self.im, a, b)
        a, b = a[..., :-1], b[..., :-1]
        y = functional.leaky_relu(self.norm(torch.cat([a, b], 1)))
        a, b = torch.chunk(y, 2, 1)
        n, c, f, t = a.shape
        p, q = (z.permute(3, 0, 1, 2).reshape(t, n, c * f) for z in (a, b))
        ra, ia = self.rnn_re(p)[0], self.rnn_im(p)[0]
        rb, ib = self.rnn_re(q)[0], self.rnn_im(q)[0]
        p, q = self.back_re(ra - ib), self.back_im(rb + ia)
        p, q = (z.reshape(t, n, c, f).permute(1, 2, 3, 0) for z in (p, q))
        a, b = self._times(self.up_re, self.up_im, torch.cat([a, p], 1), torch.cat([b, q], 1))
        a, b = a[..., :-1], b[..., :-1]
        mask = torch.sqrt(a**2 + b**2 + 1e-6)
        return torch.cat([torch.tanh(mask), torch.atan(b / (a.abs() + 1))], 2).squeeze(1).transpose(1, 2)


class DeepFilter(Scored):
    """Separable convolutions, grouped linear layers, a squeezed GRU, a decoder along frequency."""

    def __init__(self) -> None:
        super().__init__(F + 6)
        self.enter = CausalPlane(1, 8, (3, 3))
        self.depth1, self.point1 = (
            nn.Conv2d(8, 8, (1, 3), (1, 2), (0, 1), groups=8, bias=False),
            nn.Conv2d(8, 8, 1),
        )
        self.weight = nn.Parameter(torch.randn(4, 12, 8) * 0.2)
        self.gru = nn.GRU(32, 32, 2, batch_first=True)
        self.out = nn.Parameter(torch.randn(4, 8, 12) * 0.2)
        self.path1, self.path0 = nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 8, 1, groups=2)
        self.up = nn.ConvTranspose2d(8, 8, (1, 3), (1, 2), (0, 1), (0, 1), groups=8)
        self.last, self.deep = nn.Conv2d(8, 1, (1, 3), padding=(0, 1)), nn.GRU(32, 6, batch_first=True)

    def body(self, x: Tensor) -> Tensor:
        a = self.enter(x.unsqueeze(1))
        b = torch.relu(self.point1(self.depth1(a)))
        n, c, t, f = b.shape
        y = b.permute(0, 2, 3, 1).reshape(n, t, 4, f * c // 4)
        y = torch.relu(torch.einsum("btgi,gih->btgh", y, self.weight)).flatten(2)
        y = self.gru(y)[0]
        coefficients = self.deep(y)[0]
        y = torch.relu(torch.einsum("btgi,gih->btgh", y.reshape(n, t, 4, 8), self.out)).flatten(2)
        y = y.reshape(n, t, f, c).permute(0, 3, 1, 2)
        y = torch.relu(self.up(torch.relu(self.path1(b)) + y))
        y = torch.sigmoid(self.last(torch.relu(self.path0(a)) + y)).squeeze(1)
        return torch.cat([x * y, coefficients], -1)


class TfGrid(Scored):
    """TF-GridNet's block, causal: bins unfolded, a bidirectional LSTM over them, a transposed convolution back; an LSTM
    over frames; and attention of a frame's bins to each other."""

    def __init__(self, size: int = 4, step: int = 2) -> None:
        super().__init__(6 * F)
        self.size, self.step, c, h = size, step, 6, 5
        self.enter = CausalPlane(1, c, (3, 3))
        self.intra_norm, self.inter_norm = nn.LayerNorm(c), nn.LayerNorm(c)
        self.intra = nn.LSTM(c * size, h, batch_first=True, bidirectional=True)
        self.intra_up = nn.ConvTranspose1d(2 * h, c, size, step)
        self.inter, self.inter_fc = nn.LSTM(c, h, batch_first=True), nn.Linear(h, c)
        self.attention = nn.MultiheadAttention(c, 2, batch_first=True)

    def body(self, x: Tensor) -> Tensor:
        y = self.enter(x.unsqueeze(1)).permute(0, 2, 3, 1)  # (N, T, F, C)
        n, t, f, c = y.shape
        z = self.intra_norm(y).permute(0, 1, 3, 2).reshape(n * t, c, f, 1)
        z = functional.unfold(z, (self.size, 1), stride=(self.step, 1))
        z = self.intra(z.transpose(1, 2))[0]
        z = self.intra_up(z.transpose(1, 2)).reshape(n, t, c, f).permute(0, 1, 3, 2)
        y = y + z
        z = self.inter_norm(y).transpose(1, 2).reshape(n * f, t, c)
        y = y + self.inter_fc(self.inter(z)[0]).reshape(n, f, t, c).transpose(1, 2)
        z = y.reshape(n * t, f, c)
        y = y + self.attention(z, z, z, need_weights=False)[0].reshape(n, t, f, c)
        return y.reshape(n, t, f * c)


class BinAttention(Scored):
    """Scaled dot-product attention over the bins of a frame, heads in the batch axis, written out or by torch."""

    def __init__(self, how: str) -> None:
        super().__init__(8 * F)
        self.how, self.enter, self.qkv, self.out = how, nn.Linear(1, 8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.places = nn.Parameter(torch.randn(F, 8))

    def body(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        y = self.enter(x.unsqueeze(-1)) + self.places
        q, k, v = self.qkv(y.reshape(n * t, f, 8)).chunk(3, -1)
        if self.how == "heads in the batch":
            q, k, v = (z.reshape(n * t, f, 2, 4).transpose(1, 2).reshape(n * t * 2, f, 4) for z in (q, k, v))
            z = torch.bmm(torch.softmax(torch.bmm(q, k.transpose(1, 2)) / 2, -1), v)
            z = z.reshape(n * t, 2, f, 4).transpose(1, 2).reshape(n, t, f, 8)
        else:
            q, k, v = (z.reshape(n * t, f, 2, 4).transpose(1, 2) for z in (q, k, v))
            z = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, f, 8)
        return (y + self.out(z)).reshape(n, t, -1)


class FrequencyLstm(Scored):
    """LSTM over the bins of each frame, bins slowest: (F, N * T, 1); its last state is the frame's vector."""

    def __init__(self, last: bool) -> None:
        super().__init__(12 if last else 12 * F)
        self.last, self.rnn = last, nn.LSTM(1, 6, bidirectional=True)
        self.over_time = nn.GRU(12 if last else 12 * F, 12 if last else 12 * F, batch_first=True)

    def body(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        y, (h, _) = self.rnn(x.reshape(n * t, f).t().unsqueeze(-1))
        y = h.transpose(0, 1).reshape(n, t, 12) if self.last else y.transpose(0, 1).reshape(n, t, -1)
        return self.over_time(y)[0]


class Subbands(Scored):
    """FullSubNet's second half: every bin with its neighbours and the full band's output is a sequence of its own."""

    def __init__(self, slow: bool = False) -> None:
        super().__init__(F)
        self.slow = slow
        self.full, self.full_fc = nn.LSTM(F, 8, batch_first=True), nn.Linear(8, F)
        self.sub, self.sub_fc = nn.LSTM(4, 6, 2, batch_first=True), nn.Linear(6, 1)

    def body(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        full = torch.relu(self.full_fc(self.full(x)[0]))
        near = functional.pad(x, (1, 1), mode="reflect").unfold(2, 3, 1)  # (N, T, F, 3)
        y = torch.cat([near, full.unsqueeze(-1)], -1)
        if self.slow:
            y = y.permute(2, 0, 1, 3).reshape(f * n, t, 4)
            return self.sub_fc(self.sub(y)[0]).reshape(f, n, t).permute(1, 2, 0)
        y = y.permute(0, 2, 1, 3).reshape(n * f, t, 4)
        return self.sub_fc(self.sub(y)[0]).reshape(n, f, t).transpose(1, 2)


class SubbandSummary(nn.Module):
    """A GRU a bin whose last states, laid side by side, are the summary."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(1, 5, batch_first=True), nn.Linear(5 * F, C)

    def forward(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        h = self.rnn(x.transpose(1, 2).reshape(n * f, t, 1))[1]
        return self.head(h.reshape(n, f * 5))


class Excited(Scored):
    """Squeeze-and-excitation within a frame, over bins for channels and over channels for bins."""

    def __init__(self) -> None:
        super().__init__(8 * F)
        self.plane = CausalPlane(1, 8, (3, 3))
        self.squeeze = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8), nn.Sigmoid())
        self.bins = nn.Conv1d(1, 1, 3, padding=1)

    def body(self, x: Tensor) -> Tensor:
        y = self.plane(x.unsqueeze(1))
        gate = self.squeeze(y.mean(3).transpose(1, 2)).transpose(1, 2).unsqueeze(3)
        y = y * gate
        n, _, t, f = y.shape
        bins = self.bins(y.mean(1).reshape(n * t, 1, f)).reshape(n, 1, t, f)
        return (y * torch.sigmoid(bins)).permute(0, 2, 1, 3).flatten(2)


class Resized(Scored):
    """Down and up along frequency by pooling and interpolation, in layout (N, C, T, F) or (N, C, F, T)."""

    def __init__(self, mode: str, way: str) -> None:
        super().__init__(F)
        self.mode, self.way = mode, way
        self.down, self.up = CausalPlane(1, 4, (2, 3)), CausalPlane(4, 1, (2, 3))

    def body(self, x: Tensor) -> Tensor:
        y = functional.avg_pool2d(self.down(x.unsqueeze(1)), (1, 2))
        options = {} if self.mode == "nearest" else {"align_corners": self.way == "corners"}
        if self.way == "one axis":
            n, c, t, f = y.shape
            z = y.permute(0, 2, 1, 3).reshape(n * t, c, f)
            z = functional.interpolate(z, scale_factor=2.0, mode=self.mode)
            y = z.reshape(n, t, c, 2 * f).permute(0, 2, 1, 3)
        elif self.way == "size":
            y = functional.interpolate(y, size=(y.shape[2], F), mode=self.mode, **options)
        else:
            y = functional.interpolate(y, scale_factor=(1, 2), mode=self.mode, **options)
        return self.up(y).squeeze(1)


class PixelShuffled(Scored):
    """Sub-pixel convolution along frequency (CMGAN's and MANNER's decoders)."""

    def __init__(self) -> None:
        super().__init__(F)
        self.down, self.widen = CausalPlane(1, 8, (2, 3), 2), nn.Conv2d(8, 8, (1, 3), padding=(0, 1))
        self.out = nn.Conv2d(4, 1, 1)

    def body(self, x: Tensor) -> Tensor:
        y = self.widen(self.down(x.unsqueeze(1)))
        n, _, t, f = y.shape
        y = y.view(n, 2, 4, t, f).permute(0, 2, 3, 4, 1).contiguous().view(n, 4, t, 2 * f)
        return self.out(y).squeeze(1)


class Tokens(Scored):
    """A learned token joined to the bins of each frame, self-attention with it, and queries that are learned too."""

    def __init__(self) -> None:
        super().__init__(8 * 4)
        self.enter, self.token = nn.Linear(1, 8), nn.Parameter(torch.randn(1, 1, 8))
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.queries, self.cross = (
            nn.Parameter(torch.randn(3, 8)),
            nn.MultiheadAttention(8, 4, batch_first=True),
        )

    def body(self, x: Tensor) -> Tensor:
        n, t, f = x.shape
        y = self.enter(x.reshape(n * t, f, 1))
        y = self.encoder(torch.cat([self.token.expand(n * t, -1, -1), y], 1))
        z = self.cross(self.queries.expand(n * t, -1, -1), y, y)[0]
        return torch.cat([y[:, :1], z], 1).reshape(n, t, -1)


STREAMABLE: dict[str, Callable[[], nn.Module]] = {
    "DPCRN": Dpcrn,
    "GTCRN": Gtcrn,
    "CRN": Crn,
    "DCCRN": Dccrn,
    "DeepFilterNet": DeepFilter,
    "TF-GridNet": TfGrid,
    "TF-GridNet, every bin": lambda: TfGrid(1, 1),
    "attention over bins, heads in the batch": lambda: BinAttention("heads in the batch"),
    "attention over bins, torch's": lambda: BinAttention("torch"),
    "frequency LSTM": lambda: FrequencyLstm(False),
    "frequency LSTM, last state": lambda: FrequencyLstm(True),
    "FullSubNet": Subbands,
    "FullSubNet, bins slowest": lambda: Subbands(True),
    "last states of subbands": SubbandSummary,
    "excitation within a frame": Excited,
    "nearest bins": lambda: Resized("nearest", "factor"),
    "nearest bins by size": lambda: Resized("nearest", "size"),
    "nearest bins, folded": lambda: Resized("nearest", "one axis"),
    "linear bins": lambda: Resized("bilinear", "factor"),
    "linear bins, corners": lambda: Resized("bilinear", "corners"),
    "linear bins, folded": lambda: Resized("linear", "one axis"),
    "sub-pixel bins": PixelShuffled,
    "tokens among bins": Tokens,
}
