"""Borders: the lines round and between the parts, with titles written into them."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from stream.dashboard.text import TextLine, clip, fit
from stream.dashboard.theme import Theme


def top(
    width: int, theme: Theme, title: str, state: tuple[str, Style], position: str, joint: int | None
) -> TextLine:
    """``width`` cells: title on the left, state and position on the right, a joint at cell ``joint``."""
    glyphs = theme.glyphs
    rule = glyphs.rules[0]
    words, style = state
    title = f" {title} "
    room = width - 8  # corners, and a piece of rule and a space at both ends
    with_position = cell_len(words) + len(position) + 4 <= room
    size = cell_len(words) + (len(position) + 2 if with_position else 0)
    if size + len(title) > room:
        title = ""
    words = fit(words, min(cell_len(words), room), glyphs.ellipsis)
    size = min(size, room)
    between = width - 6 - len(title) - size
    text = list(rule * between)
    if joint is not None and 0 <= joint - 2 - len(title) < between:
        text[joint - 2 - len(title)] = glyphs.joints[0]
    line = [
        Segment(glyphs.corners[0] + rule, theme.quiet),
        Segment(title, theme.strong),
        Segment("".join(text), theme.quiet),
        Segment(f" {words}", style),
    ]
    line.append(Segment(f"  {position} " if with_position else " ", theme.quiet))
    return [*clip(line, width - 2), Segment(rule + glyphs.corners[1], theme.quiet)]


def section(width: int, theme: Theme, title: str, joint: str) -> TextLine:
    """``width`` cells from the left border to ``joint``, with ``title`` in it."""
    glyphs = theme.glyphs
    rule = glyphs.rules[0]
    text = f"{glyphs.joints[2]}{rule} {title} "
    return [Segment(text + rule * (width - len(text) - 1) + joint, theme.quiet)]


def closing(width: int, theme: Theme, joint: int) -> TextLine:
    """``width`` cells: the rule above the status lines, where the border between left and right ends."""
    glyphs = theme.glyphs
    rule = glyphs.rules[0]
    left = rule * (joint - 1)
    return [
        Segment(
            f"{glyphs.joints[2]}{left}{glyphs.joints[1]}{rule * (width - joint - 2)}{glyphs.joints[3]}",
            theme.quiet,
        )
    ]


def bottom(width: int, theme: Theme, hint: str, style: Style | None = None) -> TextLine:
    """``width`` cells: the lower border, with the keys in it where there is room; ``style`` None = as the border."""
    glyphs = theme.glyphs
    rule = glyphs.rules[0]
    hint = f" {hint} " if hint and cell_len(hint) + 8 <= width else ""
    left = glyphs.corners[2] + rule * (width - 3 - cell_len(hint))
    if style is None:
        return [Segment(f"{left}{hint}{rule}{glyphs.corners[3]}", theme.quiet)]
    return [Segment(left, theme.quiet), Segment(hint, style), Segment(rule + glyphs.corners[3], theme.quiet)]
