"""A survey as a table of 80 columns: the same columns, in the same places, for any data."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from export.data.recording import SPLITS
from export.data.survey.classes import NO_CLASS, ClassFigures
from export.data.survey.summary import Survey
from stream.printable import printable

WIDTH = 80
_NAME_WIDTH = 17
_SOURCES_NAMED = 5


def table(found: Survey) -> Group:
    """The table of classes, the totals, and what is held out."""
    rows = Table(box=None, pad_edge=False, collapse_padding=True, width=WIDTH, header_style="bold")
    rows.add_column("class", no_wrap=True, width=_NAME_WIDTH, overflow="ellipsis")
    for name, width in (
        ("files", 6), ("min", 6), ("sources", 7), ("train/val/test", 14), ("kHz", 5), ("s", 5), ("dBFS", 4),
        ("silent", 6),
    ):  # fmt: skip
        rows.add_column(name, justify="right", no_wrap=True, width=width, overflow="ellipsis")
    for each in found.classes:
        rows.add_row(Text(printable(each.name) if each.name != NO_CLASS else "(no class)"), *_cells(each))
    return Group(rows, *(Text(line) for line in totals(found)))


def _cells(each: ClassFigures) -> tuple[str, ...]:
    heard = each.read > each.unreadable
    return (
        f"{each.recordings}",
        f"{each.seconds / 60:.1f}",
        f"{each.sources}",
        "/".join(str(each.splits[part]) for part in SPLITS),
        _kilohertz(each) if heard else "-",
        _short(each.median_seconds) if heard else "-",
        f"{each.level:.0f}" if heard else "-",
        f"{100 * each.silence:.0f} %" if heard else "-",
    )


def _kilohertz(each: ClassFigures) -> str:
    """The most frequent sample rate; "+" = there are others."""
    rate = next(iter(each.sample_rates))
    return f"{rate / 1000:g}"[:4] + ("+" if len(each.sample_rates) > 1 else "")


def _short(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds < 10 else f"{seconds:.0f}"


def totals(found: Survey) -> list[str]:
    """Lines below the table: all in all, what is held out and why, and what was not read."""
    count = len([each for each in found.classes if each.name != NO_CLASS])
    length = (
        f"{found.seconds / 3600:.1f} hours" if found.seconds >= 5400 else f"{found.seconds / 60:.1f} minutes"
    )
    about = "about " if found.sampled else ""
    lines = [
        f"{_many(count, 'class', 'classes')}, {_many(found.recordings, 'recording')}, {about}{length}, "
        f"{_many(found.sources, 'speaker or source', 'speakers or sources')}"
    ]
    for part, sources in found.held_out.items():
        named = ", ".join(printable(name) for name in sources[:_SOURCES_NAMED])
        more = f" and {len(sources) - _SOURCES_NAMED} more" if len(sources) > _SOURCES_NAMED else ""
        lines.append(f"{part}: {named}{more} ({printable(found.why.get(part, 'as given'))})")
    if found.sampled:
        lines.append(f"{found.read} of {found.recordings} recordings were read")
    if found.ignored:
        lines.append(f"{_many(found.ignored, 'file')} in the class folders not audio by name, passed over")
    return lines


def _many(n: int, one: str, more: str = "") -> str:
    return f"{n} {one if n == 1 else more or one + 's'}"
