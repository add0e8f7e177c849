"""Formats of label files: how an event becomes text that other programs read. Times are seconds of stream time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from stream.errors import UsageError

_CONTROLS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")  # and the space


@dataclass(frozen=True, slots=True)
class Label:
    """An event, as label files tell it.

    Attributes:
        onset, offset: seconds of stream time.
        text: the class.
        peak: highest probability, 0 to 1.
        source: of the sound: a file or device.
        sample_rate: of the source, Hz.
        number: counts the labels of a file from 1.
    """

    onset: float
    offset: float
    text: str
    peak: float
    source: str
    sample_rate: int
    number: int


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """How a file is written.

    Attributes:
        name: for people.
        suffixes: what its files' names end in, the usual one first.
        header: before the first label.
        write: one label as whole lines.
        begin: where in a text that ``write`` gave the label begins, in seconds; for formats whose labels must be in
            order of that. None where any order will do.
    """

    name: str
    suffixes: tuple[str, ...]
    header: str
    write: Callable[[Label], str]
    begin: Callable[[str], float] | None = None


def one_line(text: str) -> str:
    """``text`` without line breaks, tabs and other controls, which part lines and columns."""
    return _CONTROLS.sub(" ", text.encode("utf-8", "replace").decode()).strip() or "?"


def one_word(text: str) -> str:
    """``text`` without anything that parts columns at spaces."""
    return re.sub(r"\s+", "_", one_line(text))


def _audacity(label: Label) -> str:
    return f"{label.onset:.6f}\t{label.offset:.6f}\t{one_line(label.text)}\n"


def _dcase(label: Label) -> str:
    cells = [one_line(label.source), f"{label.onset:.3f}", f"{label.offset:.3f}", one_line(label.text)]
    return (
        "\t".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' if '"' in cell else cell for cell in cells) + "\n"
    )


def _raven(label: Label) -> str:
    cells = (
        f"{label.number}",
        "Spectrogram 1",
        "1",
        f"{label.onset:.6f}",
        f"{label.offset:.6f}",
        "0.0",
        f"{label.sample_rate / 2:.1f}",
        one_line(label.source),
        one_line(label.text),
        f"{label.peak:.4f}",
    )
    return "\t".join(cells) + "\n"


def _webvtt(label: Label) -> str:
    times = f"{_vtt_time(label.onset)} --> {_vtt_time(max(label.offset, label.onset + 0.001))}"
    return f"{times}\n{escape(one_line(label.text), quote=False)}\n\n"


def _vtt_time(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"


def _vtt_begin(text: str) -> float:
    hours, minutes, seconds = text.split(" ", 1)[0].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _rttm(label: Label) -> str:
    lasts = label.offset - label.onset
    return (
        f"SPEAKER {one_word(label.source)} 1 {label.onset:.3f} {lasts:.3f} "
        f"<NA> <NA> {one_word(label.text)} {label.peak:.4f} <NA>\n"
    )


RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin File",
    "Annotation",
    "Score",
)
FORMATS = (
    LabelFormat("Raven", (".selections.txt", ".raven.txt"), "\t".join(RAVEN_COLUMNS) + "\n", _raven),
    LabelFormat("Audacity", (".txt",), "", _audacity),
    LabelFormat("DCASE", (".tsv",), "filename\tonset\toffset\tevent_label\n", _dcase),
    LabelFormat("WebVTT", (".vtt",), "WEBVTT\n\n", _webvtt, _vtt_begin),
    LabelFormat("RTTM", (".rttm",), "", _rttm),
)


def format_of(path: str) -> LabelFormat:
    """The format that the end of a file's name stands for.

    Raises:
        UsageError: it stands for none.
    """
    for each in FORMATS:
        if path.lower().endswith(each.suffixes):
            return each
    known = ", ".join(f"{each.suffixes[0]} ({each.name})" for each in (*FORMATS[1:], FORMATS[0]))
    raise UsageError(f"--labels {path}: its name says no format; end it in {known}")
