"""Is it a repeating beep? The cadence and the pitch of one, measured in a recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.scenes.cadence import Cadence, Pulses

Array = NDArray[np.float32]
LEAST_PULSES = 4
_FFT_SECONDS, _STEP_SECONDS = 0.064, 0.016
_LOWEST_HERTZ = 250.0
_TONAL_DB = 10.0  # above what lies beside it, or it is no tone
_CONTRAST_DB = 8.0  # of pulses above what is between them
_TRIED = 8  # pitches
_EDGE_SECONDS = 0.012  # over which a pulse's edge is smoothed
_SHORTEST_SECONDS = 0.025  # of a pulse, and of a gap
_REGULAR = 0.2  # share by which times of one kind may differ,
_REGULAR_SECONDS = 0.02  # and by so much more, however short they are
_GROUPED = 1.6  # a pause between groups is so many times a gap within
_HARMONICS = 6


@dataclass(frozen=True, eq=False, slots=True)
class Beeping:
    """A repeating beep.

    Attributes:
        cadence: its times on average.
        hertz: pitch.
        partials: (harmonic, amplitude), the loudest 1.
        pulses: where each was found.
        seconds: length of the recording.
    """

    cadence: Cadence
    hertz: float
    partials: tuple[tuple[int, float], ...]
    pulses: Pulses
    seconds: float

    @property
    def sentence(self) -> str:
        """What it is, for people."""
        c, count = self.cadence, len(self.pulses)
        if c.pulses == 1:
            what = f"a pulse of {c.on:.2f} s every {c.cycle:.2f} s"
        else:
            what = f"{c.pulses} pulses of {c.on:.2f} s, {c.off:.2f} s apart, every {c.cycle:.2f} s"
        return f"a repeating beep: {what}, at {self.hertz:.0f} Hz ({count} pulses heard)"


def measured_beep(samples: Array, sample_rate: int) -> Beeping | None:
    """The repeating beep of a recording; None where there is none.

    It is one tone that is switched on and off at least four times, in equal pulses that are equally far apart, or in
    equal groups of such pulses. Talk, music and knocks are none.

    Args:
        samples: (n,) float32.
        sample_rate: Hz.
    """
    for hertz in _pitches(samples, sample_rate):
        level = tone_level(samples, hertz, sample_rate)
        edges = _pulses(level)
        times = _cadence(edges / 1000.0)
        if times is None:
            continue
        cadence, group = times
        pulses = Pulses(edges[:, 0] / 1000.0, edges[:, 1] / 1000.0, group, int(group[0]), cadence)
        exact = _exact_pitch(samples, pulses, hertz, sample_rate)
        return Beeping(
            cadence, exact, _partials(samples, pulses, exact, sample_rate), pulses, len(samples) / sample_rate
        )
    return None


def _pitches(samples: Array, sample_rate: int) -> list[float]:
    """Tones that come and go, the clearest first, in Hz."""
    n, step = round(_FFT_SECONDS * sample_rate), round(_STEP_SECONDS * sample_rate)
    if len(samples) < 4 * n:
        return []
    frames = np.lib.stride_tricks.sliding_window_view(samples, n)[::step]
    power = np.abs(np.fft.rfft(frames * np.hanning(n).astype(np.float32), axis=1)) ** 2 + 1e-12
    decibels = 10 * np.log10(power)
    around = np.stack([np.roll(decibels, shift, axis=1) for shift in (-10, -8, -6, 6, 8, 10)])
    tonal = decibels - np.median(around, axis=0)
    peak = (decibels > np.roll(decibels, 1, axis=1)) & (decibels >= np.roll(decibels, -1, axis=1))
    clear = np.where(peak & (tonal > _TONAL_DB), tonal, 0.0)
    clear[:, : round(_LOWEST_HERTZ * n / sample_rate)] = 0
    clear[:, -10:] = 0
    # What sounds all the time is a hum and no beep, whatever its pitch.
    coming = np.where((clear > 0).mean(axis=0) < 0.9, 1.0, 0.0)
    strength = (clear * np.maximum(decibels - np.percentile(decibels, 5), 0)).sum(axis=0) * coming
    strength = strength + 0.5 * (np.roll(strength, 1) + np.roll(strength, -1))
    found: list[float] = []
    for bin_ in np.argsort(-strength)[: 10 * _TRIED]:
        hertz = float(bin_ * sample_rate / n)
        if strength[bin_] > 0 and all(abs(hertz - other) > 3 * sample_rate / n for other in found):
            found.append(hertz)
    return found[:_TRIED]


def tone_level(samples: Array, hertz: float, sample_rate: int) -> NDArray[np.float64]:
    """(milliseconds,) float64, dB of one tone: shifted to 0 Hz and smoothed."""
    turn = np.exp(-2j * np.pi * hertz * np.arange(len(samples)) / sample_rate)
    window = np.hanning(round(2 * _EDGE_SECONDS * sample_rate) + 2)[1:-1]
    size = len(samples) + len(window) - 1
    fast = 1 << (size - 1).bit_length()
    shifted = np.fft.ifft(np.fft.fft(samples * turn, fast) * np.fft.fft(window / window.sum(), fast))
    begin = len(window) // 2
    amplitude = np.abs(shifted[begin : begin + len(samples)])
    at = (np.arange(int(len(samples) * 1000 / sample_rate)) * sample_rate / 1000).astype(np.int64)
    decibels: NDArray[np.float64] = 20 * np.log10(amplitude[at] + 1e-9)
    return decibels


def _pulses(level: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n, 2) beginnings and ends, in milliseconds, of stretches near the loudest level; none without contrast."""
    nothing = np.zeros((0, 2), np.int64)
    loud, quiet = np.percentile(level, 98), np.percentile(level, 10)
    if loud - quiet < _CONTRAST_DB:
        return nothing
    # Half the amplitude is where a smoothed edge is; in noise the middle between noise and pulse.
    bar = max(loud - 6.0, (loud + quiet) / 2)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], (level > bar).view(np.int8), [0])))).reshape(-1, 2)
    joined: list[list[int]] = []
    for begin, end in edges:
        if joined and begin - joined[-1][1] < _SHORTEST_SECONDS * 1000:
            joined[-1][1] = int(end)
        else:
            joined.append([int(begin), int(end)])
    kept = [pair for pair in joined if pair[1] - pair[0] >= _SHORTEST_SECONDS * 1000]
    # A pulse that the recording cuts off says nothing about its length.
    kept = [pair for pair in kept if pair[0] > 0 and pair[1] < len(level)]
    return np.array(kept, np.int64) if kept else nothing


