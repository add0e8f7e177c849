"""Clips as ``--clips`` leaves them, for tests of what is done with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stream.capture.history import SoundHistory
from stream.messages import Chunk, Event
from stream.outputs.clip import Clip
from stream.outputs.clip_record import clip_stem
from stream.outputs.records import Origin, event_record

RATE = 16_000


def write_clip(
    folder: Path,
    number: int,
    label: str,
    *,
    hertz: float = 440.0,
    seconds: float = 1.0,
    wall: float | None = None,
) -> Path:
    """A tone from 0.5 s on, with silence before and after it: one of a stream whose events are two seconds apart."""
    begin = number * 2 * RATE
    onset, offset = begin + RATE // 2, begin + RATE // 2 + round(seconds * RATE)
    stop = offset + RATE // 4
    samples = np.zeros(stop, np.float32)
    samples[onset:offset] = 0.5 * np.sin(2 * np.pi * hertz / RATE * np.arange(offset - onset))
    history = SoundHistory(RATE, stop / RATE)
    history.append(Chunk(samples, 0, RATE))
    event = Event(number, label, onset, offset, 0.9, 0.8, RATE, offset)
    clip = Clip(folder, history, start=begin, onset=onset)
    clip.end(offset, stop)
    clip.advance(stop)
    return clip.finish(
        clip_stem(f"{number:03d}", label, 0.9), event_record(event, "", Origin("hall", "m", "0"), wall)
    )
