"""An explanation as a picture: an SVG that any browser shows, of shapes and text only."""

from __future__ import annotations

import textwrap
from html import escape

import numpy as np
from numpy.typing import NDArray
from rich.color import blend_rgb
from rich.color_triplet import ColorTriplet

from stream.dashboard.palette import DARK, DARK_MEANINGS, DARK_SPECTRUM
from stream.dashboard.spectrogram import NOTHING, spectrum_levels
from stream.dashboard.svg import FONT, FOREGROUND
from stream.dashboard.theme import BACKGROUND
from stream.printable import printable
from stream.replay.explanation import Explanation
from stream.replay.spectrum import band_edges, envelope, spectrum
from stream.replay.wording import sentences

WIDTH, LEFT, RIGHT, TOP = 1200, 110, 60, 56
PLOT = WIDTH - LEFT - RIGHT
WAVE, SPECTRUM, CURVE, SPACE = 90, 150, 84, 14
COLUMNS, BANDS, COLOURS = 365, 40, 24
LINE = 22
QUIET = DARK_MEANINGS["quiet"][0]
KINDS = {
    "event": DARK_MEANINGS["good"][0],
    "miss": DARK_MEANINGS["warning"][0],
    "gap": DARK_MEANINGS["alarm"][0],
    "mark": FOREGROUND.hex,
    "class": QUIET,
}


def to_picture(found: Explanation, title: str) -> str:
    """The SVG document."""
    out: list[str] = []
    y = float(TOP)
    out += _wave(found, y)
    y += WAVE + SPACE
    out += _spectrum(found, y)
    y += SPECTRUM + SPACE
    for column in range(len(found.labels)):
        out += _curve(found, column, y)
        y += CURVE + SPACE
    out += _gaps(found, y - SPACE)
    out += _axis(found, y - SPACE)
    y += 26
    for kind, text in sentences(found):
        colour = KINDS[kind]
        for number, line in enumerate(textwrap.wrap(text, 118) or [""]):
            if number == 0:
                out.append(f'<circle cx="{LEFT - 14}" cy="{y - 5:g}" r="4.5" fill="{colour}"/>')
            out.append(_text(LEFT, y, line, FOREGROUND.hex, 14))
            y += LINE
    height = round(y + 8)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">\n'
        f'<rect width="{WIDTH}" height="{height}" rx="10" fill="{BACKGROUND.hex}"/>\n'
        f'<g font-family="{FONT}">\n'
        + _text(LEFT, 32, title, FOREGROUND.hex, 16)
        + "\n"
        + "\n".join(out)
        + "\n</g>\n</svg>\n"
    )


def _x(found: Explanation, second: float) -> float:
    share = (second - found.begin) / (found.end - found.begin)
    return LEFT + PLOT * min(1.0, max(0.0, share))


def _text(x: float, y: float, text: str, colour: str, size: int = 13, anchor: str = "start") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">'
        f"{escape(printable(text))}</text>"
    )


def _frame(y: float, height: float, name: str, colour: str = QUIET) -> list[str]:
    return [
        f'<rect x="{LEFT}" y="{y:g}" width="{PLOT}" height="{height}" fill="#12161d"/>',
        _text(LEFT - 10, y + height / 2 + 5, name[:12], colour, 14, "end"),
    ]


def _wave(found: Explanation, y: float) -> list[str]:
    low, high = envelope(found.sound, PLOT)
    known = ~np.isnan(low)
    top = max(float(np.abs(np.stack([low, high])[:, known]).max()), 1e-4) if known.any() else 1.0
    middle = y + WAVE / 2
    parts = []
    for column in np.flatnonzero(known):
        upper = middle - float(high[column]) / top * WAVE / 2
        size = max(1.0, float(high[column] - low[column]) / top * WAVE / 2)
        parts.append(f"M{LEFT + column} {upper:.1f}v{size:.1f}")
    return [
        *_frame(y, WAVE, "sound"),
        f'<path d="{"".join(parts)}" stroke="#8b949e" stroke-width="1"/>',
        _text(LEFT + PLOT + 8, y + 12, f"{top:.2g}", QUIET),
    ]


def _spectrum(found: Explanation, y: float) -> list[str]:
    levels = spectrum_levels(spectrum(found.sound, found.sample_rate, COLUMNS, BANDS), BANDS, COLOURS)
    wide, high = PLOT / COLUMNS, SPECTRUM / BANDS
    paths: dict[int, list[str]] = {}
    for row in range(BANDS):
        edges = np.flatnonzero(np.diff(levels[row].astype(int))) + 1
        for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), COLUMNS], strict=True):
            level = int(levels[row, start])
            if level != NOTHING:
                left, width = LEFT + start * wide, (stop - start) * wide
                box = f"M{left:.1f} {y + row * high:.1f}h{width:.1f}v{high + 0.3:.1f}H{left:.1f}z"
                paths.setdefault(level, []).append(box)
    out = _frame(y, SPECTRUM, "spectrum")
    out += [f'<path d="{"".join(boxes)}" fill="{_shade(level)}"/>' for level, boxes in sorted(paths.items())]
    bands = band_edges(found.sample_rate, BANDS)
    for hertz in (100, 1000, 4000, 10000):
        if bands[0] < hertz < bands[-1] * 0.95:
            at = y + SPECTRUM * (1 - np.log(hertz / bands[0]) / np.log(bands[-1] / bands[0]))
            out.append(
                _text(LEFT + PLOT + 8, at + 4, f"{hertz // 1000}k" if hertz >= 1000 else f"{hertz}", QUIET)
            )
    return out


