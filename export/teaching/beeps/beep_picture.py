"""A measured beep as a picture: its pitch, its cadence over what was heard, and what the detector makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from export.pictures.canvas import FOUND, GREY, make_figure, save, short
from export.teaching.beeps.line_spectrum import RATE, Spectrum
from export.teaching.beeps.pattern import Beep
from export.teaching.beeps.template import SPEC, Template

Array = NDArray[np.float32]
_CYCLES, _SHORTEST, _LONGEST = 4.0, 8.0, 40.0  # that are drawn, in seconds
_BEFORE = 1.0
_RANGE_DB = 70.0


def draw_beep(
    samples: Array, beep: Beep, template: Template, scores: Array, threshold: float, label: str, path: Path
) -> None:
    """Draw some cycles of a recording (n,) at 16 kHz, with the scores (T,) of the whole of it."""
    begin = max(0.0, beep.start - _BEFORE)
    seconds = float(np.clip(_CYCLES * beep.cycle + 2 * _BEFORE, _SHORTEST, _LONGEST))
    part = samples[round(begin * RATE) : round((begin + seconds) * RATE)]
    spectrum = Spectrum.of(part)
    times = begin + spectrum.seconds
    figure = make_figure(11, 6.2)
    pitch, cadence, score = figure.subplots(3, 1, sharex=True, height_ratios=[1.5, 1.2, 0.8])
    top = float(spectrum.decibels.max())
    pitch.imshow(
        spectrum.decibels.T, origin="lower", aspect="auto", cmap="magma", vmin=top - _RANGE_DB, vmax=top,
        extent=(times[0], times[-1], spectrum.hertz[0] / 1000, spectrum.hertz[-1] / 1000), interpolation="nearest",
    )  # fmt: skip
    for k, line in enumerate(beep.lines):
        pitch.axhline(
            line.hertz / 1000, color="white", linewidth=0.8, linestyle="-" if k == 0 else ":", alpha=0.7
        )
    pitch.set_ylabel("kHz")
    pitch.set_title(
        f"pitch: {', '.join(f'{line.hertz:.0f}' for line in beep.lines)} Hz (lines)", fontsize=9, loc="left"
    )
    column = int(np.abs(spectrum.hertz - beep.hertz).argmin())
    level = spectrum.decibels[:, max(0, column - 1) : column + 2].max(axis=1)
    last = beep.start + beep.cycles * beep.cycle
    at = beep.start
    while at < min(last - 1e-6, times[-1]):
        for pulse in beep.pulses:
            cadence.axvspan(
                at + pulse.onset, at + pulse.onset + pulse.length, color=FOUND, alpha=0.25, linewidth=0
            )
        cadence.axvline(at, color=FOUND, linewidth=0.8, linestyle="--")
        at += beep.cycle
    cadence.plot(times, level, color="#2d3748", linewidth=0.9)
    cadence.set_ylim(max(float(level.min()), top - 1.2 * _RANGE_DB) - 3, top + 3)
    cadence.set_ylabel("dB")
    cadence.set_title(_words(beep), fontsize=9, loc="left")
    ends = (np.arange(len(scores)) * SPEC.hop_length + SPEC.span) / RATE
    score.plot(ends, np.maximum(scores, 0), color=FOUND, linewidth=1.0)
    score.axhline(threshold, color=GREY, linewidth=0.9, linestyle=":")
    held = sliding_window_view(np.pad(scores, (template.hold, 0)), template.hold + 1).max(axis=1) >= threshold
    edges = np.flatnonzero(np.diff(np.pad(held, 1).astype(int))).reshape(-1, 2)
    for first, last in edges:
        score.plot(ends[[first, last - 1]], [1.15, 1.15], color=FOUND, linewidth=4, solid_capstyle="butt")
    score.set(ylim=(0, 1.28), yticks=[0, 1], xlim=(times[0], times[-1]), xlabel="seconds", ylabel="score")
    score.set_title(
        f"how well two groups of pulses have just ended; above the dotted line ({threshold:.2f}) {short(label)} is "
        "reported (bar)",
        fontsize=9,
        loc="left",
    )
    save(figure, path)


def _words(beep: Beep) -> str:
    lengths = ", ".join(f"{pulse.length:.2f}" for pulse in beep.pulses[:6])
    gaps = ", ".join(f"{gap:.2f}" for gap in beep.gaps[:6])
    cycles = f"{beep.cycles} cycles of {beep.cycle:.3f} s, dashed"
    return f"cadence (shaded: as measured, {cycles}): on {lengths} s; off {gaps} s"
