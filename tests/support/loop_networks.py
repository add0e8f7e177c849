"""Recurrences as people write them by hand: a loop over frames in forward. All take (N, T, 12)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.export_networks import C, F

H = 10


class Looped(nn.Module):
    """A cell, ``how`` it is used, and a head.

    Args:
        how: (this module, (N, T, 12)) -> (N, T, H), by a loop.
        cell, further: whatever it needs.
    """

    def __init__(
        self,
        how: Callable[[Looped, Tensor], Tensor],
        cell: nn.Module | None = None,
        width: int = H,
        **further: nn.Module | nn.Parameter,
    ) -> None:
        super().__init__()
        self.how, self.cell, self.head = how, cell, nn.Linear(width, C)
        for name, part in further.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.how(self, x))


def zeros(x: Tensor, width: int = H) -> Tensor:
    return x.new_zeros(x.size(0), width)


def by_index(net: Looped, x: Tensor) -> Tensor:
    h, out = zeros(x), []
    for t in range(x.size(1)):
        h = net.cell(x[:, t], h)
        out.append(h)
    return torch.stack(out, 1)


def scores_in_the_loop(net: Looped, x: Tensor) -> Tensor:
    h, out = zeros(x), []
    for t in range(x.size(1)):
        h = net.cell(x[:, t], h)
        out.append(torch.tanh(net.second(h)))
    return torch.stack(out, 1)


def by_unbind(net: Looped, x: Tensor) -> Tensor:
    state, out = None, []
    for frame in x.unbind(1):
        state = net.cell(frame, state)
        out.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(out, dim=1)


def by_time_major(net: Looped, x: Tensor) -> Tensor:
    h = torch.zeros(x.shape[0], H)
    out = []
    for frame in x.transpose(0, 1):
        h = net.cell(frame, h)
        out += [h.unsqueeze(0)]
    return torch.cat(out).transpose(0, 1)


def by_assignment(net: Looped, x: Tensor) -> Tensor:
    out = torch.zeros(x.shape[0], x.shape[1], H)
    h = net.start.expand(x.shape[0], -1)
    for t in range(x.shape[1]):
        h = net.cell(x[:, t, :], h)
        out[:, t, :] = h
    return out


def two_layers(net: Looped, x: Tensor) -> Tensor:
    a, b, out = zeros(x), zeros(x), []
    for t in range(x.size(1)):
        a = net.cell(x[:, t], a)
        b = net.second(a, b)
        out.append(torch.cat([a, b], 1)[:, H // 2 : H // 2 + H])
    return torch.stack(out, 1)


def loops_in_turn(net: Looped, x: Tensor) -> Tensor:
    frames, cells = [x[:, t] for t in range(x.size(1))], (net.cell, net.second)
    for cell in cells:
        h, out = zeros(x, cell.hidden_size), []
        for frame in frames:
            h = cell(frame, h)
            out.append(h)
        frames = out
    return torch.stack(frames, 1)


def between_convolutions(net: Looped, x: Tensor) -> Tensor:
    x = functional.pad(x.transpose(1, 2), (2, 0))
    x = torch.relu(net.conv(x)).transpose(1, 2)
    y = by_index(net, x)
    return torch.relu(net.after(functional.pad(y.transpose(1, 2), (1, 0)))).transpose(1, 2)


def after_a_stride(net: Looped, x: Tensor) -> Tensor:
    return by_index(net, torch.relu(net.conv(x.transpose(1, 2))).transpose(1, 2))


def last_state(net: Looped, x: Tensor) -> Tensor:
    h = zeros(x)
    for t in range(x.size(1)):
        h = net.cell(x[:, t], h)
    return h


def average_from_the_first(net: Looped, x: Tensor) -> Tensor:
    mean, out = x[:, 0], [x[:, 0]]
    for t in range(1, x.size(1)):
        mean = net.alpha * mean + (1 - net.alpha) * x[:, t]
        out.append(mean)
    return torch.stack(out, 1)


def normalised_by_the_average(net: Looped, x: Tensor) -> Tensor:
    mean, square, out = x[:, 0], torch.ones_like(x[:, 0]), []
    for t in range(x.size(1)):
        mean = 0.97 * mean + 0.03 * x[:, t]
        square = 0.97 * square + 0.03 * (x[:, t] - mean) ** 2
        out.append((x[:, t] - mean) / torch.sqrt(square + 1e-5))
    return torch.stack(out, 1)


def pcen(net: Looped, x: Tensor) -> Tensor:
    energy = torch.exp(0.3 * x)
    smooth, m = torch.sigmoid(net.alpha), None
    out = []
    for t in range(energy.shape[1]):
        m = energy[:, t] if m is None else (1 - smooth) * m + smooth * energy[:, t]
        out.append(m)
    m = torch.stack(out, 1)
    return (energy / (1e-6 + m) ** 0.9 + 2.0) ** 0.5 - 2.0**0.5


def min_gru(net: Looped, x: Tensor) -> Tensor:
    z, candidate = torch.sigmoid(net.cell(x)), net.second(x)
    h, out = zeros(x), []
    for t in range(x.size(1)):
        h = (1 - z[:, t]) * h + z[:, t] * candidate[:, t]
        out.append(h)
    return torch.stack(out, 1)


def li_gru(net: Looped, x: Tensor) -> Tensor:
    w = net.norm(net.cell(x).transpose(1, 2)).transpose(1, 2)
    h, out = zeros(x), []
    for t in range(x.shape[1]):
        z, a = (w[:, t] + net.second(h)).chunk(2, dim=1)
        z = torch.sigmoid(z)
        h = z * h + (1 - z) * torch.relu(a)
        out.append(h)
    return torch.stack(out, 1)


def sru(net: Looped, x: Tensor) -> Tensor:
    u, f, r = net.cell(x).chunk(3, -1)
    f, r, c = torch.sigmoid(f), torch.sigmoid(r), 0.0
    out = []
    for t in range(x.shape[1]):
        c = f[:, t] * c + (1 - f[:, t]) * u[:, t]
        out.append(r[:, t] * torch.tanh(c) + (1 - r[:, t]) * x[:, t, :H])
    return torch.stack(out, 1)


def ind_rnn(net: Looped, x: Tensor) -> Tensor:
    h, out = zeros(x), []
    for frame in torch.unbind(net.cell(x), 1):
        h = torch.relu(frame + net.alpha * h)
        out.append(h)
    return torch.stack(out, 1)


def fast_grnn(net: Looped, x: Tensor) -> Tensor:
    h, out = zeros(x), []
    for t in range(x.size(1)):
        both = net.cell(x[:, t]) + net.second(h)
        z, c = torch.sigmoid(both + net.alpha), torch.tanh(both - net.alpha)
        h = (0.9 * (1 - z) + 0.05) * c + z * h
        out.append(h)
    return torch.stack(out, 1)


def delta_net(net: Looped, x: Tensor) -> Tensor:
    n, frames, _ = x.shape
    q, k, v = (part(x).view(n, frames, 2, 5) for part in (net.q, net.k, net.v))
    k = functional.normalize(k, dim=-1)
    beta = torch.sigmoid(net.beta(x))
    state, out = x.new_zeros(n, 2, 5, 5), []
    for t in range(frames):
        old = torch.einsum("nhij,nhj->nhi", state, k[:, t])
        change = beta[:, t, :, None] * (v[:, t] - old)
        state = state + change.unsqueeze(-1) * k[:, t].unsqueeze(-2)
        out.append(torch.einsum("nhij,nhj->nhi", state, q[:, t]).reshape(n, 10))
    return torch.stack(out, 1)


def s4d(net: Looped, x: Tensor) -> Tensor:
    u = net.cell(x)
    rate = -torch.exp(net.log_a)
    step = functional.softplus(net.alpha).unsqueeze(-1)
    a, b = torch.exp(rate * step), torch.expm1(rate * step) / rate
    state, out = torch.zeros(x.shape[0], H, 4), []
    for t in range(x.shape[1]):
        state = a * state + b * u[:, t, :, None]
        out.append((state * net.c).sum(-1) + u[:, t])
    return torch.stack(out, 1)


def mamba(net: Looped, x: Tensor) -> Tensor:
    n, frames, _ = x.shape
    u, gate = net.cell(x).chunk(2, -1)
    u = functional.silu(net.conv(u.transpose(1, 2))[..., :frames].transpose(1, 2))
    delta, b, c = torch.split(net.second(u), [H, 4, 4], dim=-1)
    delta = functional.softplus(delta)
    a = -torch.exp(net.log_a)
    change = torch.exp(delta.unsqueeze(-1) * a)
    into = delta.unsqueeze(-1) * b.unsqueeze(2) * u.unsqueeze(-1)
    state, out = torch.zeros(n, H, 4), []
    for t in range(frames):
        state = change[:, t] * state + into[:, t]
        out.append((state @ c[:, t, :].unsqueeze(-1)).squeeze(-1))
    return (torch.stack(out, dim=1) + u * net.alpha) * functional.silu(gate)


def rwkv(net: Looped, x: Tensor) -> Tensor:
    before = functional.pad(x, (0, 0, 1, 0))[:, :-1]
    mixed = x * net.mix + before * (1 - net.mix)
    k, v, r = net.k(mixed), net.v(mixed), torch.sigmoid(net.q(mixed))
    decay = -torch.exp(net.alpha)
    above, below = torch.zeros_like(k[:, 0]), torch.zeros_like(k[:, 0])
    most = torch.full_like(above, -1e38)
    out = []
    for t in range(x.size(1)):
        top = torch.maximum(most, net.bonus + k[:, t])
        e1, e2 = torch.exp(most - top), torch.exp(net.bonus + k[:, t] - top)
        out.append((e1 * above + e2 * v[:, t]) / (e1 * below + e2))
        top = torch.maximum(most + decay, k[:, t])
        e1, e2 = torch.exp(most + decay - top), torch.exp(k[:, t] - top)
        above, below, most = e1 * above + e2 * v[:, t], e1 * below + e2, top
    return r * torch.stack(out, 1)


def looks_two_back(net: Looped, x: Tensor) -> Tensor:
    a, b, out = zeros(x), zeros(x), []
    for t in range(x.size(1)):
        a, b = torch.tanh(net.cell(x[:, t]) + 0.5 * a - 0.3 * b), a
        out.append(a)
    return torch.stack(out, 1)


def windows(net: Looped, x: Tensor) -> Tensor:
    frames = x.size(1)
    x, h, out = functional.pad(x, (0, 0, 2, 0)), zeros(x), []
    for t in range(frames):
        h = torch.tanh(net.cell(x[:, t : t + 3].flatten(1)) + 0.5 * h)
        out.append(h)
    return torch.stack(out, 1)


def _value(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.rand(*shape))


def _qkv(width: int = H, **further: nn.Module | nn.Parameter) -> dict[str, nn.Module | nn.Parameter]:
    return {"q": nn.Linear(F, width), "k": nn.Linear(F, width), "v": nn.Linear(F, width), **further}


class ScoresAssigned(nn.Module):
    """Scores that the network writes frame by frame in what it returns."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.decay = nn.Linear(F, C), nn.Linear(F, C)

    def forward(self, x: Tensor) -> Tensor:
        out, h = x.new_zeros(x.shape[0], x.shape[1], C), x.new_zeros(x.shape[0], C)
        for t in range(x.shape[1]):
            h = torch.tanh(self.into(x[:, t]) + torch.sigmoid(self.decay(x[:, t])) * h)
            out[:, t] = h + self.into(x[:, t])
        return out


