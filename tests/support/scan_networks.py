"""Recurrences as people write them for speed in training: for all frames at once. All take (N, T, 12)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.export_networks import F
from tests.support.loop_networks import H, Looped, _value


def long_convolution(u: Tensor, kernel: Tensor) -> Tensor:
    """(N, H, T) by (H, T), causal, through spectra."""
    frames = u.shape[-1]
    spectra = torch.fft.rfft(u, n=2 * frames) * torch.fft.rfft(kernel, n=2 * frames)
    return torch.fft.irfft(spectra, n=2 * frames)[..., :frames]


def s4d(net: Looped, x: Tensor) -> Tensor:
    """A diagonal state space with complex poles, as its kernel: Gu et al. 2022."""
    u = net.cell(x).transpose(1, 2)
    step = torch.exp(net.log_step)
    a = torch.complex(-torch.exp(net.log_real), net.imaginary) * step[:, None]
    c = torch.view_as_complex(net.c) * (torch.exp(a) - 1.0) / a
    times = torch.arange(u.shape[-1], device=u.device)
    kernel = 2 * torch.einsum("hn,hnt->ht", c, torch.exp(a[:, :, None] * times)).real
    y = long_convolution(u, kernel) + u * net.skip[:, None]
    return functional.gelu(y).transpose(1, 2)


def s4d_network(width: int = H, order: int = 8) -> Looped:
    parts = {
        "log_step": nn.Parameter(torch.rand(width) * 3 - 5),
        "log_real": nn.Parameter(torch.log(0.5 * torch.ones(width, order))),
        "imaginary": nn.Parameter(math.pi * torch.arange(order).repeat(width, 1).float()),
        "c": nn.Parameter(torch.randn(width, order, 2) / 5),
        "skip": nn.Parameter(torch.randn(width)),
    }
    return Looped(s4d, nn.Linear(F, width), width, **parts)


def lru(net: Looped, x: Tensor) -> Tensor:
    """A linear recurrent unit, its states through spectra: Orvieto et al. 2023."""
    frames = x.shape[1]
    poles = torch.exp(torch.complex(-torch.exp(net.log_real), torch.exp(net.log_angle)))
    gain = torch.sqrt(1 - torch.abs(poles) ** 2)
    u = (x.to(net.b.dtype) @ net.b.T) * gain
    powers = poles[None, :] ** torch.arange(frames)[:, None]
    spectra = torch.fft.fft(u, n=2 * frames, dim=1) * torch.fft.fft(powers, n=2 * frames, dim=0)
    states = torch.fft.ifft(spectra, dim=1)[:, :frames]
    return torch.tanh((states @ net.c.T).real + x @ net.cell.weight.T)


def lru_network(order: int = 6) -> Looped:
    return Looped(
        lru,
        nn.Linear(F, H, bias=False),
        log_real=nn.Parameter(torch.rand(order) * 2 - 3),
        log_angle=nn.Parameter(torch.rand(order) * 2 - 2),
        b=nn.Parameter(torch.randn(order, F, dtype=torch.cfloat) / 5),
        c=nn.Parameter(torch.randn(H, order, dtype=torch.cfloat) / 3),
    )


def exponential(net: Looped, x: Tensor) -> Tensor:
    """Moving averages as a convolution."""
    alpha = torch.sigmoid(net.alpha)
    kernel = (1 - alpha)[:, None] * alpha[:, None] ** torch.arange(x.shape[1])
    return long_convolution(x.transpose(1, 2), kernel).transpose(1, 2)


def bands_in_the_batch(net: Looped, x: Tensor) -> Tensor:
    """The same with the bands in the axis of streams, so that all have one decay."""
    n, frames, bands = x.shape
    kernel = (1 - net.alpha) * net.alpha ** torch.arange(frames)
    rows = long_convolution(x.transpose(1, 2).reshape(n * bands, 1, frames), kernel)
    return rows.reshape(n, bands, frames).transpose(1, 2)


def resonators(net: Looped, x: Tensor) -> Tensor:
    """Decaying oscillations, of which no parameter is a pole."""
    times = torch.arange(x.shape[1])
    kernel = torch.exp(-0.1 * times) * torch.cos((0.2 + net.alpha[:, None]) * times)
    return long_convolution(net.cell(x).transpose(1, 2), kernel).transpose(1, 2)


def short_filter(net: Looped, x: Tensor) -> Tensor:
    """A filter of nine frames, through spectra."""
    return long_convolution(net.cell(x).transpose(1, 2), net.alpha).transpose(1, 2)


def by_long_kernel(net: Looped, x: Tensor) -> Tensor:
    """Moving averages as a convolution with as many frames as there are."""
    frames = x.shape[1]
    kernel = (1 - net.alpha)[:, None] * net.alpha[:, None] ** torch.arange(frames - 1, -1, -1)
    padded = functional.pad(x.transpose(1, 2), (frames - 1, 0))
    return functional.conv1d(padded, kernel.unsqueeze(1), groups=F).transpose(1, 2)


def by_matrix(net: Looped, x: Tensor) -> Tensor:
    """The same as a matrix of frames by frames."""
    times = torch.arange(x.shape[1])
    distance = times[:, None] - times
    decay = torch.where(distance >= 0, 0.9 ** distance.clamp(min=0), torch.zeros(()))
    return 0.1 * torch.matmul(decay, net.cell(x))


def scaled_sum(net: Looped, x: Tensor) -> Tensor:
    """A moving average as a sum of frames that are scaled by a power of their number."""
    power = 0.999 ** torch.arange(1, x.shape[1] + 1)[:, None]
    return 0.05 * torch.cumsum(x / power, 1) * power


def min_gru_in_logarithms(net: Looped, x: Tensor) -> Tensor:
    """minGRU in parallel, as in its paper: Feng et al. 2024."""

    def positive(v: Tensor) -> Tensor:
        return torch.where(v >= 0, v + 0.5, torch.sigmoid(v))

    def logarithm(v: Tensor) -> Tensor:
        return torch.where(v >= 0, (functional.relu(v) + 0.5).log(), -functional.softplus(-v))

    k = net.cell(x)
    log_z, log_rest = -functional.softplus(-k), -functional.softplus(k)
    start = torch.log(positive(torch.zeros(x.shape[0], 1, H)))
    values = torch.cat([start, log_z + logarithm(net.second(x))], dim=1)
    summed = functional.pad(torch.cumsum(log_rest, dim=1), (0, 0, 1, 0))
    return torch.exp(summed + torch.logcumsumexp(values - summed, dim=1))[:, 1:]


def min_gru_from_nothing(net: Looped, x: Tensor) -> Tensor:
    """The same from an empty state."""
    hidden, gate = net.second(x), net.cell(x)
    log_rest = -functional.softplus(gate)
    log_values = -functional.softplus(-gate) + torch.log(functional.softplus(hidden) + 1e-4)
    summed = log_rest.cumsum(dim=1)
    return (summed + (log_values - summed).logcumsumexp(dim=1)).exp()


def doubling(net: Looped, x: Tensor) -> Tensor:
    """A gated recurrence in steps that double: Hillis and Steele 1986."""
    a, b = torch.sigmoid(net.cell(x) + 1), torch.tanh(net.second(x))
    shift = 1
    while shift < x.shape[1]:
        earlier_a = functional.pad(a, (0, 0, shift, 0), value=1.0)[:, :-shift]
        earlier_b = functional.pad(b, (0, 0, shift, 0))[:, :-shift]
        a, b = a * earlier_a, b + a * earlier_b
        shift *= 2
    return b


def doubling_time_first(net: Looped, x: Tensor) -> Tensor:
    """The same with time before the streams, and one gate for all frames."""
    a, b = torch.sigmoid(net.alpha).expand(x.shape[1], x.shape[0], H), torch.tanh(net.cell(x)).transpose(0, 1)
    shift = 1
    while shift < x.shape[1]:
        a, b = (
            torch.cat([a[:shift], a[shift:] * a[:-shift]]),
            torch.cat([b[:shift], b[shift:] + a[shift:] * b[:-shift]]),
        )
        shift *= 2
    return b.transpose(0, 1)


def by_halves(net: Looped, x: Tensor) -> Tensor:
    """The same by pairs of pairs: Blelloch 1990."""

    def scan(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        frames = a.shape[1]
        if frames == 1:
            return a, b
        pairs = frames // 2
        first_a, second_a = a[:, 0 : 2 * pairs : 2], a[:, 1 : 2 * pairs : 2]
        first_b, second_b = b[:, 0 : 2 * pairs : 2], b[:, 1 : 2 * pairs : 2]
        odd_a, odd_b = scan(first_a * second_a, second_a * first_b + second_b)
        rest = a[:, 2::2], b[:, 2::2]
        count = rest[0].shape[1]
        even_a = torch.cat([a[:, :1], odd_a[:, :count] * rest[0]], 1)
        even_b = torch.cat([b[:, :1], rest[0] * odd_b[:, :count] + rest[1]], 1)
        out = []
        for t in range(frames):
            out.append(
                (odd_a[:, t // 2], odd_b[:, t // 2]) if t % 2 else (even_a[:, t // 2], even_b[:, t // 2])
            )
        return torch.stack([o[0] for o in out], 1), torch.stack([o[1] for o in out], 1)

    return scan(torch.sigmoid(net.cell(x)), torch.tanh(net.second(x)))[1]


def torch_scan(net: Looped, x: Tensor) -> Tensor:
    """The same by torch's own operator."""
    from torch._higher_order_ops.associative_scan import associative_scan

    def combined(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return left[0] * right[0], right[0] * left[1] + right[1]

    gate = torch.sigmoid(net.cell(x))
    both = (1 - gate, gate * torch.tanh(net.second(x)))
    return associative_scan(combined, both, dim=1, combine_mode="generic")[1]


def mamba(net: Looped, x: Tensor) -> Tensor:
    """A selective state space with its sums in logarithms."""
    u, gate = net.cell(x).chunk(2, -1)
    delta, b, c = torch.split(net.second(u), [H, 4, 4], dim=-1)
    delta = functional.softplus(delta)
    a = torch.einsum("ntd,dk->ntdk", delta, -torch.exp(net.log_a))
    into = torch.einsum("ntd,ntd,ntk->ntdk", delta, functional.softplus(u), functional.softplus(b))
    summed = functional.pad(a[:, 1:].cumsum(1), (0, 0, 0, 0, 1, 0))
    states = torch.exp(torch.logcumsumexp(torch.log(into) - summed, 1) + summed)
    y = torch.einsum("ntdk,ntk->ntd", states, c) + u * net.alpha
    return y * functional.silu(gate)


def complex_loop(net: Looped, x: Tensor) -> Tensor:
    """A linear recurrent unit, frame by frame."""
    poles = torch.exp(torch.complex(-torch.exp(net.log_real), torch.exp(net.log_angle)))
    u = x.to(net.b.dtype) @ net.b.transpose(0, 1)
    state, out = torch.zeros(x.shape[0], poles.shape[0], dtype=torch.cfloat), []
    for t in range(x.shape[1]):
        state = poles * state + u[:, t]
        out.append(2 * (state @ net.c.T).real)
    return torch.tanh(torch.stack(out, 1) + net.cell(x))


def complex_steps(net: Looped, x: Tensor) -> Tensor:
    """A diagonal state space, frame by frame."""
    u = net.cell(x)
    a = torch.exp(torch.complex(-torch.exp(net.log_real), net.imaginary) * torch.exp(net.log_step)[:, None])
    c = torch.view_as_complex(net.c)
    state, out = u.new_zeros(x.shape[0], H, a.shape[1], dtype=a.dtype), []
    for frame in u.unbind(1):
        state = a * state + frame.unsqueeze(-1)
        out.append(2 * torch.einsum("bhn,hn->bh", state, c).real + net.skip * frame)
    return functional.gelu(torch.stack(out, dim=1))


def complex_scan(net: Looped, x: Tensor) -> Tensor:
    """A linear recurrent unit by torch's own scan."""
    from torch._higher_order_ops.associative_scan import associative_scan

    def combined(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return left[0] * right[0], right[0] * left[1] + right[1]

    poles = torch.exp(torch.complex(-torch.exp(net.log_real), torch.exp(net.log_angle)))
    u = x.to(net.b.dtype) @ net.b.T
    _, states = associative_scan(combined, (poles.expand(u.shape), u), dim=1, combine_mode="generic")
    return torch.tanh((states @ net.c.T).real + net.cell(x))


def complex_layers(net: Looped, x: Tensor) -> Tensor:
    """Complex numbers within a frame: a spectrum of it, masked by a complex layer."""
    spectrum = torch.fft.rfft(x, dim=-1)
    mask = torch.tanh(spectrum.abs()) * torch.exp(1j * spectrum.angle())
    masked = spectrum * (mask @ net.mask)
    return torch.fft.irfft(masked, n=x.shape[-1])


def _like(how: Callable[[Looped, Tensor], Tensor], network: Looped) -> Looped:
    network.how = how
    return network


SCANS: dict[str, Callable[[], nn.Module]] = {
    "S4D, convolved": s4d_network,
    "LRU, convolved": lru_network,
    "moving averages, convolved": lambda: Looped(exponential, None, F, alpha=_value(F)),
    "moving averages, bands in the batch": lambda: Looped(
        bands_in_the_batch, None, F, alpha=nn.Parameter(torch.tensor(0.9))
    ),
    "resonators, convolved": lambda: Looped(resonators, nn.Linear(F, H), alpha=_value(H)),
    "moving averages by a long kernel": lambda: Looped(by_long_kernel, None, F, alpha=_value(F)),
    "moving averages by a matrix": lambda: Looped(by_matrix, nn.Linear(F, H)),
    "short filter, convolved": lambda: Looped(short_filter, nn.Linear(F, H), alpha=_value(H, 9)),
    "minGRU in logarithms": lambda: Looped(min_gru_in_logarithms, nn.Linear(F, H), second=nn.Linear(F, H)),
    "minGRU in logarithms, from nothing": lambda: Looped(
        min_gru_from_nothing, nn.Linear(F, H), second=nn.Linear(F, H)
    ),
    "gates in doubling steps": lambda: Looped(doubling, nn.Linear(F, H), second=nn.Linear(F, H)),
    "a gate in doubling steps, time first": lambda: Looped(
        doubling_time_first, nn.Linear(F, H), alpha=nn.Parameter(torch.rand(H))
    ),
    "gates by halves": lambda: Looped(by_halves, nn.Linear(F, H), second=nn.Linear(F, H)),
    "gates by associative_scan": lambda: Looped(torch_scan, nn.Linear(F, H), second=nn.Linear(F, H)),
    "Mamba in logarithms": lambda: Looped(
        mamba, nn.Linear(F, 2 * H), second=nn.Linear(H, H + 8), log_a=_value(H, 4), alpha=_value(H)
    ),
    "LRU, frame by frame": lambda: _like(complex_loop, lru_network()),
    "LRU by associative_scan": lambda: _like(complex_scan, lru_network()),
    "S4D, frame by frame": lambda: _like(complex_steps, s4d_network()),
    "spectrum of a frame": lambda: Looped(
        complex_layers, None, F, mask=nn.Parameter(torch.randn(7, 7, dtype=torch.cfloat) / 3)
    ),
    "scaled sum": lambda: Looped(scaled_sum, None, F),
}


def circular(net: Looped, x: Tensor) -> Tensor:
    """A product of spectra without zeros behind the sound: its end comes before its beginning."""
    frames = x.shape[1]
    kernel = torch.fft.rfft(0.9 ** torch.arange(frames))
    return torch.fft.irfft(torch.fft.rfft(x.transpose(1, 2)) * kernel, n=frames).transpose(1, 2)


def both_ways(net: Looped, x: Tensor) -> Tensor:
    """A kernel that is heard backwards too."""
    kernel = 0.9 ** (torch.arange(-x.shape[1], x.shape[1]).abs())
    spectra = torch.fft.rfft(x, n=3 * x.shape[1], dim=1) * torch.fft.rfft(kernel, n=3 * x.shape[1])[:, None]
    return torch.fft.irfft(spectra, n=3 * x.shape[1], dim=1)[:, x.shape[1] : 2 * x.shape[1]]


def learned_kernel(net: Looped, x: Tensor) -> Tensor:
    """A kernel of any values, as long as the sound."""
    return long_convolution(x.transpose(1, 2), net.alpha[:, : x.shape[1]]).transpose(1, 2)


def of_two_sounds(net: Looped, x: Tensor) -> Tensor:
    """The sound convolved with itself."""
    y = x.transpose(1, 2)
    return long_convolution(y, torch.tanh(y)).transpose(1, 2)


def mixed_frames(net: Looped, x: Tensor) -> Tensor:
    """Frames and features through one transform: Lee-Thorp et al. 2021."""
    return torch.fft.fft2(x).real


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "circular convolution": (lambda: Looped(circular, None, F), "it wraps around"),
    "kernel to both sides": (lambda: Looped(both_ways, None, F), "sees frames to come"),
    "kernel as long as the sound": (
        lambda: Looped(learned_kernel, None, F, alpha=nn.Parameter(torch.randn(F, 16384))),
        "no sum of decaying exponentials",
    ),
    "convolved with itself": (lambda: Looped(of_two_sounds, None, F), "mixes 2 signals"),
    "Fourier mixing": (lambda: Looped(mixed_frames, None, F), "it wraps around"),
}
