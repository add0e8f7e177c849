"""A sound as a picture: its waveform and spectrogram, all of it side by side."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style

from stream.dashboard.spectrogram import paint, scale
from stream.dashboard.text import TextLine
from stream.dashboard.theme import Theme

BANDS = 48
LOWEST_HERTZ = 60.0
WINDOW_SECONDS = 0.032
WINDOWS_A_CELL = 4  # at least


@dataclass(frozen=True, slots=True, eq=False)
class SoundPicture:
    """What is drawn of a sound.

    Attributes:
        peaks: (cells,) float32, the highest amplitude in each cell, 0 to 1.
        spectrum: (B, cells) float32, dB; NaN where there is no sound at all.
        centres: (B,) Hz, of the bands.
        seconds: of the sound.
    """

    peaks: NDArray[np.float32]
    spectrum: NDArray[np.float32]
    centres: NDArray[np.float64]
    seconds: float

    @classmethod
    def of(cls, samples: NDArray[np.float32], sample_rate: int, cells: int) -> SoundPicture:
        """Look at a sound, (n,) float32 with n > 0, in ``cells`` parts of the same length."""
        edges = np.linspace(0, len(samples), max(1, cells) + 1).astype(int)
        loud = np.abs(np.nan_to_num(samples))
        peaks = [loud[a : max(b, a + 1)].max() for a, b in pairwise(edges.tolist())]
        spectrum, centres = _spectrum(samples, sample_rate, edges)
        return cls(np.array(peaks, np.float32), spectrum, centres, len(samples) / sample_rate)

    def cell_of(self, seconds: float) -> int:
        """In which cell a moment lies."""
        return min(len(self.peaks) - 1, max(0, int(seconds / self.seconds * len(self.peaks))))

    def waveform(self, height: int, theme: Theme, style: Style) -> list[TextLine]:
        """``height`` lines: how far each cell reaches, as shares of the loudest one."""
        steps = len(theme.glyphs.low_eighths) - 1
        top = max(float(self.peaks.max()), 1e-3)
        reach = np.rint(self.peaks / top * height * steps).astype(int)
        lines: list[TextLine] = []
        for floor in range((height - 1) * steps, -1, -steps):
            part = np.clip(reach - floor, 0, steps).tolist()
            lines.append([Segment("".join(theme.glyphs.low_eighths[each] for each in part), style)])
        return lines

    def spectrogram(self, height: int, theme: Theme) -> list[TextLine]:
        """``height`` lines, low bands at the bottom."""
        return paint(self.spectrum, height, theme)

    def scale(self, height: int, width: int, theme: Theme) -> list[TextLine]:
        """``height`` lines of ``width`` cells: frequencies, for beside the spectrogram."""
        return scale(self.centres, height, width, theme)


def _spectrum(
    samples: NDArray[np.float32], sample_rate: int, edges: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(B, cells) dB of bands that are wider the higher they are, and their centres."""
    size = max(16, round(WINDOW_SECONDS * sample_rate))
    window = np.hanning(size).astype(np.float32)
    bounds = np.geomspace(min(LOWEST_HERTZ, sample_rate / 8), sample_rate / 2, BANDS + 1)
    hertz = np.fft.rfftfreq(size, 1 / sample_rate)
    # A band narrower than a line of the spectrum takes the nearest line.
    first = np.clip(np.searchsorted(hertz, bounds[:-1]), 0, len(hertz) - 1)
    last = np.maximum(np.searchsorted(hertz, bounds[1:]), first + 1)
    spectrum = np.full((BANDS, len(edges) - 1), np.nan, np.float32)
    padded = np.concatenate([np.nan_to_num(samples), np.zeros(size, np.float32)])
    for cell, (begin, end) in enumerate(pairwise(edges.tolist())):
        count = max(WINDOWS_A_CELL, (end - begin) // size)
        starts = np.linspace(begin, max(begin, end - size), count).astype(int)
        frames = padded[starts[:, None] + np.arange(size)] * window
        power = np.square(np.abs(np.fft.rfft(frames, axis=1))).mean(axis=0) / np.square(window.sum())
        total = np.concatenate([[0.0], np.cumsum(power)])
        spectrum[:, cell] = 10 * np.log10((total[last] - total[first]) / (last - first) + 1e-12)
    spectrum[:, spectrum.max(axis=0) < -115] = np.nan  # silence that the program itself has written
    return spectrum, np.sqrt(bounds[:-1] * bounds[1:])
