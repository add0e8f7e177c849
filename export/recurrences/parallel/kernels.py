"""A causal kernel as what a state can hold: a sum of decaying oscillations, or one that ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_ENDS = 1e-13  # of the largest value: what is left of a spectrum's rounding
_FITS = 1e-7  # of the largest value
_ROWS = 1024  # places in time that weights are fitted on
_FIRST = 12  # frames that parameters are tried on
_MOST_POLES = 256
_CANCELLING = 100.0  # weights against what they add up to: more would be lost in float32
_ORDERS = (1, 2, 3, 4, 6, 8, 12, 16, 24)  # of kernels of which nothing but the values is known


@dataclass(frozen=True)
class Oscillations:
    """k[t] = Re(sum over n of weight[n] pole[n] ** t).

    Attributes:
        poles: (channels, order) complex, or (1, order) if all have the same.
        weights: (channels, order) complex.
    """

    poles: Array
    weights: Array


@dataclass(frozen=True)
class Finite:
    """A kernel of a few frames.

    Attributes:
        values: (channels, frames).
    """

    values: Array


def identified(kernel: Array, known: Sequence[Array]) -> Oscillations | Finite | None:
    """The form of a kernel; None if there is none that a state can hold.

    Args:
        kernel: (channels, frames) float64, for many frames.
        known: parameters of the network that may be poles or their logarithms, complex or real.
    """
    largest = np.abs(kernel).max()
    if not np.isfinite(largest) or largest == 0:
        return None
    sounding = np.flatnonzero(np.abs(kernel).max(axis=0) > _ENDS * largest)
    if sounding[-1] < kernel.shape[1] // 4:
        ended = Finite(kernel[:, : sounding[-1] + 1])
        if sounding[-1] < 64:
            return ended
    else:
        ended = None
    tables = _tables(known, len(kernel))
    poles = _poles(tables)
    for candidate in poles:
        for weights in tables:
            found = _as_they_are(kernel, candidate, weights)
            if found is not None:
                return found
    for candidate in sorted([*poles, *_from_values(kernel)], key=lambda p: p.shape[1]):  # what is simplest
        if fitted(kernel[:1], candidate[:1]) is not None:
            found = fitted(kernel, candidate)
            if found is not None:
                return found
    return ended


def _tables(known: Sequence[Array], channels: int) -> list[Array]:
    """Parameters that may belong to each channel's poles: (channels or 1, order) complex, smallest order first."""
    found: list[Array] = []
    for value in known:
        if value.ndim == 0 or not np.isfinite(value).all():
            continue
        squeezed = value.reshape([s for s in value.shape if s != 1] or [1])
        ways = {1: [squeezed[None], squeezed[:, None]], 2: [squeezed, squeezed.T]}.get(squeezed.ndim, [])
        found += [
            w.astype(np.complex128) for w in ways if w.shape[0] in (1, channels) and w.shape[1] <= _MOST_POLES
        ]
    return _unique(found)


def _poles(tables: Sequence[Array]) -> list[Array]:
    """The tables and their exponentials, where they decay."""
    with np.errstate(over="ignore"):
        forms = [form for table in tables for form in (table, np.exp(table))]
    return _unique([f for f in forms if np.isfinite(f).all() and 0 < np.abs(f).max() <= 1 + 1e-9])


def _unique(arrays: Sequence[Array]) -> list[Array]:
    unique: list[Array] = []
    for each in sorted(arrays, key=lambda a: a.shape[1]):
        if not any(each.shape == other.shape and np.array_equal(each, other) for other in unique):
            unique.append(each)
    return unique


