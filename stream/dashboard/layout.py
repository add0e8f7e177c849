"""Layout: ``render`` turns readings into a screen of exactly the size asked for. Pure: same in, same out.

large   bars | timelines          from 60 x 14
        level, events | spectrogram
        source, figures, and what outputs do where there are any
small   bars, level, events, figures in one column
tiny    state and the strongest classes, no border
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from stream.dashboard import borders, words
from stream.dashboard.bars import class_bar, class_note, level_meter
from stream.dashboard.deliveries import delivery_line, undelivered
from stream.dashboard.prompt import Prompt
from stream.dashboard.spectrogram import scale, spectrogram
from stream.dashboard.text import TextLine, blank, clip, fit
from stream.dashboard.theme import Theme
from stream.dashboard.timeline import Axis, threshold_row, timelines
from stream.printable import printable
from stream.telemetry import Readings

LARGE_SIZE, SMALL_SIZE = (60, 14), (24, 6)  # columns and rows from which these layouts are used
MAX_CLASS_LINES = 8
MIN_LOWER_LINES = 6  # for level, events and spectrogram,
LEAST_LOWER_LINES = 4  # and where the screen is low
LOW_SCREEN_LINES = 18
SCALE_WIDTH = 5  # cells on the right, for thresholds and frequencies


@dataclass(frozen=True, slots=True)
class View:
    """How a person looks at the readings: what keys have changed about the picture.

    Attributes:
        chosen: index of the class that keys are about; None before one is chosen.
        skipped: newest events that are scrolled over.
        paused: the picture stands still, while listening goes on.
        prompt: a line that is being typed; it takes the place of the keys at the bottom.
    """

    chosen: int | None = None
    skipped: int = 0
    paused: bool = False
    prompt: Prompt | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Screen:
    """A drawn dashboard: ``height`` lines, each ``width`` cells. A rich renderable."""

    lines: list[TextLine]
    width: int
    height: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for i, line in enumerate(self.lines):
            if i:
                yield Segment.line()
            yield from line


def render(
    readings: Readings,
    width: int,
    height: int,
    theme: Theme | None = None,
    hint: str = "q quit",
    view: View | None = None,
) -> Screen:
    """Draw ``readings`` in exactly ``width`` x ``height`` cells.

    Args:
        theme: colours and characters; None = everything a modern terminal has.
        hint: the keys that do something, shown at the bottom.
        view: what is chosen, scrolled and paused.
    """
    theme, view = theme or Theme(), view or View()
    width, height = max(1, width), max(1, height)
    if width >= LARGE_SIZE[0] and height >= LARGE_SIZE[1]:
        lines = _large(readings, width, height, theme, hint, view)
    elif width >= SMALL_SIZE[0] and height >= SMALL_SIZE[1]:
        lines = _small(readings, width, height, theme, hint, view)
    else:
        lines = _tiny(readings, width, height, theme, view)
    return Screen(lines, width, height)


def _large(
    readings: Readings, width: int, height: int, theme: Theme, hint: str, view: View
) -> list[TextLine]:
    glyphs = theme.glyphs
    vertical = glyphs.rules[1]
    left = min(60, max(34, round(width * 0.42) - 4))
    right = width - left - 7
    joint = left + 3
    edge, cross = Segment(f"{vertical} ", theme.quiet), Segment(f" {vertical} ", theme.quiet)
    end = Segment(f" {vertical}", theme.quiet)
    axis = Axis.of(readings, right - SCALE_WIDTH)

    status = [words.source_line(readings, width - 4, theme), words.figure_line(readings, width - 4, theme)]
    if readings.outputs:
        status.append(delivery_line(readings, width - 4, theme))
    room = height - 4 - len(status)  # without borders and rules
    least = MIN_LOWER_LINES if height >= LOW_SCREEN_LINES else LEAST_LOWER_LINES
    upper = max(1, room - max(least, round(room * 0.42)))
    shown, rest = _choose(readings, room - least, view)
    tall = max(1, min(MAX_CLASS_LINES, upper // max(1, len(shown))))
    lower = room - len(shown) * tall - (1 if rest else 0)

    lines = [_top(readings, width, theme, view, joint)]
    history = timelines(readings, axis, shown, tall, theme)
    names = _label_width(readings, left, theme)
    for row, index in enumerate(shown):
        block = [class_bar(readings, index, left, names, theme, chosen=index == view.chosen)]
        if tall >= 3:
            block.append(class_note(readings, index, left, names, theme))
        above = blank(left)
        pad = (tall - len(block) + 1) // 2 if tall > 2 else tall - len(block)
        block = [above] * pad + block + [above] * (tall - pad - len(block))
        threshold = float(readings.thresholds[index])
        crossed = threshold_row(threshold, tall)
        for i in range(tall):
            note = f"{threshold:.2f}" if i == crossed else ""
            margin = Segment(note.rjust(SCALE_WIDTH), theme.quiet)
            lines.append([edge, *block[i], cross, *history[row * tall + i], margin, end])
    if rest:
        lines.append([edge, *_rest(readings, rest, left, theme), cross, *blank(right), end])

    last = Segment(glyphs.joints[3], theme.quiet)
    heading = borders.section(joint + 1, theme, "level", glyphs.joints[4])
    unit = Segment(f"{glyphs.rules[0]} Hz ", theme.quiet)
    lines.append([*heading, *axis.label(right + 2 - SCALE_WIDTH, theme), unit, last])
    meter = 2 if lower >= 14 else 1
    side = [level_meter(readings, left, theme)]
    if meter == 2:
        side.append(_scale(left, theme))
    events = words.event_list(readings, left, lower - meter - 1, theme, view.skipped)
    picture = [
        picture + hertz
        for picture, hertz in zip(
            spectrogram(readings, axis, lower, theme),
            scale(readings.centres, lower, SCALE_WIDTH, theme),
            strict=True,
        )
    ]
    for i, line in enumerate(side):
        lines.append([edge, *line, cross, *picture[i], end])
    title = f"events, {view.skipped} newer above" if view.skipped else "events"
    heading = borders.section(joint + 1, theme, title, glyphs.joints[3])
    lines.append([*heading, Segment(" "), *picture[meter], end])
    for i, line in enumerate(events):
        lines.append([edge, *line, cross, *picture[meter + 1 + i], end])

    lines.append(borders.closing(width, theme, joint))
    lines += [[edge, *line, end] for line in status]
    lines.append(_bottom(width, theme, hint, view))
    return lines


def _small(
    readings: Readings, width: int, height: int, theme: Theme, hint: str, view: View
) -> list[TextLine]:
    vertical = theme.glyphs.rules[1]
    edge, end = Segment(f"{vertical} ", theme.quiet), Segment(f" {vertical}", theme.quiet)
    inner = width - 4
    room = height - 4  # without borders, level and figures
    shown, rest = _choose(readings, max(1, room - 1), view)
    names = _label_width(readings, inner, theme)
    body = [class_bar(readings, index, inner, names, theme, chosen=index == view.chosen) for index in shown]
    if rest:
        body.append(_rest(readings, rest, inner, theme))
    body += words.event_list(readings, inner, room - len(body), theme, view.skipped)
    body.append(level_meter(readings, inner, theme))
    figures = undelivered(readings, theme) + words.figures(readings, theme)
    body.append(words.line_of(figures, inner, theme))
    lines = [[edge, *line, end] for line in body]
    return [_top(readings, width, theme, view, None), *lines, _bottom(width, theme, hint, view)]


def _tiny(readings: Readings, width: int, height: int, theme: Theme, view: View) -> list[TextLine]:
    text, style = words.state(readings, theme, paused=view.paused)
    lines: list[TextLine] = [[Segment(fit(text, width, theme.glyphs.ellipsis), style)]]
    for index in _strongest(readings)[: height - 1]:
        label = fit(
            printable(readings.labels[index], theme.encoding), max(0, width - 5), theme.glyphs.ellipsis
        )
        lines.append(
            clip([Segment(label, theme.accent(index)), Segment(f" {_value(readings, index):4.2f}")], width)
        )
    lines += [blank(width) for _ in range(height - len(lines))]
    if view.prompt is not None:
        lines[-1] = [Segment(view.prompt.line(width, theme), theme.strong)]
    return lines


def _bottom(width: int, theme: Theme, hint: str, view: View) -> TextLine:
    """The lower border, with the keys or with what is being typed."""
    if view.prompt is None:
        return borders.bottom(width, theme, hint)
    return borders.bottom(width, theme, view.prompt.line(width - 8, theme), theme.strong)


def _top(readings: Readings, width: int, theme: Theme, view: View, joint: int | None) -> TextLine:
    state = words.state(readings, theme, paused=view.paused)
    return borders.top(width, theme, "stream-classify", state, words.position(readings), joint)


def _value(readings: Readings, index: int) -> float:
    return float(np.nan_to_num(readings.probs[index]))


def _strongest(readings: Readings) -> list[int]:
    return sorted(range(len(readings.labels)), key=lambda i: (-_value(readings, i), i))


def _choose(readings: Readings, room: int, view: View) -> tuple[list[int], list[int]]:
    """Classes to show and to leave out: by the highest probability in sight, so that the choice is calm; the one that
    keys are about is shown."""
    count = len(readings.labels)
    if count <= room:
        return list(range(count)), []
    best = np.fmax.reduce(readings.timeline, axis=1, initial=0.0)
    if view.chosen is not None:
        best[view.chosen] = np.inf
    order = np.argsort(-best, kind="stable").tolist()
    room = max(1, room - 1)
    return sorted(order[:room]), order[room:]


def _rest(readings: Readings, rest: list[int], width: int, theme: Theme) -> TextLine:
    highest = max(rest, key=lambda i: _value(readings, i))
    label = printable(readings.labels[highest], theme.encoding)
    text = f"+ {len(rest)} more, highest {_value(readings, highest):.2f} {label}"
    return [Segment(fit(text, width, theme.glyphs.ellipsis), theme.quiet)]


def _label_width(readings: Readings, width: int, theme: Theme) -> int:
    longest = max(cell_len(printable(label, theme.encoding)) for label in readings.labels)
    return max(1, min(longest, round(width * 0.4)))


def _scale(width: int, theme: Theme) -> TextLine:
    """The numbers under the level meter."""
    bar = width - 12
    text = [" "] * width
    for level in (-60, -40, -20, 0):
        word = str(level)
        at = max(0, min(bar - len(word), round((1 + level / 60) * bar) - len(word) // 2))
        text[at : at + len(word)] = word
    return [Segment("".join(text), theme.quiet)]
