"""Writes hours of made-up results into a history, as fast as it goes, and says on standard output what is in there.

``python -m tests.support.simulated_history FILE FIRST_MINUTE HOURS [LINES]``; it kills itself after so many lines.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from typing import Any

import numpy as np

from stream.decisions.spec import ClassRule, DetectorSpec
from stream.messages import Chunk, Event, Result, Scores, SourceInfo
from stream.outputs.history import History
from stream.outputs.output import OutputContext
from stream.outputs.records import Origin

NOON = 1_790_000_000.0 // 86400 * 86400
LABELS = ("bark", "knock", "siren")
RATE, HOP = 1000, 100  # ten rows a second
STEP = 10  # seconds a result
lines_left = 0  # until the end; none if there are none at the beginning


def context(**changes: Any) -> OutputContext:
    """Of a live source whose clocks stand still: the newest sample is captured when the monotonic clock says."""
    fields: dict[str, Any] = {
        "origin": Origin("kitchen", "toy", "ab" * 32),
        "source": SourceInfo("kitchen", RATE, live=True),
        "labels": LABELS,
        "detector": DetectorSpec(default=ClassRule(threshold=0.5, smoothing=0.0)),
        "sample_rate": RATE,
        "wall": lambda: NOON,
        "monotonic": lambda: 0.0,
    }
    return OutputContext(**(fields | changes))


def rows(start: int, probs: Any) -> Scores:
    """Warm rows from the absolute sample ``start`` on: (T, C)."""
    probs = np.asarray(probs, np.float32)
    sample = start + HOP * np.arange(len(probs), dtype=np.int64)
    return Scores(probs, sample, np.ones(len(probs), np.bool_), LABELS, RATE, HOP)


def result(scores: Scores, end: int, *events: Event, captured_at: float | None = None, **more: Any) -> Result:
    return Result(scores, np.empty((0, 1), np.float32), events, end=end, captured_at=captured_at, **more)


def say(what: str, minute: int, **values: Any) -> None:
    global lines_left
    print(json.dumps({"what": what, "minute": minute, **values}), flush=True)
    lines_left -= 1
    if not lines_left:
        os.kill(os.getpid(), signal.SIGKILL)


def main(path: str, first: int, hours: float) -> None:
    """From minute ``first`` to ``hours``: chunks and results, with an event now and then."""
    draw = random.Random(first)
    numbers = np.random.default_rng(first)
    begin = NOON + 60.0 * first
    history = History(context(wall=lambda: begin), path)
    sound = numbers.normal(0, 0.01, STEP * RATE).astype(np.float32)
    scores = numbers.random((600, 10 * STEP, 3)) ** 4
    number, on = 0, None
    for step in range(round(60 * (60 * hours - first)) // STEP):
        at, end, minute = STEP * step * RATE, STEP * (step + 1) * RATE, first + STEP * step // 60
        captured = end / RATE
        history.chunk(Chunk(sound, at, RATE, captured))
        events = []
        if on is not None and draw.random() < 0.6:
            events.append(Event(on.id, on.label, on.onset, at + RATE // 2, 0.9, 0.7, RATE, end - 1))
            on = None
        elif on is None and draw.random() < 0.3:
            on = Event(number, draw.choice(LABELS), at + 100, None, 0.9, 0.8, RATE, end - 1)
            events.append(on)
            number += 1
        history.result(result(rows(at, scores[step % 600]), end, *events, captured_at=captured))
        for event in events:  # the call has returned: it is reported
            onset = begin + event.onset / RATE
            if event.offset is None:
                say("onset", minute, number=event.id, onset=onset)
            else:
                say("event", minute, number=event.id, onset=onset, offset=begin + event.offset / RATE)
        if end // RATE % 60 == 0:
            say("minute", minute)
    history.close()


if __name__ == "__main__":
    lines_left = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
