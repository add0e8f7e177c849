"""Why there was an event, or none, in words."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stream.decisions.near_miss import NearMiss
from stream.messages import Event
from stream.printable import printable
from stream.replay.explanation import Explanation


def sentences(found: Explanation) -> Iterator[tuple[str, str]]:
    """What is to be said: (kind, text) in order of time, with kinds "event", "miss", "gap" and "mark"; then "class" for
    classes of which nothing is said otherwise."""
    told: list[tuple[float, str, str]] = []
    rate = found.model_rate
    told += [(event.onset_s, "event", event_text(found, event)) for event in found.events]
    told += [(miss.start / rate, "miss", miss_text(found, miss)) for miss in found.misses]
    told += [
        (at, "mark", f"{at:.2f} s: marked" + (f": {printable(text)}" if text else ""))
        for at, text in found.marks
    ]
    for gap in found.gaps:
        start, stop = gap.start / rate, gap.end / rate
        why = "lost by the source" if gap.reason == "lost" else "no numbers"
        told.append(
            (start, "gap", f"{start:.2f} to {stop:.2f} s: {gap.seconds:.3g} s of sound missing, {why}")
        )
    yield from ((kind, text) for _, kind, text in sorted(told))
    spoken = {event.label for event in found.events} | {miss.label for miss in found.misses}
    for column, label in enumerate(found.labels):
        if label not in spoken:
            yield "class", class_text(found, column)


def event_text(found: Explanation, event: Event) -> str:
    """When it was, and when it was known."""
    stop = "still on" if event.offset_s is None else f"to {event.offset_s:.2f} s"
    text = f"{printable(event.label)} {event.onset_s:.2f} {stop}: event e{event.id}, reached {event.peak:.2f}"
    known = found.onsets.get(event.id)
    if known is not None:
        text += f", reported {known - event.onset_s:.2f} s after it began"
    if event.offset is not None and event.cut:
        text += ", cut by a gap, a reset or the end"
    if event.gap:
        text += f", {event.gap / event.sample_rate:.3g} s of it missing"
    return text


def miss_text(found: Explanation, miss: NearMiss) -> str:
    """What was missing for an event."""
    rate, hop = found.model_rate, found.hop
    reasons = []
    for reason in miss.reasons:
        if reason == "peak":
            reasons.append(
                f"reached {_figure(miss.peak, miss.wanted)}, below the peak threshold {miss.wanted:g}"
            )
        elif reason == "short":
            reasons.append(
                f"on for {miss.rows * hop:.2f} s of the {miss.rows_wanted * hop:.2f} s that min-on asks for"
            )
        elif reason == "refractory":
            reasons.append(
                f"within the refractory time of event e{miss.event}, which lasts until {miss.free_from / rate:.2f} s"
            )
        elif reason == "warm-up":
            reasons.append(f"warm-up: reached {miss.peak:.2f} before the model had heard enough")
        else:
            reasons.append("cut by a gap or the end of the sound before it was decided")
    when = f"{printable(miss.label)} {max(0, miss.start) / rate:.2f} to {miss.end / rate:.2f} s"
    return f"{when}: no event: {' and '.join(reasons)}"


def class_text(found: Explanation, column: int) -> str:
    """How near a class came that never reached its threshold."""
    label, threshold = printable(found.labels[column]), float(found.thresholds[column])
    values = found.averages[:, column]
    if np.isnan(threshold):
        return f"{label}: never reported, because its rule is not enabled"
    if not len(values) or np.isnan(values).all():
        return f"{label}: the model was not warm, or heard nothing"
    row = int(np.nanargmax(values))
    high = float(values[row])
    if high >= threshold:  # it began before what is shown, or its end is not known
        return f"{label}: reached {high:.2f} at {found.at[row]:.2f} s; what came of it lies outside of what is shown"
    return f"{label}: reached {_figure(high, threshold)} at {found.at[row]:.2f} s, below the threshold {threshold:g}"


def _figure(value: float, bar: float) -> str:
    """``value`` with as many digits as show that it is below ``bar``."""
    for digits in (2, 3, 4):
        text = f"{value:.{digits}f}"
        if float(text) < bar:
            return text
    return f"{value:.6f}"