def _cadence(edges: NDArray[np.float64]) -> tuple[Cadence, NDArray[np.int64]] | None:
    """Cadence and the group of each pulse, where all is regular."""
    if len(edges) < LEAST_PULSES:
        return None
    on, gaps = edges[:, 1] - edges[:, 0], edges[1:, 0] - edges[:-1, 1]
    if not _alike(on):
        return None
    if _alike(gaps):
        pause = float(np.median(gaps))
        return Cadence(1, float(np.median(on)), pause, pause), np.arange(len(edges))
    order = np.sort(gaps)
    split = int(np.argmax(order[1:] / np.maximum(order[:-1], 1e-3)))
    if order[split + 1] < _GROUPED * order[split]:
        return None
    bar = (order[split] + order[split + 1]) / 2
    short, long = gaps[gaps < bar], gaps[gaps >= bar]
    group = np.concatenate(([0], np.cumsum(gaps >= bar))).astype(np.int64)
    sizes = np.bincount(group)
    inner = sizes[1:-1] if len(sizes) > 2 else sizes
    pulses = int(sizes.max())
    if not (_alike(short) and _alike(long)) or np.any(inner != pulses) or pulses < 2:
        return None
    return Cadence(pulses, float(np.median(on)), float(np.median(short)), float(np.median(long))), group


def _alike(seconds: NDArray[np.float64]) -> bool:
    middle = float(np.median(seconds))
    return bool(np.all(np.abs(seconds - middle) <= _REGULAR * middle + _REGULAR_SECONDS))


def _exact_pitch(samples: Array, pulses: Pulses, hertz: float, sample_rate: int) -> float:
    """The pitch by the phase's advance within pulses: far finer than a bin."""
    turn = samples * np.exp(-2j * np.pi * hertz * np.arange(len(samples)) / sample_rate)
    block = max(1, round(0.004 * sample_rate))
    total = 0j
    for onset, offset in zip(pulses.onset, pulses.offset, strict=True):
        part = turn[round(onset * sample_rate) : round(offset * sample_rate)]
        means = part[: len(part) // block * block].reshape(-1, block).mean(axis=1)
        total += np.sum(means[1:] * np.conj(means[:-1]))
    return hertz + float(np.angle(total)) / (2 * np.pi * block / sample_rate)


def _partials(
    samples: Array, pulses: Pulses, hertz: float, sample_rate: int
) -> tuple[tuple[int, float], ...]:
    """How loud its harmonics are, beside the noise where they would be."""
    inside = np.zeros(len(samples), bool)
    for onset, offset in zip(pulses.onset, pulses.offset, strict=True):
        inside[round(onset * sample_rate) : round(offset * sample_rate)] = True
    found = []
    for harmonic in range(1, _HARMONICS + 1):
        if harmonic * hertz > 0.47 * sample_rate:
            break
        level = 10 ** (tone_level(samples, harmonic * hertz, sample_rate) / 20)
        at = inside[(np.arange(len(level)) * sample_rate / 1000).astype(np.int64)]
        loud, between = float(np.median(level[at])), float(np.median(level[~at])) if (~at).any() else 0.0
        if harmonic == 1 or loud > 2 * between:
            found.append((harmonic, loud))
    most = max(amplitude for _, amplitude in found)
    return tuple((harmonic, round(amplitude / most, 4)) for harmonic, amplitude in found)
