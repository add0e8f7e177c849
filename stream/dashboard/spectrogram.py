"""Spectrogram: the spectrum of the last half minute, low bands at the bottom, two bands per cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from stream.dashboard.text import PLAIN, TextLine, runs
from stream.dashboard.theme import Theme
from stream.dashboard.timeline import Axis
from stream.telemetry import Readings

RANGE_DB = 55.0  # from the first to the last colour
LOWEST_TOP_DB = -25.0  # of the range: a silent room stays dark
SCALE_HERTZ = (1000, 4000, 200, 2000, 8000, 500, 16000, 100)  # the most telling first
NOTHING = 255  # the level of a cell in which nothing was heard


def spectrogram(readings: Readings, axis: Axis, height: int, theme: Theme) -> list[TextLine]:
    """``height`` lines, ``axis.cells`` wide; blank where nothing was heard."""
    return paint(axis.fold(readings.spectrum), height, theme)


def paint(spectrum: NDArray[np.float32], height: int, theme: Theme) -> list[TextLine]:
    """A spectrum, (B, cells) dB from the lowest band up, as ``height`` lines; blank where it is NaN."""
    colours, glyphs = theme.spectrum, theme.glyphs
    halves = 2 if colours and glyphs.half else 1
    levels = len(colours) if colours else len(glyphs.shades)
    picture = spectrum_levels(spectrum, height * halves, levels)
    if not colours:
        return [_cached(_shades, row.tobytes(), row.tobytes(), theme) for row in picture]
    upper, lower = picture[::halves], picture[halves - 1 :: halves]
    return [_cached(_halves, upper[i].tobytes(), lower[i].tobytes(), theme) for i in range(height)]


def spectrum_levels(spectrum: NDArray[np.float32], rows: int, levels: int) -> NDArray[np.uint8]:
    """(B, cells) dB to (rows, cells) levels from the top band down; NOTHING where there is none."""
    bands = len(spectrum)
    at = np.linspace(bands - 1, 0, rows) if rows > 1 else np.array([bands / 2])
    below = np.minimum(at.astype(int), max(0, bands - 2))
    share = (at - below)[:, None].astype(np.float32)
    picture = spectrum[below] * (1 - share) + spectrum[np.minimum(below + 1, bands - 1)] * share
    known = ~np.isnan(picture)
    if not known.any():
        return np.full(picture.shape, NOTHING, np.uint8)
    # In steps of 5 dB, so that the colours of what is drawn already rarely change.
    top = max(LOWEST_TOP_DB, 5 * np.ceil(float(np.quantile(picture[known], 0.995)) / 5))
    level = (np.nan_to_num(picture) - (top - RANGE_DB)) / RANGE_DB * levels
    return np.where(known, np.clip(level, 0, levels - 1), NOTHING).astype(np.uint8)


def scale(centres: NDArray[np.floating], height: int, width: int, theme: Theme) -> list[TextLine]:
    """``height`` lines of ``width`` cells: frequencies beside the picture, each where it lies in it.

    ``centres`` are those of its bands, (B,) Hz.
    """
    words = [""] * height
    for hertz in SCALE_HERTZ:
        if centres[0] <= hertz <= centres[-1]:
            band = float(np.interp(hertz, centres, np.arange(len(centres))))
            row = round((1 - band / max(1, len(centres) - 1)) * (height - 1))
            if all(not word for word in words[max(0, row - 1) : row + 2]):  # a line of air between two
                words[row] = f"{hertz // 1000}k" if hertz >= 1000 else f"{hertz}"
    return [[Segment(word.rjust(width), theme.quiet)] for word in words]


# Lines are cached by what they show, all but the newest cell: between two scroll steps hardly anything is made again.
def _cached(
    make: Callable[[bytes, bytes, Theme], TextLine], upper: bytes, lower: bytes, theme: Theme
) -> TextLine:
    return make(upper[:-1], lower[:-1], theme) + make(upper[-1:], lower[-1:], theme)


@lru_cache(maxsize=1024)
def _halves(upper: bytes, lower: bytes, theme: Theme) -> TextLine:
    return runs([_cell(*pair, theme) for pair in zip(upper, lower, strict=True)])


@lru_cache(maxsize=4096)
def _cell(upper: int, lower: int, theme: Theme) -> tuple[str, Style]:
    if upper == NOTHING or lower == NOTHING:  # bands go missing together
        return " ", PLAIN
    colours = theme.spectrum
    if upper == lower:
        return " ", _paint(None, colours[lower])
    return "▀", _paint(colours[upper], colours[lower])


@lru_cache(maxsize=4096)
def _paint(ink: Color | None, ground: Color) -> Style:
    return Style.from_color(ink, ground)


@lru_cache(maxsize=1024)
def _shades(row: bytes, _: bytes, theme: Theme) -> TextLine:
    shades = theme.glyphs.shades
    return [Segment("".join(" " if level == NOTHING else shades[level] for level in row))]