def _shade(level: int) -> str:
    at = level / (COLOURS - 1) * (len(DARK_SPECTRUM) - 1)
    low = min(int(at), len(DARK_SPECTRUM) - 2)
    left, right = (_triplet(DARK_SPECTRUM[each]) for each in (low, low + 1))
    return blend_rgb(left, right, at - low).hex


def _triplet(text: str) -> ColorTriplet:
    return ColorTriplet(int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16))


def _curve(found: Explanation, column: int, y: float) -> list[str]:
    """Averages as a line (dotted where the model was cold), thresholds dashed, events as bands, near misses below."""
    label = found.labels[column]
    colour = DARK.full[column % (len(DARK.full) - 1)]
    out = _frame(y, CURVE, label, colour)

    def height(value: float) -> float:
        return y + CURVE * (1 - min(1.0, max(0.0, value)))

    for event in found.events:
        if event.label == label:
            left = _x(found, event.onset_s)
            right = _x(found, found.end if event.offset_s is None else event.offset_s)
            out.append(
                f'<rect x="{left:.1f}" y="{y:g}" width="{max(1.0, right - left):.1f}" height="{CURVE}" '
                f'fill="{colour}" fill-opacity="0.22"/>'
            )
            out.append(_text(left + 4, y + 14, f"e{event.id}", colour, 12))
    for miss in found.misses:
        if miss.label == label:
            left, right = (_x(found, each / found.model_rate) for each in (miss.start, miss.end))
            out.append(
                f'<rect x="{left:.1f}" y="{y:g}" width="{max(2.0, right - left):.1f}" height="{CURVE}" fill="none" '
                f'stroke="{KINDS["miss"]}" stroke-dasharray="3 3"/>'
            )
    bars = [(float(found.thresholds[column]), "6 4"), (float(found.releases[column]), "1 5")]
    peak = float(found.peak_thresholds[column])
    if peak != bars[0][0]:
        bars.append((peak, "12 4"))
    for bar, dashes in bars:
        if not np.isnan(bar):
            out.append(
                f'<path d="M{LEFT} {height(bar):.1f}h{PLOT}" stroke="{QUIET}" stroke-dasharray="{dashes}" fill="none"/>'
            )
            if dashes != "1 5" or (bars[0][0] - bar) * CURVE > 12:  # room for its number
                out.append(_text(LEFT + PLOT + 8, height(bar) + 4, f"{bar:.2g}", QUIET, 12))
    cold = np.isnan(found.averages[:, column])
    for values, extra in (
        (found.averages[:, column], ""),
        (np.where(cold, found.probs[:, column], np.nan), ' stroke-dasharray="2 3"'),
    ):
        path = _line(found, values, height)
        if path:
            out.append(f'<path d="{path}" stroke="{colour}" stroke-width="2" fill="none"{extra}/>')
    return out


def _line(found: Explanation, values: NDArray[np.float32], height: object) -> str:
    """A line through the rows, broken where rows are missing."""
    assert callable(height)
    parts: list[str] = []
    before = -np.inf
    for at, value in zip(found.at.tolist(), values.tolist(), strict=True):
        if np.isnan(value):
            before = -np.inf
            continue
        parts.append(
            f"{'L' if at - before < 1.5 * found.hop else 'M'}{_x(found, at):.1f} {height(value):.1f}"
        )
        before = at
    return "".join(parts)


def _gaps(found: Explanation, bottom: float) -> list[str]:
    out = []
    for gap in found.gaps:
        left, right = (_x(found, each / found.model_rate) for each in (gap.start, gap.end))
        out.append(
            f'<rect x="{left:.1f}" y="{TOP}" width="{max(1.5, right - left):.1f}" height="{bottom - TOP:.1f}" '
            f'fill="{KINDS["gap"]}" fill-opacity="0.25"/>'
        )
    for at, _ in found.marks:
        out.append(f'<path d="M{_x(found, at):.1f} {TOP}V{bottom:g}" stroke="{KINDS["mark"]}" fill="none"/>')
    return out


def _axis(found: Explanation, y: float) -> list[str]:
    length = found.end - found.begin
    step = next(
        (each for each in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 300, 600) if length / each <= 14), 3600
    )
    out = []
    second = float(np.ceil(found.begin / step) * step)
    while second <= found.end:
        x = _x(found, second)
        out.append(f'<path d="M{x:.1f} {y:g}v5" stroke="{QUIET}"/>')
        out.append(_text(x, y + 19, f"{second:g} s", QUIET, 12, "middle"))
        second = round(second + step, 6)
    return out
