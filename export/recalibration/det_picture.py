"""Missed events against false alarms as an SVG picture, drawn without any package."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from export.atomic import write_bytes
from export.calibration.event_report import rate
from export.calibration.grid import level_of
from export.recalibration.det import DetPoint, curve
from export.recalibration.recalibrate import Recalibration
from stream.errors import OutputError
from stream.printable import printable

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2")
DASHES = ("none", "6 3", "2 2")
WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 44, 60
_GREY, _LONGEST_NAME = "#718096", 22


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where values lie: false alarms by powers of ten with a place for none, the other from 0 to 1.

    Attributes:
        least, most: positive false alarms in a unit of time, at the ends of the logarithmic part.
    """

    least: float
    most: float

    def x(self, false: float) -> float:
        begin = LEFT + 40  # left of it: none
        if false < self.least:
            return LEFT + 12
        share = math.log(false / self.least) / math.log(self.most / self.least)
        return begin + share * (WIDTH - RIGHT - begin)

    def y(self, share: float) -> float:
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def check_picture_path(path: Path) -> None:
    """Refuse what would not be a picture.

    Raises:
        OutputError: the name does not end in .svg, or its folder is not there.
    """
    if path.suffix.lower() != ".svg":
        raise OutputError(f"--picture {path}: is drawn as SVG; give it a name that ends in .svg")
    if not path.parent.is_dir():
        raise OutputError(f"--picture {path}: the folder {path.parent} is not there; make it first")


def draw_det(found: Recalibration, path: Path) -> None:
    """Write the picture: a line a class, a ring at the rule that was chosen, and the budget.

    With labelled events the lines show the share of them that is missed; without, the level of the rules.

    Raises:
        OutputError: it cannot be written.
    """
    write_bytes(path, det_svg(found).encode())


def det_svg(found: Recalibration) -> str:
    """The picture as text."""
    scale = found.budget.hours / found.hours if found.hours else 0.0
    events = {label: found.after.classes[label].events for label in found.chosen}
    missing = any(events.values())
    lines = {
        label: curve(found.curves[label], events[label], found.rules.rule(label))
        for label in found.chosen
        if events[label] or not missing
    }
    budget = found.budget.count
    seen = [p.false * scale for points in lines.values() for p in points if p.false > 0]
    least = 10 ** math.floor(math.log10(min([*seen, budget])))
    most = 10 ** math.ceil(math.log10(max([*seen, budget]) * 1.01))
    axes = _Axes(least, max(most, 10 * least))
    parts = [*_frame(axes, found, missing), *_budget(axes, budget)]
    for number, (label, points) in enumerate(lines.items()):
        parts += _line(axes, points, events[label], scale, number, label)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _frame(axes: _Axes, found: Recalibration, missing: bool) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    middle = (TOP + bottom) / 2
    parts = [
        _text(16, 24, found.promise.sentence()),
        f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="black"/>',
        _text((LEFT + right) / 2, HEIGHT - 16, f"false alarms per {found.budget.unit}", anchor="middle"),
        f'<g transform="rotate(-90 18 {middle})">',
        _text(18, middle, "missed events" if missing else "level", anchor="middle"),
        "</g>",
        _text(LEFT + 12, bottom + 18, "0", anchor="middle"),
    ]
    for tenth in range(0, 11, 2):
        y = axes.y(tenth / 10)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#e2e8f0"/>')
        parts.append(
            _text(LEFT - 6, y + 4, f"{10 * tenth} %" if missing else f"{tenth / 10:.1f}", anchor="end")
        )
    for power in range(round(math.log10(axes.least)), round(math.log10(axes.most)) + 1):
        x = axes.x(10.0**power * (1 + 1e-9))
        parts.append(f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="#e2e8f0"/>')
        parts.append(_text(x, bottom + 18, rate(10.0**power), anchor="middle"))
    return parts


def _budget(axes: _Axes, budget: float) -> list[str]:
    x = axes.x(budget)
    return [
        f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{_GREY}" stroke-dasharray="4 4"/>',
        _text(x + 4, TOP + 12, "budget", colour=_GREY),
    ]


def _line(
    axes: _Axes, points: Sequence[DetPoint], events: int, scale: float, number: int, label: str
) -> list[str]:
    colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
    pen = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}" fill="none"'
    places = [
        (axes.x(p.false * scale), axes.y(1 - p.found / events if events else level_of(p.rule)))
        for p in points
    ]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    y, x = TOP + 8 + 18 * number, WIDTH - RIGHT + 14
    name = printable(label)
    short = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    return [
        f'<path d="M{path}" {pen}/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in places),
        *(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" fill="none" stroke="{colour}" stroke-width="2"/>'
            for (x, y), point in zip(places, points, strict=True)
            if point.chosen
        ),
        f'<path d="M{x} {y}h18" {pen}/>',
        _text(x + 24, y + 4, short),
    ]


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "black") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor={quoteattr(anchor)} fill={quoteattr(colour)}>'
        f"{escape(text)}</text>"
    )
