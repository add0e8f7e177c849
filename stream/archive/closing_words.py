"""What a scan came to, as lines for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from stream.archive.journal import Entry
from stream.report.words import length

SHOWN_PROBLEMS = 20


def recordings(count: int) -> str:
    """``1 recording``, ``2 recordings``."""
    return f"{count} recording{'s' * (count != 1)}"


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
            f"{label[:width]:{width}} {events[label]:7}  {holding[label]:10}  {length(seconds[label]):>8}"
        )
    heard = [entry.heard for entry in entries if not entry.heard.failed]
    total = length(sum(each.seconds for each in heard))
    lost = sum(each.lost_seconds for each in heard)
    missing = f", {length(lost)} of it without sound" if lost >= 1 else ""
    lines.append(f"{recordings(len(heard))}, {total}{missing}, {events.total()} events")
    return lines


def problem_lines(entries: Sequence[Entry]) -> list[str]:
    """What could not be listened to, or not to its end."""
    failed = [entry.heard.problem for entry in entries if entry.heard.failed]
    broken = [entry.heard.problem for entry in entries if entry.heard.problem and not entry.heard.failed]
    lines = []
    for what, problems in (("not listened to", failed), ("listened to in part", broken)):
        if problems:
            lines.append(f"{recordings(len(problems))} {what}:")
            lines += [f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]]
            if len(problems) > SHOWN_PROBLEMS:
                lines.append(f"  and {len(problems) - SHOWN_PROBLEMS} more")
    return lines
