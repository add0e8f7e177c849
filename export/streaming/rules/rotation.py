"""Cosines and sines of the frame number that the sound is multiplied by or that are added to it: rotary positions of a
window of attention, and sinusoidal positions.

The angle of frame n is counted in whole 2**-32 parts of a turn, modulo a turn, from the number of the frame: it is as
exact after a year as in the beginning, and the difference of two frames' angles depends on their distance alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from export.streaming.alignment import Alignment
from export.streaming.context import Context
from export.streaming.memory import row_numbers, spread_rows
from export.streaming.node import Node

Array = NDArray[np.float64]
_TURN = 1 << 32
_LENGTH = 2048  # frames that a table is looked at for
_LAGS = (1, 8, 64, 512)  # frames over which frequencies are measured, ever more exactly
_TOLERANCE = 1e-3  # of a table's largest value: its angles may have been rounded to float32


_ONE = 3e-5


@dataclass(frozen=True)
class _Waves:
    """v[n] = even cos(2 pi steps n / 2**32) + odd sin(…).

    Attributes:
        steps: (k,) int64, even, so that frame 2**31 begins anew without a jump.
        even, odd: (k,) float32.
    """

    steps: NDArray[np.int64]
    even: NDArray[np.float32]
    odd: NDArray[np.float32]


def rotating(ctx: Context, node: Node, name: str, lead: Alignment) -> str | None:
    """A streaming tensor in place of a table of waves over time, broadcastable over ``lead``; None if it is none."""
    if node.op not in ("Add", "Mul") or ctx.varies(name) or ctx.probe.fixed(name) is not None:
        return None
    axes = ctx.probe.axes(name)
    if axes is None or lead.open or lead.time is None or lead.summary or lead.band:
        return None
    times = [i for i, axis in enumerate(axes) if axis.kind == "time"]
    wide = [i for i, axis in enumerate(axes) if axis.kind == "fixed" and axis.size != 1]
    if len(times) != 1 or len(wide) != 1 or any(axis.kind not in ("time", "fixed") for axis in axes):
        return None
    (time,), (place,) = times, wide
    behind = len(axes) - 1 - place  # axes of size 1 behind the features
    if behind > 1 or place < time or time - len(axes) != lead.time - len(lead.axes):
        return None
    table = ctx.probe.longer(name, _LENGTH)
    if table is None:
        table = max(ctx.probe.values(name), key=lambda value: value.shape[time])
    waves = _waves(np.moveaxis(table, time, 0).reshape(table.shape[time], -1).astype(np.float64))
    if waves is None:
        return None
    write = ctx.write
    rows = write.one("Add", [row_numbers(ctx, lead), write.ints(-lead.lag)], "number")
    if lead.lag > 0:
        rows = write.one("Max", [rows, write.ints(0)], "number")
    rows = write.one("Mod", [rows, write.ints(_TURN // 2)], "number")
    rows = write.one("Unsqueeze", [rows, write.ints(2)], "number")
    parts = write.one("Mul", [rows, write.constant(waves.steps)], "angle")
    parts = write.one(
        "Mod", [write.one("Add", [parts, write.ints(_TURN // 2)], "angle"), write.ints(_TURN)], "angle"
    )
    parts = write.one(
        "Sub", [parts, write.ints(_TURN // 2)], "angle"
    )  # half a turn at most: float32 is finer there
    angle = write.one("Cast", [parts], "angle", to=TensorProto.DOUBLE)
    angle = write.one("Mul", [angle, write.constant(np.float64(2 * np.pi / _TURN))], "angle")
    angle = write.one("Cast", [angle], "angle", to=TensorProto.FLOAT)  # rounded once
    terms = [
        write.one("Mul", [write.one(op, [angle], "wave"), write.constant(factor)], "wave")
        for op, factor in (("Cos", waves.even), ("Sin", waves.odd))
        if factor.any()
    ]
    made = write.one("Add", terms, "wave") if len(terms) == 2 else terms[0]
    if not behind:
        return spread_rows(ctx, lead, made)
    kept = spread_rows(ctx, replace(lead, axes=lead.axes[:-1]), made)
    return write.one("Unsqueeze", [kept, write.ints(-1)], "wave")


def _waves(table: Array) -> _Waves | None:
    """The waves that the columns of a table (frames, k) are; None if one is none."""
    frames, size = len(table), np.abs(table).max()
    if not np.isfinite(size) or size == 0 or frames < 2 * _LAGS[1] + 2:
        return None
    frequency = np.zeros(table.shape[1])
    for lag in _LAGS:
        if 2 * lag + 8 > frames:
            break
        middle = table[lag:-lag]
        both = table[2 * lag :] + table[: -2 * lag]
        power = (middle * middle).sum(axis=0)
        cosine = (both * middle).sum(axis=0) / (2 * np.where(power > 0, power, 1))
        angle = np.arccos(np.clip(cosine, -1, 1))
        if lag == 1:
            frequency = angle
            continue
        turns = (
            np.round((frequency * lag - angle) / (2 * np.pi)),
            np.round((frequency * lag + angle) / (2 * np.pi)),
        )
        choices = np.stack([2 * np.pi * turns[0] + angle, 2 * np.pi * turns[1] - angle]) / lag
        nearest = np.abs(choices - frequency).argmin(axis=0)
        frequency = np.abs(np.take_along_axis(choices, nearest[None], 0)[0])
    steps = 2 * np.round(frequency / (2 * np.pi) * (_TURN // 2)).astype(np.int64) % _TURN
    numbers = np.arange(frames)
    even, odd = np.zeros(len(steps)), np.zeros(len(steps))
    for k, step in enumerate(steps):
        angles = 2 * np.pi * (numbers * step % _TURN) / _TURN
        system = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        (even[k], odd[k]), *_ = np.linalg.lstsq(system, table[:, k], rcond=1e-9)
        if np.abs(system @ (even[k], odd[k]) - table[:, k]).max() > _TOLERANCE * size:
            return None
    even[np.abs(even) < _TOLERANCE * size], odd[np.abs(odd) < _TOLERANCE * size] = 0, 0
    return _Waves(steps, _settled(even), _settled(odd))


def _settled(values: Array) -> NDArray[np.float32]:
    """What was meant to be one is one."""
    return np.where(np.abs(np.abs(values) - 1) < _ONE, np.sign(values), values).astype(np.float32)
