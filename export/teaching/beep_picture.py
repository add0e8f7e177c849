"""A measured beep as a picture: the spectrogram with its pitch, and the level of its tone with the pulses found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.pictures.canvas import GREY, make_figure, save
from export.teaching.beeping import Beeping, tone_level

_FFT_SECONDS, _STEP_SECONDS = 0.032, 0.01
_RANGE_DB = 60.0
_LONGEST_SECONDS = 30.0


def draw_beep(beep: Beeping, samples: NDArray[np.float32], sample_rate: int, path: Path) -> None:
    """Write a PNG.

    Args:
        beep: as it was measured.
        samples: (n,) float32, the recording.
        sample_rate: Hz.
        path: of the picture.
    """
    seconds = min(beep.seconds, _LONGEST_SECONDS)
    samples = samples[: round(seconds * sample_rate)]
    figure = make_figure(10, 4.2)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1.4, 1])
    n, step = round(_FFT_SECONDS * sample_rate), max(1, round(_STEP_SECONDS * sample_rate))
    frames = np.lib.stride_tricks.sliding_window_view(samples, n)[::step]
    decibels = 20 * np.log10(np.abs(np.fft.rfft(frames * np.hanning(n), axis=1)).T + 1e-9)
    top = float(decibels.max())
    above.imshow(
        decibels, origin="lower", aspect="auto", extent=(0, seconds, 0, sample_rate / 2000), vmin=top - _RANGE_DB,
        vmax=top, cmap="magma",
    )  # fmt: skip
    above.axhline(beep.hertz / 1000, color="white", linewidth=0.8, linestyle=":")
    above.set_ylabel("kHz")
    above.set_title(beep.sentence, fontsize=10, loc="left")
    level = tone_level(samples, beep.hertz, sample_rate)
    below.plot(np.arange(len(level)) / 1000, level, color="#2b6cb0", linewidth=0.8)
    for begin, end in zip(beep.pulses.onset, beep.pulses.offset, strict=True):
        if begin < seconds:
            below.axvspan(begin, min(end, seconds), color="#b7791f", alpha=0.25, linewidth=0)
    below.set(xlim=(0, seconds), xlabel="s")
    below.set_ylabel(f"dB at {beep.hertz:.0f} Hz", fontsize=9)
    below.tick_params(colors=GREY)
    save(figure, path)
