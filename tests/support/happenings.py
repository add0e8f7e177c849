"""Results with events in them, made by hand, and the context of a run, for tests of outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from stream.decisions.spec import DetectorSpec
from stream.messages import Event, Result, Scores, SourceInfo
from stream.outputs.output import OutputContext
from stream.outputs.records import Origin

RATE = 16000


def context(**changes: Any) -> OutputContext:
    """That of a live run with the classes "dog bark" and "siren"."""
    settings: dict[str, Any] = {
        "origin": Origin("usb mic", "toy", "0" * 64),
        "source": SourceInfo("usb mic", 48000, live=True),
        "labels": ("dog bark", "siren"),
        "detector": DetectorSpec(),
        "sample_rate": RATE,
    }
    return OutputContext(**settings | changes)


def event(number: int, label: str = "dog bark", *, onset: float | None = None, seconds: float = 0.5) -> Event:
    """A complete event, by default one second after the one before."""
    begin = round((number if onset is None else onset) * RATE)
    end = begin + round(seconds * RATE)
    return Event(number, label, begin, end, 0.93, 0.8, RATE, end + 800)


def begun(number: int, label: str = "dog bark") -> Event:
    """The beginning of an event."""
    return Event(number, label, number * RATE, None, 0.7, 0.6, RATE, number * RATE + 1600)


def heard(*events: Event, stream: str = "", captured_at: float | None = None) -> Result:
    """A result that brought these events."""
    scores = Scores(
        np.zeros((0, 2), np.float32),
        np.zeros(0, np.int64),
        np.zeros(0, bool),
        ("dog bark", "siren"),
        RATE,
        160,
    )
    end = max((each.decided for each in events), default=0)
    return Result(
        scores, np.zeros((0, 40), np.float32), events, (), end, stream=stream, captured_at=captured_at
    )
