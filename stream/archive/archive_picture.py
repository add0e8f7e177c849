"""A picture of an archive: for each class, in which recordings it was and for how much of their time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from stream.archive.journal import Entry
from stream.atomic import write_bytes
from stream.dashboard import palette
from stream.report.drawing import picture, rectangle, standalone, words
from stream.report.words import length

WIDTH, LEFT, RIGHT = 1000.0, 130.0, 90.0
ROW, ROW_GAP, TOP, BOTTOM = 22.0, 6.0, 58.0, 44.0
MOST_COLUMNS = 240  # more recordings share a column
LABEL_CHARACTERS = 16
FAINTEST = 0.12  # opacity of a class that is there at all


def write_picture(path: str, entries: Sequence[Entry]) -> None:
    """Draw what was heard.

    Args:
        path: of the SVG file.
        entries: recordings that were listened to.

    Raises:
        OutputError: the file cannot be written.
    """
    write_bytes(path, draw(entries).encode())


def draw(entries: Sequence[Entry]) -> str:
    """As SVG: a row a class, a column a recording or some of them, in the order in which they were recorded."""
    heard = sorted((each for each in entries if each.heard.seconds > 0), key=lambda each: each.heard.began_at)
    totals: defaultdict[str, float] = defaultdict(float)
    for entry in heard:
        for label, seconds in (entry.heard.class_seconds or {}).items():
            totals[label] += seconds
    labels = sorted(totals, key=lambda label: -totals[label])
    columns = _columns(heard)
    height = TOP + len(labels) * (ROW + ROW_GAP) + BOTTOM
    seconds = sum(entry.heard.seconds for entry in heard)
    failed = sum(entry.heard.failed for entry in entries)
    title = f"{len(heard)} recordings, {length(seconds)} of sound"
    not_heard = f", {failed} could not be listened to" if failed else ""
    shapes = [words(LEFT, 24, title + not_heard, "title"), words(WIDTH, 44, "in all", "axis", "end")]
    for number, label in enumerate(labels):
        y = TOP + number * (ROW + ROW_GAP)
        shapes.append(words(LEFT - 10, y + 15, label[:LABEL_CHARACTERS], "", "end"))
        shapes.append(rectangle(LEFT, y, WIDTH - LEFT - RIGHT, ROW, "track"))
        shapes += _row(label, number, y, columns)
        shapes.append(words(WIDTH, y + 15, length(totals[label]), "axis", "end"))
    shapes += _dates(heard, height - BOTTOM + 20)
    said = ", ".join(f"{label} {length(totals[label])}" for label in labels) or "nothing was heard"
    return standalone(picture(WIDTH, height, title, said, shapes), _style(len(labels)))


def _columns(heard: Sequence[Entry]) -> list[list[Entry]]:
    """The recordings in as many columns as can be told apart, the same number in each to within one."""
    count = min(len(heard), MOST_COLUMNS)
    return [
        list(heard[len(heard) * number // count : len(heard) * (number + 1) // count])
        for number in range(count)
    ]


def _row(label: str, number: int, y: float, columns: Sequence[Sequence[Entry]]) -> Iterator[str]:
    width = (WIDTH - LEFT - RIGHT) / max(1, len(columns))
    for place, column in enumerate(columns):
        seconds = sum((entry.heard.class_seconds or {}).get(label, 0.0) for entry in column)
        whole = sum(entry.heard.seconds for entry in column)
        if not seconds:
            continue
        share = min(1.0, seconds / whole)
        others = f" and {len(column) - 1} more" if len(column) > 1 else ""
        tip = f"{column[0].recording.name}{others}: {label} {length(seconds)} of {length(whole)}"
        shape = rectangle(LEFT + place * width, y, width, ROW, f"class{number}", tip)
        yield f'<g opacity="{FAINTEST + (1 - FAINTEST) * share:.2f}">{shape}</g>'


def _dates(heard: Sequence[Entry], y: float) -> Iterator[str]:
    """When the first and the last were recorded."""
    if not heard:
        return
    for x, entry, anchor in ((LEFT, heard[0], "start"), (WIDTH - RIGHT, heard[-1], "end")):
        yield words(x, y, f"{datetime.fromtimestamp(entry.heard.began_at):%Y-%m-%d %H:%M}", "axis", anchor)


def _style(classes: int) -> str:
    """On light and dark ground; each class has the colour that it has elsewhere."""

    def rules(colours: Sequence[str]) -> str:
        return "".join(f".class{i}{{fill:{colours[i % len(colours)]}}}" for i in range(classes))

    return (
        "text{font:13px system-ui,'DejaVu Sans',sans-serif;fill:#1f2328}.title{font-size:15px;font-weight:600}"
        ".axis{fill:#59636e;font-size:12px}.track{fill:#eef1f4}"
        + rules(palette.LIGHT.full)
        + "@media(prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6edf3}.axis{fill:#9198a1}"
        + ".track{fill:#1a2029}"
        + rules(palette.DARK.full)
        + "}"
    )
