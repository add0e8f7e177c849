"""Layout: ``render`` turns a snapshot into a frame of exactly the size asked for. Pure: same in, same out.

large   bars | timelines          from 60 x 14
        level, events | spectrogram
        source and figures
small   bars, level, events, figures in one column
tiny    state and the strongest classes, no frame
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from stream.dashboard import borders, words
from stream.dashboard.bars import class_bar, class_note, level_meter
from stream.dashboard.spectrogram import spectrogram
from stream.dashboard.text import Line, blank, clean, clip, fit
from stream.dashboard.theme import Theme
from stream.dashboard.timeline import Axis, timelines
from stream.telemetry import Snapshot

LARGE, SMALL = (60, 14), (24, 6)
TALLEST_CLASS = 5  # lines a class gets at most
LEAST_LOWER = 6  # lines kept for level, events and spectrogram


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A drawn dashboard: ``height`` lines, each ``width`` cells. A rich renderable."""

    lines: list[Line]
    width: int
    height: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for i, line in enumerate(self.lines):
            if i:
                yield Segment.line()
            yield from line


def render(
    snapshot: Snapshot, width: int, height: int, theme: Theme | None = None, hint: str = "q quit"
) -> Frame:
    """Draw ``snapshot`` in exactly ``width`` x ``height`` cells.

    Args:
        theme: colours and characters; None = everything a modern terminal has.
        hint: the keys that do something, shown at the bottom.
    """
    theme = theme or Theme()
    width, height = max(1, width), max(1, height)
    if width >= LARGE[0] and height >= LARGE[1]:
        lines = _large(snapshot, width, height, theme, hint)
    elif width >= SMALL[0] and height >= SMALL[1]:
        lines = _small(snapshot, width, height, theme, hint)
    else:
        lines = _tiny(snapshot, width, height, theme)
    return Frame(lines, width, height)


