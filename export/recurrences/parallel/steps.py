"""Loops over frames that compute what was found; they are traced in place of it.

A state that decays slowly is multiplied by 0.9999: float32 holds the 0.0001 to more digits, so the state loses that
part.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from export.recurrences.parallel.gates import Gated, Read
from export.recurrences.parallel.kernels import Finite, Oscillations
from export.recurrences.parallel.transforms import Convolved

_RANK = 1e-9  # of the largest: what is left of a matrix's rounding


def scanned(found: Gated, gate: Tensor | None, into: Tensor, rank: int) -> Tensor:
    """h[t] = a[t] h[t-1] + b[t].

    Args:
        found: what it is.
        gate: the tensor that holds the gate; None if it is the same in every frame.
        into: the tensor that holds what goes in.
        rank: axes of the result.
    """
    axis = found.axis - rank  # from the end: what is read may have fewer axes
    into = found.into.of(into)
    if found.scale is not None:
        scale = found.scale.to(into.dtype)
        into = into * (scale.unsqueeze(found.axis - 1) if found.axis else scale)
    streams = into.shape[0 if found.axis else 1]
    state = found.start.to(into.dtype).expand(streams, *found.start.shape[1:])
    if isinstance(found.gate, Read):
        assert gate is not None
        gates = found.gate.of(gate).unbind(axis)
    else:
        gates = (found.gate.to(into.dtype),) * int(into.shape[axis])
    states = []
    for a, b in zip(gates, into.unbind(axis), strict=True):
        state = a * state + b
        states.append(state)
    return torch.stack(states, found.axis)


def convolved(found: Convolved, source: Tensor) -> Tensor:
    """The frames of ``source`` through the kernel."""
    if isinstance(found.form, Finite):
        return _convolution(found, found.form, source)
    step = _mixing(found, found.form) if found.inputs else _each_channel(found, found.form)
    return step(source)


def _array(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.copy()).float()


def _convolution(found: Convolved, form: Finite, source: Tensor) -> Tensor:
    rows = _moved(source, found.source_axis, source.dim() - 1).flatten(1, -2)  # (N, channels, T)
    weights = _array(form.values[:, ::-1])
    if found.inputs:
        weights = weights.reshape(-1, found.inputs, weights.shape[-1])
    else:
        weights = weights.unsqueeze(1)
    rows = functional.pad(rows, (weights.shape[-1] - 1, 0))
    y = functional.conv1d(rows, weights, groups=1 if found.inputs else len(weights))
    y = y.reshape(-1, *found.shape, y.shape[-1])
    return _moved(y, y.dim() - 1, found.axis)


def _moved(value: Tensor, axis: int, to: int) -> Tensor:
    order = [i for i in range(value.dim()) if i != axis]
    order.insert(to, axis)
    return value.permute(order)


def _each_channel(found: Convolved, form: Oscillations) -> Callable[[Tensor], Tensor]:
    poles = np.broadcast_to(form.poles, form.weights.shape)
    real = bool((np.abs(poles.imag).max() == 0) and (np.abs(form.weights.imag) <= 1e-300).all())
    shape = (*found.shape, poles.shape[1])
    parts = (poles.real - 1, poles.imag, form.weights.real, form.weights.imag)
    ar, ai, wr, wi = (_array(part.reshape(shape)) for part in parts)

    def step(source: Tensor) -> Tensor:
        frames = source.unbind(found.source_axis)
        re = im = torch.zeros(frames[0].shape[0], *shape)
        rows = []
        for frame in frames:
            frame = frame.unsqueeze(-1)
            if real:
                re = re + ar * re + frame
                rows.append((wr * re).sum(-1))
            else:
                re, im = re + (ar * re - ai * im) + frame, im + (ar * im + ai * re)
                rows.append((wr * re - wi * im).sum(-1))
        return torch.stack(rows, found.axis)

    return step


def _mixing(found: Convolved, form: Oscillations) -> Callable[[Tensor], Tensor]:
    poles, into, out = [], [], []
    outputs = len(form.weights) // found.inputs
    for pole, weights in zip(form.poles[0], form.weights.T, strict=True):
        left, strengths, right = np.linalg.svd(weights.reshape(outputs, found.inputs), full_matrices=False)
        for k in np.flatnonzero(strengths > _RANK * max(np.abs(form.weights).max(), 1e-300)):
            poles.append(pole)
            into.append(right[k])
            out.append(left[:, k] * strengths[k])
    a, b, c = np.array(poles), np.array(into).T, np.array(out)  # (n), (inputs, n), (n, outputs)
    ar, ai, br, bi, cr, ci = (_array(part) for v in (a - 1, b, c) for part in (v.real, v.imag))

    def step(source: Tensor) -> Tensor:
        frames = source.unbind(found.source_axis)
        re = im = torch.zeros(frames[0].shape[0], len(poles))
        rows = []
        for frame in frames:
            frame = frame.flatten(1)
            re, im = re + (ar * re - ai * im) + frame @ br, im + (ar * im + ai * re) + frame @ bi
            rows.append((re @ cr - im @ ci).reshape(-1, *found.shape))
        return torch.stack(rows, found.axis)

    return step
