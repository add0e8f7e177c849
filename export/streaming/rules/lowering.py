"""What the ways to write a convolution have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from export.streaming.writer import END, Writer

MAX_TAPS = 16  # over time; a filter bank of hundreds of taps stays a Conv


@dataclass(frozen=True)
class Geometry:
    """Of a sliding window, by spatial axis: sizes, steps, distances of taps; pads are all begins, then all ends."""

    kernel: list[int]
    stride: list[int]
    dilation: list[int]
    pads: list[int]


@dataclass(frozen=True)
class Lowering:
    """How a convolution is written.

    Attributes:
        order: axes of the offline tensor as it takes them, batch and time first.
        emit: given the chunk with the rows before it in that order, the step from row to row of the result, and how far
            apart rows of the offline tensor are; returns the result, its axes in the offline order.
        remembers: ``emit`` is given the chunk alone, and remembers itself what it needs of the rows before.
    """

    order: list[int]
    emit: Callable[[str, int, int], str]
    remembers: bool = False


def side_by_side(write: Writer, rows: str, window: tuple[int, int, int], channels: int, hint: str) -> str:
    """What each row of the result sees of (N, T, ...), tap by tap in the channels.

    Args:
        window: taps, step, and how far apart the taps are.
        channels: their axis.
    """
    parts = tap_by_tap(write, rows, window, hint)
    return parts[0] if len(parts) == 1 else write.one("Concat", parts, f"{hint}.taps", axis=channels)


def tap_by_tap(write: Writer, rows: str, window: tuple[int, int, int], hint: str) -> list[str]:
    """What each row of the result sees of (N, T, ...) through each tap; ``window`` as above."""
    taps, step, apart = window
    if taps == 1 and step == 1:
        return [rows]
    reach = (taps - 1) * apart
    return [
        write.slice(rows, start, start - reach or END, 1, f"{hint}.tap", step)
        for start in range(0, reach + 1, apart)
    ]
