"""Steadiness: what a beep is beside its cadence, and a tune is not. Its pulses are alike, and it sounds alone."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from export.teaching.beeps.cycles import Folded
from export.teaching.beeps.line_spectrum import Array, Spectrum

WELL = 9.0  # dB above what is beside it, from which a line stands out
STEADY_HERTZ = 7.0  # by which a pitch may move
LEAST_CONTRAST = 4.5  # dB from the gaps to the pulses
_LENGTHS = 2.2  # times the shortest pulse, that the longest may be
_LEVELS_DB = 2.5  # by which the levels of most pulses may differ from their middle
_FADES_DB = 5.5  # from the first to the last third of a pulse: struck notes fade
_COMPANY = 0.6  # share of the gaps in which another pitch may sound nearly as loudly
_OWN_DB, _NEARLY_DB = 5.0, 10.0  # above what is beside a line of the beep; below the beep, of another pitch
_LASTS = 7  # frames that a pitch must last: chance peaks of noise are shorter
_FLANK = 4  # columns on each side that belong to a line
_EDGE_SECONDS = 0.02  # of a pulse, that is no part of its level


def unsteady(spectrum: Spectrum, column: int, folded: Folded) -> str:
    """Why a line with a cadence is no beep, to be read after "the line at 3100 Hz"; "" = it may be one."""
    on = folded.template(spectrum.seconds)
    off = folded.inside(spectrum.seconds) & ~on
    contrast = contrast_of(spectrum, column, on, off)
    if contrast < LEAST_CONTRAST:
        return f"is only {contrast:.1f} dB louder in its pulses than between them"
    spread = spread_of(peaks_of(spectrum, column, on))
    if spread > STEADY_HERTZ:
        return f"moves by ±{spread:.0f} Hz; want ±{STEADY_HERTZ:.0f} Hz or less"
    lengths = [pulse.length for pulse in folded.pulses]
    if max(lengths) > _LENGTHS * min(lengths):
        return f"has pulses of {min(lengths):.2f} to {max(lengths):.2f} s in a cycle; want pulses of about one length"
    levels, fades = _pulses(spectrum, column, folded)
    low, high = np.quantile(levels, (0.15, 0.85))  # one that is drowned, or was cut off, says nothing
    if high - low > 2 * _LEVELS_DB:
        return f"has pulses that differ by ±{(high - low) / 2:.1f} dB; want ±{_LEVELS_DB:g} dB or less"
    if np.median(fades) > _FADES_DB:
        return f"fades by {np.median(fades):.0f} dB in each pulse, as a struck note does"
    company = _company(spectrum, column, on, off)
    if company > _COMPANY:
        return f"is one of several: others sound as loudly in {company:.0%} of its gaps, as in music"
    return ""


def line_of(values: Array, column: int) -> Array:
    """(T,) the highest of a column and those beside it."""
    highest: Array = values[:, max(0, column - 1) : column + 2].max(axis=1)
    return highest


def contrast_of(spectrum: Spectrum, column: int, on: NDArray[np.bool_], off: NDArray[np.bool_]) -> float:
    """dB from the gaps to the pulses; of the gaps the quieter part counts: a room sounds on at their beginning."""
    if not on.any() or not off.any():
        return 0.0
    decibels = line_of(spectrum.decibels, column)
    return float(np.median(decibels[on]) - np.quantile(decibels[off], 0.25))


def spread_of(hertz: NDArray[np.float64]) -> float:
    """Standard deviation without the tenth at either end: an edge is of any pitch."""
    return float(np.std(np.clip(hertz, *np.quantile(hertz, (0.1, 0.9)))))


def peaks_of(spectrum: Spectrum, column: int, on: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Hz of the peak at a column in each frame, between the bins: a parabola through three levels."""
    rows = spectrum.decibels[on]
    low = max(1, column - 3)
    middle = low + rows[:, low : column + 4].argmax(axis=1)
    middle = np.clip(middle, 1, rows.shape[1] - 2)
    at = np.arange(len(rows))
    left, top, right = (rows[at, middle + k].astype(np.float64) for k in (-1, 0, 1))
    bend = np.minimum(left - 2 * top + right, -1e-3)
    shift = np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
    found: NDArray[np.float64] = spectrum.hertz[middle] + shift * (spectrum.hertz[1] - spectrum.hertz[0])
    return found


def _pulses(spectrum: Spectrum, column: int, folded: Folded) -> tuple[list[float], list[float]]:
    """The level of each pulse in dB, and by how much it fades."""
    decibels = line_of(spectrum.decibels, column)
    levels, fades = [0.0], [0.0]
    for number in range(folded.cycles):
        for pulse in folded.pulses:
            begin = folded.start + number * folded.cycle + pulse.onset
            inside = (begin + _EDGE_SECONDS, begin + pulse.length - _EDGE_SECONDS)
            first, last = np.searchsorted(spectrum.seconds, inside)
            part = decibels[first:last]
            if len(part):
                third = max(1, len(part) // 3)
                levels.append(float(part.mean()))
                fades.append(float(part[:third].mean() - part[-third:].mean()))
    return levels[1:] or levels, fades[1:] or fades


def _company(spectrum: Spectrum, column: int, on: NDArray[np.bool_], off: NDArray[np.bool_]) -> float:
    """Share of the gaps in which another pitch sounds nearly as loudly."""
    usual = float(np.median(line_of(spectrum.decibels, column)[on]))
    own = spectrum.above[on].mean(axis=0) >= _OWN_DB
    own = np.convolve(own, np.ones(2 * _FLANK + 1), "same") > 0  # a room sounds on
    loud = (spectrum.above >= WELL) & (spectrum.decibels >= usual - _NEARLY_DB) & ~own
    if len(loud) < _LASTS:
        return 0.0
    lasting = sliding_window_view(loud, _LASTS, axis=0).all(axis=-1).any(axis=-1)
    sounding = np.convolve(lasting, np.ones(_LASTS), "full") > 0
    return float(sounding[off].mean())
