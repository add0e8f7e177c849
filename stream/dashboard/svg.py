"""A drawn screen as an SVG file that looks the same everywhere.

Lines and blocks are drawn as shapes, not as letters: fonts and line heights differ from viewer to viewer, and
a block that is a letter leaves seams between the rows. Only words are text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from html import escape
from itertools import groupby
from os import PathLike

from rich.cells import cell_len
from rich.color import blend_rgb
from rich.color_triplet import ColorTriplet
from rich.style import Style

from stream.dashboard.layout import Screen
from stream.dashboard.theme import BACKGROUND, BLOCKS
from stream.errors import OutputError

CELL_WIDTH, CELL_HEIGHT, MARGIN, BASELINE = 10, 20, 16, 15
FONT = "ui-monospace, 'SF Mono', 'Cascadia Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace"
FOREGROUND = ColorTriplet(201, 209, 217)

Box = tuple[float, float, float, float]  # x, y, width, height in pixels of a cell
_MIDDLE_X, _MIDDLE_Y = CELL_WIDTH // 2 - 1, CELL_HEIGHT // 2 - 1
_LEFT: Box = (0, _MIDDLE_Y, _MIDDLE_X + 2, 2)
_RIGHT: Box = (_MIDDLE_X, _MIDDLE_Y, CELL_WIDTH - _MIDDLE_X, 2)
_UP: Box = (_MIDDLE_X, 0, 2, _MIDDLE_Y + 2)
_DOWN: Box = (_MIDDLE_X, _MIDDLE_Y, 2, CELL_HEIGHT - _MIDDLE_Y)


def check_svg_path(path: str | PathLike[str]) -> None:
    """Refuse to replace a file that is no SVG file.

    Raises:
        OutputError: it is something else.
    """
    try:
        with open(path, "rb") as file:
            beginning = file.read(256).lstrip()
    except OSError:  # not there yet, or writing will say what is wrong
        return
    if beginning and b"<svg" not in beginning:
        raise OutputError(f"{path}: is no SVG file, and would be lost; choose another --screenshot")


def _shapes() -> dict[str, list[Box]]:
    """What the line and block characters of the theme look like."""
    shapes: dict[str, list[Box]] = {
        "─": [_LEFT, _RIGHT], "│": [_UP, _DOWN], "╭": [_RIGHT, _DOWN], "╮": [_LEFT, _DOWN],
        "╰": [_RIGHT, _UP], "╯": [_LEFT, _UP], "┬": [_LEFT, _RIGHT, _DOWN], "┴": [_LEFT, _RIGHT, _UP],
        "├": [_UP, _DOWN, _RIGHT], "┤": [_UP, _DOWN, _LEFT], "┼": [_UP, _DOWN, _LEFT, _RIGHT],
        "▀": [(0, 0, CELL_WIDTH, CELL_HEIGHT / 2)],
        "┄": [(x, _MIDDLE_Y, 2, 2) for x in (0, 4, 8)],
        "┊": [(_MIDDLE_X, y, 2, 3) for y in range(1, CELL_HEIGHT, 5)],
    }  # fmt: skip
    for eighths in range(1, 9):
        high = CELL_HEIGHT * eighths / 8
        shapes[BLOCKS.left_eighths[eighths]] = [(0, 0, CELL_WIDTH * eighths / 8, CELL_HEIGHT)]
        shapes[BLOCKS.low_eighths[eighths]] = [(0, CELL_HEIGHT - high, CELL_WIDTH, high)]
    return shapes


SHAPES = _shapes()


def to_svg(screen: Screen) -> str:
    """The screen as a stand-alone SVG document on a dark ground."""
    paths: dict[str, list[str]] = defaultdict(list)
    words: list[str] = []
    for row, line in enumerate(screen.lines):
        x, y = MARGIN, MARGIN + row * CELL_HEIGHT
        for text, style, _ in line:
            ink, ground = _colours(style or Style.null())
            width = cell_len(text) * CELL_WIDTH
            if ground is not None:
                paths[ground].append(_rectangle((x, y, width, CELL_HEIGHT)))
            for is_shape, group in groupby(text, SHAPES.__contains__):
                part = "".join(group)
                if is_shape:
                    _draw(paths[ink], part, x, y)
                else:
                    words += _words(part, x, y, ink, bool(style and style.bold))
                x += cell_len(part) * CELL_WIDTH
    width, height = (screen.width * CELL_WIDTH + 2 * MARGIN, screen.height * CELL_HEIGHT + 2 * MARGIN)
    shapes = "\n".join(
        f'<path fill="{colour}" d="{"".join(parts)}"/>' for colour, parts in paths.items() if parts
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">\n'
        f'<rect width="{width}" height="{height}" rx="10" fill="{BACKGROUND.hex}"/>\n'
        f'<g shape-rendering="crispEdges">\n{shapes}\n</g>\n'
        f'<g font-family="{FONT}" font-size="16">\n' + "\n".join(words) + "\n</g>\n</svg>\n"
    )


def _colours(style: Style) -> tuple[str, str | None]:
    ink = style.color.get_truecolor() if style.color and not style.color.is_default else FOREGROUND
    ground = style.bgcolor.get_truecolor() if style.bgcolor and not style.bgcolor.is_default else None
    if style.dim:
        ink = blend_rgb(BACKGROUND, ink, 0.5)
    if style.reverse:
        ink, ground = ground or BACKGROUND, ink
    return ink.hex, ground.hex if ground else None


def _draw(path: list[str], text: str, x: float, y: float) -> None:
    for char, group in groupby(text):
        count = len(list(group))
        for left, top, width, height in SHAPES[char]:
            if left == 0 and width == CELL_WIDTH:  # neighbours touch: one shape for all
                path.append(_rectangle((x, y + top, width * count, height)))
            else:
                path += [
                    _rectangle((x + i * CELL_WIDTH + left, y + top, width, height)) for i in range(count)
                ]
        x += count * CELL_WIDTH


def _rectangle(box: Box) -> str:
    x, y, width, height = box
    return f"M{x:g} {y:g}h{width:g}v{height:g}h{-width:g}z"


def _words(text: str, x: float, y: float, ink: str, bold: bool) -> list[str]:
    """Text elements, apart where spaces follow each other: viewers fold those."""
    weight = ' font-weight="bold"' if bold else ""
    out = []
    for match in re.finditer(r"\S+(?: \S+)*", text):
        start, size = cell_len(text[: match.start()]) * CELL_WIDTH, cell_len(match[0]) * CELL_WIDTH
        out.append(
            f'<text x="{x + start:g}" y="{y + BASELINE:g}" fill="{ink}"{weight} textLength="{size}" '
            f'lengthAdjust="spacingAndGlyphs">{escape(match[0])}</text>'
        )
    return out
