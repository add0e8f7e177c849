"""What a scan came to: lines for people, and a picture of the archive."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from stream.archive.journal import Entry

SHOWN_PROBLEMS = 20


def duration(seconds: float) -> str:
    """``42 s``, ``13 min``, ``3.4 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def closing_lines(entries: Sequence[Entry]) -> list[str]:
    """A table of classes, and the total."""
    events: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    holding: Counter[str] = Counter()
    for entry in entries:
        for label, count in (entry.heard.events or {}).items():
            events[label] += count
            holding[label] += 1
        for label, each in (entry.heard.class_seconds or {}).items():
            seconds[label] += each
    width = max([5, *(min(len(label), 30) for label in events)])
    lines = [f"{'class':{width}}  events  recordings      time"]
    for label in sorted(events, key=lambda label: -seconds[label]):
        lines.append(
            f"{label[:width]:{width}} {events[label]:7}  {holding[label]:10}  {duration(seconds[label]):>8}"
        )
    heard = [entry.heard for entry in entries if not entry.heard.failed]
    total = duration(sum(each.seconds for each in heard))
    lost = sum(each.lost_seconds for each in heard)
    missing = f", {duration(lost)} of it without sound" if lost >= 1 else ""
    lines.append(f"{len(heard)} recordings, {total}{missing}, {events.total()} events")
    return lines


def problem_lines(entries: Sequence[Entry]) -> list[str]:
    """What could not be listened to, or not to its end."""
    failed = [entry.heard.problem for entry in entries if entry.heard.failed]
    broken = [entry.heard.problem for entry in entries if entry.heard.problem and not entry.heard.failed]
    lines = []
    for what, problems in (("not listened to", failed), ("listened to in part", broken)):
        if problems:
            lines.append(f"{len(problems)} recordings {what}:")
            lines += [f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]]
            if len(problems) > SHOWN_PROBLEMS:
                lines.append(f"  and {len(problems) - SHOWN_PROBLEMS} more")
    return lines