LOOPS: dict[str, Callable[[], nn.Module]] = {
    "GRUCell": lambda: Looped(by_index, nn.GRUCell(F, H)),
    "LSTMCell from nothing": lambda: Looped(by_unbind, nn.LSTMCell(F, H)),
    "RNNCell, time-major": lambda: Looped(by_time_major, nn.RNNCell(F, H, nonlinearity="relu")),
    "GRUCell, assigned, learned start": lambda: Looped(by_assignment, nn.GRUCell(F, H), start=_value(1, H)),
    "scores assigned": ScoresAssigned,
    "two layers in a loop": lambda: Looped(two_layers, nn.GRUCell(F, H), second=nn.RNNCell(H, H)),
    "two loops in turn": lambda: Looped(loops_in_turn, nn.RNNCell(F, H), second=nn.RNNCell(H, H)),
    "the same loop twice": lambda: Looped(loops_in_turn, nn.RNNCell(F, F), F, second=nn.RNNCell(F, F)),
    "between convolutions": lambda: Looped(
        between_convolutions, nn.GRUCell(8, H), conv=nn.Conv1d(F, 8, 3), after=nn.Conv1d(H, H, 2)
    ),
    "after a stride": lambda: Looped(after_a_stride, nn.GRUCell(8, H), conv=nn.Conv1d(F, 8, 2, stride=2)),
    "scores in the loop": lambda: Looped(scores_in_the_loop, nn.GRUCell(F, H), second=nn.Linear(H, H)),
    "last state": lambda: Looped(last_state, nn.GRUCell(F, H)),
    "average from the first frame": lambda: Looped(average_from_the_first, None, F, alpha=_value(F)),
    "normalised by the average": lambda: Looped(normalised_by_the_average, None, F),
    "PCEN": lambda: Looped(pcen, None, F, alpha=_value(F)),
    "minGRU": lambda: Looped(min_gru, nn.Linear(F, H), second=nn.Linear(F, H)),
    "Li-GRU": lambda: Looped(
        li_gru, nn.Linear(F, 2 * H), second=nn.Linear(H, 2 * H, bias=False), norm=nn.BatchNorm1d(2 * H)
    ),
    "SRU": lambda: Looped(sru, nn.Linear(F, 3 * H)),
    "IndRNN": lambda: Looped(ind_rnn, nn.Linear(F, H), alpha=_value(H)),
    "FastGRNN": lambda: Looped(
        fast_grnn, nn.Linear(F, H), second=nn.Linear(H, H, bias=False), alpha=_value(H)
    ),
    "DeltaNet": lambda: Looped(delta_net, **_qkv(beta=nn.Linear(F, 2))),
    "S4D": lambda: Looped(s4d, nn.Linear(F, H), log_a=_value(H, 4), c=_value(H, 4), alpha=_value(H)),
    "Mamba": lambda: Looped(
        mamba,
        nn.Linear(F, 2 * H),
        second=nn.Linear(H, H + 8),
        conv=nn.Conv1d(H, H, 4, padding=3, groups=H),
        log_a=_value(H, 4),
        alpha=_value(H),
    ),
    "RWKV": lambda: Looped(rwkv, **_qkv(mix=_value(F), bonus=_value(H), alpha=_value(H))),
    "two frames back": lambda: Looped(looks_two_back, nn.Linear(F, H)),
    "windows of frames": lambda: Looped(windows, nn.Linear(3 * F, H)),
}
