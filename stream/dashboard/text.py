"""Text that is safe and exactly as wide as asked; lines are lists of segments."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

TextLine = list[Segment]
PLAIN = Style.null()


def fit(text: str, width: int, ellipsis: str) -> str:
    """``text`` in exactly ``width`` cells: padded on the right, or cut and marked with ``ellipsis``."""
    if width <= 0:
        return ""
    excess = cell_len(text) > width
    if excess and width > 2:
        return set_cell_size(set_cell_size(text, width - 1).rstrip() + ellipsis, width)
    return set_cell_size(text, width)


def width_of(line: TextLine) -> int:
    """Cells a line takes."""
    return sum(cell_len(segment.text) for segment in line)


def blank(width: int) -> TextLine:
    return [Segment(" " * width)] if width > 0 else []


def clip(line: TextLine, width: int) -> TextLine:
    """``line`` cut or padded to exactly ``width`` cells."""
    out: TextLine = []
    left = width
    for segment in line:
        if left <= 0:
            break
        size = cell_len(segment.text)
        out.append(segment if size <= left else Segment(set_cell_size(segment.text, left), segment.style))
        left -= size
    return out + blank(left)


def runs(cells: list[tuple[str, Style]]) -> TextLine:
    """One segment for each run of cells that share a style."""
    out: TextLine = []
    text, style = "", PLAIN
    for char, char_style in cells:
        if char_style is not style and text:
            out.append(Segment(text, style))
            text = ""
        text += char
        style = char_style
    if text:
        out.append(Segment(text, style))
    return out


def changes(old: TextLine, new: TextLine, width: int) -> list[tuple[int, TextLine]]:
    """What to write to make ``new`` of ``old``, both ``width`` cells: (cell, segments) for each place."""
    same = 0
    for before, after in zip(old, new, strict=False):
        if before is not after and before != after:
            break
        same += 1
    old, new = old[same:], new[same:]
    start = width - width_of(new)
    known: dict[int, Segment] = {}
    at = start
    for segment in old:
        known[at] = segment
        at += cell_len(segment.text)
    out: list[tuple[int, TextLine]] = []
    at, end = start, -1
    for segment in new:
        size = cell_len(segment.text)
        if known.get(at) != segment:
            if at == end:
                out[-1][1].append(segment)
            else:
                out.append((at, [segment]))
            end = at + size
        at += size
    return out