def _large(snapshot: Snapshot, width: int, height: int, theme: Theme, hint: str) -> list[Line]:
    glyphs = theme.glyphs
    vertical = glyphs.rules[1]
    left = min(60, max(34, round(width * 0.42) - 4))
    right = width - left - 7
    joint = left + 3
    edge, cross = Segment(f"{vertical} ", theme.quiet), Segment(f" {vertical} ", theme.quiet)
    end = Segment(f" {vertical}", theme.quiet)
    axis = Axis.of(snapshot, right)

    room = height - 6  # without borders, rules and the two status lines
    upper = max(1, room - max(LEAST_LOWER, round(room * 0.42)))
    shown, rest = _choose(snapshot, room - LEAST_LOWER)
    tall = max(1, min(TALLEST_CLASS, upper // max(1, len(shown))))
    lower = room - len(shown) * tall - (1 if rest else 0)

    lines = [_top(snapshot, width, theme, joint)]
    history = timelines(snapshot, axis, shown, tall, theme)
    names = _label_width(snapshot, left, theme)
    for row, index in enumerate(shown):
        block = [class_bar(snapshot, index, left, names, theme)]
        if tall >= 3:
            block.append(class_note(snapshot, index, left, names, theme))
        above = blank(left)
        pad = (tall - len(block) + 1) // 2 if tall > 2 else tall - len(block)
        block = [above] * pad + block + [above] * (tall - pad - len(block))
        for i in range(tall):
            lines.append([edge, *block[i], cross, *history[row * tall + i], end])
    if rest:
        lines.append([edge, *_rest(snapshot, rest, left, theme), cross, *blank(right), end])

    last = Segment(glyphs.joints[3], theme.quiet)
    lines.append(
        [*borders.section(joint + 1, theme, "level", glyphs.joints[4]), *axis.label(right + 2, theme), last]
    )
    meter = 2 if lower >= 14 else 1
    side = [level_meter(snapshot, left, theme)]
    if meter == 2:
        side.append(_scale(left, theme))
    events = words.event_list(snapshot, left, lower - meter - 1, theme)
    picture = spectrogram(snapshot, axis, lower, theme)
    for i, line in enumerate(side):
        lines.append([edge, *line, cross, *picture[i], end])
    heading = borders.section(joint + 1, theme, "events", glyphs.joints[3])
    lines.append([*heading, Segment(" "), *picture[meter], end])
    for i, line in enumerate(events):
        lines.append([edge, *line, cross, *picture[meter + 1 + i], end])

    lines.append(borders.closing(width, theme, joint))
    lines.append([edge, *words.source_line(snapshot, width - 4, theme), end])
    lines.append([edge, *words.figure_line(snapshot, width - 4, theme), end])
    lines.append(borders.bottom(width, theme, hint))
    return lines


def _small(snapshot: Snapshot, width: int, height: int, theme: Theme, hint: str) -> list[Line]:
    vertical = theme.glyphs.rules[1]
    edge, end = Segment(f"{vertical} ", theme.quiet), Segment(f" {vertical}", theme.quiet)
    inner = width - 4
    room = height - 4  # without borders, level and figures
    shown, rest = _choose(snapshot, max(1, room - 1))
    names = _label_width(snapshot, inner, theme)
    body = [class_bar(snapshot, index, inner, names, theme) for index in shown]
    if rest:
        body.append(_rest(snapshot, rest, inner, theme))
    body += words.event_list(snapshot, inner, room - len(body), theme)
    body.append(level_meter(snapshot, inner, theme))
    body.append(words.figure_line(snapshot, inner, theme))
    lines = [[edge, *line, end] for line in body]
    return [_top(snapshot, width, theme, None), *lines, borders.bottom(width, theme, hint)]


def _tiny(snapshot: Snapshot, width: int, height: int, theme: Theme) -> list[Line]:
    text, style = words.state(snapshot, theme)
    lines: list[Line] = [[Segment(fit(text, width, theme.glyphs.ellipsis), style)]]
    for index in _strongest(snapshot)[: height - 1]:
        label = fit(clean(snapshot.labels[index], theme.encoding), max(0, width - 5), theme.glyphs.ellipsis)
        lines.append(
            clip([Segment(label, theme.accent(index)), Segment(f" {_value(snapshot, index):4.2f}")], width)
        )
    return lines + [blank(width) for _ in range(height - len(lines))]


def _top(snapshot: Snapshot, width: int, theme: Theme, joint: int | None) -> Line:
    state = words.state(snapshot, theme)
    return borders.top(width, theme, "stream-classify", state, words.position(snapshot), joint)


def _value(snapshot: Snapshot, index: int) -> float:
    return float(np.nan_to_num(snapshot.probs[index]))


def _strongest(snapshot: Snapshot) -> list[int]:
    return sorted(range(len(snapshot.labels)), key=lambda i: (-_value(snapshot, i), i))


def _choose(snapshot: Snapshot, room: int) -> tuple[list[int], list[int]]:
    """Classes to show and to leave out: by the highest probability in sight, so that the choice is calm."""
    count = len(snapshot.labels)
    if count <= room:
        return list(range(count)), []
    best = np.fmax.reduce(snapshot.timeline, axis=1, initial=0.0)
    order = np.argsort(-best, kind="stable").tolist()
    room = max(1, room - 1)
    return sorted(order[:room]), order[room:]


def _rest(snapshot: Snapshot, rest: list[int], width: int, theme: Theme) -> Line:
    highest = max(rest, key=lambda i: _value(snapshot, i))
    label = clean(snapshot.labels[highest], theme.encoding)
    text = f"+ {len(rest)} more, highest {_value(snapshot, highest):.2f} {label}"
    return [Segment(fit(text, width, theme.glyphs.ellipsis), theme.quiet)]


def _label_width(snapshot: Snapshot, width: int, theme: Theme) -> int:
    longest = max(cell_len(clean(label, theme.encoding)) for label in snapshot.labels)
    return max(1, min(longest, round(width * 0.4)))


def _scale(width: int, theme: Theme) -> Line:
    """The numbers under the level meter."""
    bar = width - 12
    text = [" "] * width
    for level in (-60, -40, -20, 0):
        word = str(level)
        at = max(0, min(bar - len(word), round((1 + level / 60) * bar) - len(word) // 2))
        text[at : at + len(word)] = word
    return [Segment("".join(text), theme.quiet)]
