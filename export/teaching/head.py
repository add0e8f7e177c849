"""Head: which numbers of a front mean a taught sound. A logistic regression on two moments, in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
SHRINK = 0.02  # of the largest variance, added to each before the numbers are made equally important
MAX_ITERATIONS, MEMORY = 40, 10
DIRECTIONS = 96  # of most variance, that are kept
FIRST_BIAS = -4.0  # of a class before it is learnt: rare


@dataclass(frozen=True, eq=False, slots=True)
class Head:
    """Logits of C sounds from rows of a front: the sum of one product for each moment, and a bias.

    Attributes:
        delays: K, rows before the newest one that each moment is.
        weights: (K, D, C) float32.
        bias: (C,) float32.
    """

    delays: tuple[int, ...]
    weights: Array
    bias: Array

    def logits(self, rows: Array) -> Array:
        """(T, D) -> (T, C); moments before the first row add nothing."""
        total = np.tile(self.bias, (len(rows), 1))
        for delay, weight in zip(self.delays, self.weights, strict=True):
            part = rows[: max(0, len(rows) - delay)] @ weight
            total[delay:] += part
        return total


@dataclass(frozen=True, eq=False, slots=True)
class Scale:
    """Rows of a front, moved to mean zero and turned so that all directions vary alike in the background.

    Attributes:
        mean: (D,) float32.
        turn: (D, D') float32, D' = D or fewer.
    """

    mean: Array
    turn: Array

    @classmethod
    def of(cls, background: Array) -> Scale:
        """From rows (T, D) of background; directions that hardly vary count less."""
        mean = background.mean(0)
        values, vectors = np.linalg.eigh(np.cov((background - mean).T.astype(np.float64)))
        values, vectors = values[-DIRECTIONS:], vectors[:, -DIRECTIONS:]
        turn = vectors / np.sqrt(np.maximum(values, 0) + SHRINK * values[-1])
        return cls(mean.astype(np.float32), turn.astype(np.float32))

    def moments(self, rows: Array, at: NDArray[np.int64], delays: tuple[int, ...]) -> Array:
        """(len(at), K * D') scaled rows at ``at`` and before; zero (the mean) before the first."""
        scaled = (rows - self.mean) @ self.turn
        parts = [np.where((at >= d)[:, None], scaled[np.maximum(at - d, 0)], 0) for d in delays]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def head(self, weights: Array, bias: Array, delays: tuple[int, ...]) -> Head:
        """A head on plain rows from one on ``moments``: (K * D', C) and (C,)."""
        split = weights.reshape(len(delays), self.turn.shape[1], -1)
        plain = np.einsum("ds,ksc->kdc", self.turn, split).astype(np.float32)
        shifted = bias - np.einsum("d,kdc->c", self.mean, plain)
        return Head(delays, plain, shifted.astype(np.float32))


def fit_logistic(x: Array, y: Array, weight: Array, penalty: float) -> tuple[Array, Array]:
    """Weights (D, C) and bias (C,) of C logistic regressions, each with a quadratic penalty on its weights.

    Args:
        x: (n, D).
        y: (n, C), 0 or 1.
        weight: (n, C), of each error.
        penalty: times the sum of squared weights.
    """
    shape = (x.shape[1] + 1, y.shape[1])

    def cost(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parameters = flat.reshape(shape).astype(np.float32)
        logits = x @ parameters[:-1] + parameters[-1]
        loss = float(np.sum(weight * (np.logaddexp(0, logits) - y * logits), dtype=np.float64))
        error = weight * (1 / (1 + np.exp(-np.clip(logits, -60, 60))) - y)
        slope = np.empty(shape)
        slope[:-1] = x.T @ error + 2 * penalty * parameters[:-1]
        slope[-1] = error.sum(0)
        return loss + penalty * float(np.sum(np.square(parameters[:-1], dtype=np.float64))), slope.ravel()

    start = np.zeros(shape)
    start[-1] = FIRST_BIAS
    found = minimise(cost, start.ravel()).reshape(shape)
    return found[:-1].astype(np.float32), found[-1].astype(np.float32)


Cost = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]


def minimise(cost: Cost, start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a smooth convex function is least, by L-BFGS (Nocedal and Wright, Numerical Optimization, 7.4 and 7.5)."""
    at = start
    value, slope = cost(at)
    steps: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for _ in range(MAX_ITERATIONS):
        direction = -_turned(slope, steps)
        descent = float(direction @ slope)
        size = 1.0 if steps else min(1.0, 1.0 / max(float(np.abs(slope).sum()), 1e-12))
        for _ in range(30):
            there = at + size * direction
            new, new_slope = cost(there)
            if new <= value + 1e-4 * size * descent:
                break
            size /= 2
        else:
            return at
        step, change = there - at, new_slope - slope
        if float(step @ change) > 1e-10:
            steps = [*steps[-(MEMORY - 1) :], (step, change)]
        small = value - new <= 1e-6 * max(abs(value), 1.0)
        at, value, slope = there, new, new_slope
        if small:
            break
    return at


def _turned(
    slope: NDArray[np.float64], steps: list[tuple[NDArray[np.float64], NDArray[np.float64]]]
) -> NDArray[np.float64]:
    """The slope times the inverse curvature that the last steps show."""
    q = slope.copy()
    shares = []
    for step, change in reversed(steps):
        share = float(step @ q) / float(step @ change)
        shares.append(share)
        q -= share * change
    if steps:
        step, change = steps[-1]
        q *= float(step @ change) / float(change @ change)
    for (step, change), share in zip(steps, reversed(shares), strict=True):
        q += step * (share - float(change @ q) / float(step @ change))
    return q
