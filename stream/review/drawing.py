"""Drawing: one clip as a screen of exactly the size asked for. Pure: same in, same out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style

from stream.dashboard.layout import SCALE_WIDTH, Screen
from stream.dashboard.sound_picture import SoundPicture
from stream.dashboard.text import PLAIN, TextLine, blank, clip, fit
from stream.dashboard.theme import Theme
from stream.outputs.people import clock
from stream.printable import printable
from stream.review.session import Session

LEAST_SPECTROGRAM_LINES, MOST_WAVEFORM_LINES = 3, 5
KEYS = {"y": "right", "n": "wrong", "l": "label", "space": "play", "s": "skip", "u": "undo", "q": "quit"}


@dataclass(frozen=True, slots=True, eq=False)
class LoadedSound:
    """The sound of the clip on the screen.

    Attributes:
        samples: (n,) float32, its beginning where it is long.
        sample_rate: Hz.
        whole_seconds: of the file.
        trouble: why there is no sound; "" where there is.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    whole_seconds: float
    trouble: str = ""


def draw(session: Session, sound: LoadedSound, width: int, height: int, theme: Theme) -> Screen:
    """The clip that ``session`` is at."""
    width, height = max(1, width), max(1, height)
    top = [_line(text, width, theme, style) for text, style in _head(session, sound, theme)]
    bottom = _bottom(session, width, theme)
    room = height - len(top) - len(bottom)
    middle = _picture(session, sound, width, room, theme) if session.clip is not None and room > 0 else []
    lines = [*top, *middle]
    lines += [blank(width)] * (height - len(bottom) - len(lines))
    lines = [*lines[: max(0, height - len(bottom))], *bottom][-height:]
    return Screen([clip(line, width) for line in lines], width, height)


def _head(session: Session, sound: LoadedSound, theme: Theme) -> list[tuple[str, Style]]:
    if session.clip is None:
        return [("All clips are judged.", theme.strong)]
    record = session.clip.record
    event = record.event
    when = event.t_wall.replace("T", " ")[:19] + " UTC" if event.t_wall else clock(event.onset)
    dot = theme.glyphs.dot
    about = [
        f"clip {session.place + 1} of {len(session.clips)}",
        when,
        event.source,
    ]
    lasts = "" if record.event_end is None else f" {dot} {record.event_end - record.event_start:.1f} s"
    lines = [
        (f" {dot} ".join(about), theme.quiet),
        (f"Is it {record.label}?  peak {event.peak:.2f}{lasts}", theme.strong),
    ]
    before = session.verdict()
    if before is not None:
        lines.append((f"you said: {before.said} {before.label}", theme.quiet))
    said = []
    if record.silent_seconds:
        said.append(f"{record.silent_seconds:.1f} s of it are missing")
    if record.note:
        said.append(record.note)
    if sound.whole_seconds > len(sound.samples) / max(1, sound.sample_rate) + 0.01:
        said.append(f"the beginning of {clock(sound.whole_seconds)}")
    if said:
        lines.append(("; ".join(said), theme.warning))
    return lines


def _picture(session: Session, sound: LoadedSound, width: int, height: int, theme: Theme) -> list[TextLine]:
    """Spectrogram, waveform, where the event is, and seconds; as much of them as there is room for."""
    assert session.clip is not None
    if sound.trouble or not len(sound.samples):
        return [_line(sound.trouble or "there is no sound in it", width, theme, theme.alarm)]
    cells = width - SCALE_WIDTH
    if height < 2 or cells < 10:
        return []
    picture = SoundPicture.of(sound.samples, sound.sample_rate, cells)
    record = session.clip.record
    first = picture.cell_of(record.event_start)
    last = max(first, picture.cell_of(record.duration if record.event_end is None else record.event_end))
    rows = height - 2
    wave = min(MOST_WAVEFORM_LINES, rows if rows < LEAST_SPECTROGRAM_LINES + 1 else max(1, rows // 4))
    spectrogram = rows - wave
    lines: list[TextLine] = []
    if spectrogram > 0:
        pairs = zip(
            picture.spectrogram(spectrogram, theme),
            picture.scale(spectrogram, SCALE_WIDTH, theme),
            strict=True,
        )
        lines += [[*row, *hertz] for row, hertz in pairs]
    lines += [
        [*_cut(row, first, last + 1, theme), *blank(SCALE_WIDTH)]
        for row in picture.waveform(wave, theme, PLAIN)
    ]
    rule = theme.glyphs.rules[0]
    mark = Segment(rule * (last - first + 1), theme.accent(0))
    lines.append([*blank(first), mark, *blank(width - last - 1)])
    lines.append(_seconds(picture, width, theme))
    return lines


def _cut(line: TextLine, first: int, last: int, theme: Theme) -> TextLine:
    """A line of one segment, in the colour of the event where that is."""
    text = line[0].text
    parts = ((text[:first], theme.quiet), (text[first:last], theme.accent(0)), (text[last:], theme.quiet))
    return [Segment(part, style) for part, style in parts if part]


def _seconds(picture: SoundPicture, width: int, theme: Theme) -> TextLine:
    """Moments under the picture, each where it lies."""
    text = [" "] * width
    cells = len(picture.peaks)
    step = next((each for each in (0.5, 1, 2, 5, 10, 20, 60) if picture.seconds / each * 8 <= cells), 60)
    moment = 0.0
    while moment < picture.seconds:
        word = f"{moment:g} s"
        at = round(moment / picture.seconds * cells)
        if at + len(word) <= cells:
            text[at : at + len(word)] = word
        moment += step
    return [Segment("".join(text), theme.quiet)]


def _bottom(session: Session, width: int, theme: Theme) -> list[TextLine]:
    """What the last key did or what is being typed, and the keys."""
    if session.typed is not None:
        cursor = theme.glyphs.left_eighths[-1]
        typed = f"label: {session.typed}{cursor}"
        hint = "Enter keeps it  Tab known labels  Esc back"
        return [_line(typed, width, theme, theme.strong), _line(hint, width, theme, theme.quiet)]
    keys = [key for key in KEYS if session.clip is not None or key in "uq"]
    hint = "  ".join(f"{key} {KEYS[key]}" for key in keys)
    if len(hint) > width:
        hint = " ".join(keys)
    return [
        _line(session.note, width, theme, PLAIN),
        _line(hint, width, theme, theme.quiet),
    ]


def _line(text: str, width: int, theme: Theme, style: Style) -> TextLine:
    return [Segment(fit(printable(text, theme.encoding), width, theme.glyphs.ellipsis), style)]
