"""Words: what the source is doing, the figures of the status lines, and the list of events."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from stream.dashboard.text import PLAIN, TextLine, blank, clip, fit
from stream.dashboard.theme import Theme
from stream.messages import Event, SourceState
from stream.printable import printable
from stream.telemetry import Readings

# From these on, a figure is shown as a warning.
HIGH_LAG_SECONDS = 0.5
HIGH_REAL_TIME_FACTOR = 0.8
FIGURES_APART = 3  # cells

Figure = tuple[str, str, Style]
Meaning = Literal["good", "warning", "alarm"]


def clock(seconds: float, decimals: int = 0) -> str:
    """Stream time for people: 0:42, 12:07.3, 3:00:00."""
    scaled = math.floor(seconds * 10**decimals)
    whole, part = divmod(scaled, 10**decimals)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
    return f"{text}.{part:0{decimals}d}" if decimals else text


def span(seconds: float) -> str:
    """A length of time with its unit, three digits at most."""
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def state_words(readings: Readings) -> tuple[str, Meaning]:
    """What the source is doing, and what that means."""
    source = readings.source
    recording = not source.live or source.duration is not None
    what = "source" if recording or "://" in source.name else "microphone"
    lasted = f"{readings.state_seconds:.0f} s"
    found: dict[SourceState, tuple[str, Meaning]] = {
        "listening": ("playing" if recording else "listening", "good"),
        "silent": (f"no sound for {lasted}", "warning"),
        "recovering": (f"{what} gone, trying again, {lasted}", "warning"),
        "failed": (f"{what} failed", "alarm"),
    }
    return found[readings.state]


def state(readings: Readings, theme: Theme, *, paused: bool = False) -> tuple[str, Style]:
    """The same with the mark in front, in its colour; or that the picture is ``paused``."""
    if paused:
        return "picture paused, listening goes on", theme.warning
    words, meaning = state_words(readings)
    style = {"good": theme.good, "warning": theme.warning, "alarm": theme.alarm}[meaning]
    return f"{theme.glyphs.mark[readings.state]} {words}", style


def position(readings: Readings) -> str:
    """Stream time, and the length of the recording where there is one."""
    text = clock(readings.stream_seconds)
    if readings.source.duration is not None:
        text += f" / {clock(readings.source.duration / readings.source.sample_rate)}"
    return text


def source_facts(readings: Readings, arrow: str = "→") -> list[str]:
    """Rates and channel, in words."""
    source = readings.source
    rates = f"{source.sample_rate}"
    if source.sample_rate != readings.model_rate:
        rates += f" {arrow} {readings.model_rate}"
    channel = source.channel if source.channel == "mix" else f"channel {source.channel}"
    return [f"{rates} Hz"] + ([f"{channel} of {source.channels}"] if source.channels > 1 else [])


def source_line(readings: Readings, width: int, theme: Theme) -> TextLine:
    """``width`` cells: the device and its rates on the left, the model and where it runs on the right."""
    source, glyphs = readings.source, theme.glyphs
    dot = f" {glyphs.dot} "
    facts = source_facts(readings, glyphs.arrow)
    right = f"{printable(readings.model, theme.encoding)}{dot}{printable(readings.provider, theme.encoding)}"
    if readings.state_detail:  # why there is no sound, or what is odd about it
        return [
            Segment(
                fit(printable(readings.state_detail, theme.encoding), width, glyphs.ellipsis), theme.warning
            )
        ]
    name = printable(source.name, theme.encoding)
    detail = dot.join([*facts, printable(source.detail, theme.encoding)] if source.detail else facts)
    right_width = min(cell_len(right), width // 2)
    room = width - right_width - 2
    if cell_len(name + dot + detail) > room:
        detail = dot.join(facts)
    name_width = max(min(8, cell_len(name)), min(cell_len(name), room - cell_len(dot + detail)))
    left = [Segment(fit(name, name_width, glyphs.ellipsis)), Segment(dot + detail, theme.quiet)]
    return [*clip(left, room), *blank(2), Segment(fit(right, right_width, glyphs.ellipsis), theme.quiet)]


def figure_words(readings: Readings) -> list[tuple[str, str, bool]]:
    """(name, value, whether it is a warning) of every figure: what is wrong first, then how things go. Of fixed
    widths, so that a number that changes moves nothing."""
    wrong: list[tuple[str, str, bool]] = []
    well: list[tuple[str, str, bool]] = []

    def add(name: str, value: str, bad: bool) -> None:
        (wrong if bad else well).append((name, value, bad))

    lost = (readings.lost_samples + readings.missing_samples) / readings.model_rate
    if readings.gap_count:
        gaps = f"in {readings.gap_count} gap{'s' * (readings.gap_count != 1)}"
        so_far = " so far" if readings.open_gap_seconds else ""
        add("lost", f"{span(lost)} {gaps}{so_far}", True)
    add("behind", f"{span(readings.lag_seconds):>6}", readings.lag_seconds > HIGH_LAG_SECONDS)
    factor = readings.real_time_factor
    share = "-" if math.isnan(factor) else f"{factor * 100:.0f}"
    add("computing", f"{share:>3} %", factor > HIGH_REAL_TIME_FACTOR)
    typical, slow = (_milliseconds(value) for value in (readings.latency_p50_ms, readings.latency_p99_ms))
    if not readings.gap_count:
        add("", "nothing lost", False)
    add("a chunk takes", f"{typical:>4} ms", False)
    add("slowest 1 %", f"{slow:>4} ms", False)
    if readings.repaired_samples:
        add("repaired", f"{readings.repaired_samples} samples", True)
    if not readings.warm:
        add("", "warming up", False)
    return wrong + well


def figures(readings: Readings, theme: Theme) -> list[Figure]:
    """The same, each with its style."""
    return [(name, value, theme.warning if bad else PLAIN) for name, value, bad in figure_words(readings)]


def _milliseconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def figure_line(readings: Readings, width: int, theme: Theme) -> TextLine:
    """``width`` cells: as many figures as fit."""
    return line_of(figures(readings, theme), width, theme)


def line_of(some: Sequence[Figure], width: int, theme: Theme) -> TextLine:
    """``width`` cells: the first figures that fit."""
    line: TextLine = []
    used = 0
    for name, value, style in some:
        size = len(f"{name} {value}".strip())
        if used + size > width:
            break  # the next may explain itself by this one
        if line:
            line += blank(FIGURES_APART)
        line += [Segment(f"{name} ", theme.quiet)] if name else []
        line.append(Segment(value, style))
        used += size + FIGURES_APART
    return clip(line, width)


def event_line(event: Event, began: str, readings: Readings, width: int, theme: Theme) -> TextLine:
    """``width`` cells: when, what, how long, how sure; a mark in front of one that is still on.

    Args:
        began: the time of day; "" = say where in the sound.
    """
    index = readings.labels.index(event.label)
    on = event.offset_s is None
    until = readings.stream_seconds if event.offset_s is None else event.offset_s
    accent = theme.accent(index)
    mark = theme.glyphs.mark["on"] if on else " "
    when = f"{mark} {began or clock(event.onset_s, 1):>8} "
    tail = f" {span(max(0.0, until - event.onset_s)):>6}  {event.peak:4.2f}"
    if width < 34:
        tail = f" {event.peak:4.2f}"
    room = width - len(when) - len(tail)
    label = fit(printable(event.label, theme.encoding), room, theme.glyphs.ellipsis)
    line = [
        Segment(when, accent if on else theme.quiet),
        Segment(label, accent + theme.strong if on else accent),
        Segment(tail, PLAIN if on else theme.quiet),
    ]
    return clip(line, width)


def event_list(readings: Readings, width: int, height: int, theme: Theme, skipped: int = 0) -> list[TextLine]:
    """``height`` lines, the newest event first, or those behind the ``skipped`` newest."""
    shown = zip(readings.events[skipped : skipped + height], readings.began[skipped:], strict=False)
    lines = [event_line(event, began, readings, width, theme) for event, began in shown]
    if not lines and height > 0:
        lines = [[Segment(fit("nothing detected yet", width, theme.glyphs.ellipsis), theme.quiet)]]
    return lines + [blank(width) for _ in range(height - len(lines))]