def _as_they_are(kernel: Array, poles: Array, weights: Array) -> Oscillations | None:
    """The kernel, if it is made of the poles with some multiple of these weights."""
    if poles.shape != weights.shape or len(weights) != len(kernel):
        return None
    first = (weights[:, None] * poles[:, None] ** np.arange(_FIRST)[:, None]).sum(2).real
    size = (first * first).sum()
    times = (first * kernel[:, :_FIRST]).sum() / size if size else 0.0
    if np.abs(times * first - kernel[:, :_FIRST]).max() > _FITS * np.abs(kernel).max():
        return None
    found = Oscillations(poles, times * weights)
    return found if _fits(kernel, found) else None


def _from_values(kernel: Array) -> list[Array]:
    """Poles of each channel by Ho and Kalman: the shift that the values of a linear system obey, order by order."""
    frames = kernel.shape[1]
    size = min(frames // 2 - 1, 160)
    found = []
    systems = []
    for row in kernel:
        hankel = np.lib.stride_tricks.sliding_window_view(row[: 2 * size + 1], size + 1)
        left, strengths, _ = np.linalg.svd(hankel[:size], full_matrices=False)
        systems.append((left, strengths))
    most = max(int((s > 1e-12 * s[0]).sum()) if s[0] > 0 else 1 for _, s in systems)
    for order in _ORDERS:
        if order > 2 * most:
            break
        poles = np.zeros((len(kernel), order), np.complex128)
        for channel, (left, strengths) in enumerate(systems):
            rank = min(order, max(int((strengths > 1e-13 * max(strengths[0], 1e-300)).sum()), 1))
            basis = left[:, :rank]
            shift, *_ = np.linalg.lstsq(basis[:-1], basis[1:], rcond=None)
            poles[channel, :rank] = np.linalg.eigvals(shift)
        if np.abs(poles).max() <= 1 + 1e-9:
            found.append(poles)
    return found


def fitted(kernel: Array, poles: Array) -> Oscillations | None:
    """The kernel as oscillations of these poles; None if they do not give it.

    Poles that come with their conjugates need the half of them only.
    """
    frames = kernel.shape[1]
    halves = [row[row.imag >= -1e-12] if _paired(row) else row for row in poles]
    order = max(len(half) for half in halves)
    poles = np.stack([np.pad(half, (0, order - len(half))) for half in halves])
    places = np.unique(
        np.concatenate([np.arange(_ROWS // 2), np.geomspace(1, frames - 1, _ROWS // 2).astype(int)])
    )
    places = places[places < frames]
    weights = np.zeros((len(kernel), order), np.complex128)
    for channel in range(len(poles)):
        powers = poles[channel][None] ** places[:, None]
        system = np.concatenate([powers.real, -powers.imag], axis=1)
        rows = kernel[channel : channel + 1] if len(poles) > 1 else kernel
        solution, *_ = np.linalg.lstsq(system, rows[:, places].T, rcond=1e-14)
        solved = (solution[:order] + 1j * solution[order:]).T
        weights[channel : channel + 1 if len(poles) > 1 else None] = solved
    if np.abs(weights).sum(axis=1).max() > _CANCELLING * np.abs(kernel).max():
        return None
    found = Oscillations(poles, weights)
    return found if _fits(kernel, found) else None


def _fits(kernel: Array, form: Oscillations) -> bool:
    scale = np.abs(kernel).max(axis=1, keepdims=True) + 1e-12 * np.abs(kernel).max()
    return bool((np.abs(sampled(form, kernel.shape[1]) - kernel) <= _FITS * scale).all())


def _paired(poles: Array) -> bool:
    """True if every pole that oscillates is there with its conjugate."""
    oscillating = poles[np.abs(poles.imag) > 1e-12]
    return all(np.abs(oscillating - pole.conj()).min() < 1e-9 for pole in oscillating)


def sampled(form: Oscillations, frames: int) -> Array:
    """(channels, frames) of a kernel."""
    rows = []
    for channel, weights in enumerate(form.weights):
        poles = form.poles[channel if len(form.poles) > 1 else 0]
        powers = poles[:, None] ** np.arange(frames)
        rows.append((weights @ powers).real)
    return np.stack(rows)
