"""Sounds kept by a key: what was just heard, to teach it, and the last event, where it was wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.errors import OutputError
from stream.messages import Chunk, Event, RecentSound, Result, Status
from stream.outputs.flac import FlacDraft
from stream.outputs.wall_time import file_stamp

JUST_SECONDS = 4.0  # of sound that was just heard
MARGIN_SECONDS = 0.5  # before and after an event
WRONG = "not"  # folder of events that were wrong


class KeptSounds:
    """Writes FLAC files into a folder when asked to. A sink; ``keep`` and ``wrong`` may be called from any thread.

    The sound is the source's own, at its rate, from the history that the run keeps.

    Args:
        folder: made when the first file is written.
        wall: seconds since 1970, for the names.

    Attributes:
        history_seconds: how far the sound must reach back.
        kept, wrong_ones: files that were written.
    """

    history_seconds = 20.0

    def __init__(self, folder: str | Path, wall: Callable[[], float] = time.time) -> None:
        self.folder = Path(folder)
        self._wall = wall
        self._sound: RecentSound | None = None
        self._event: Event | None = None
        self._lock = threading.Lock()
        self.kept: list[Path] = []
        self.wrong_ones: list[Path] = []

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""

    def result(self, result: Result) -> None:
        """See Sink."""
        with self._lock:
            self._sound = result.sound
            if result.events:
                self._event = result.events[-1]

    def status(self, status: Status) -> None:
        """See Sink."""

    def close(self) -> None:
        """See Sink."""

    def keep(self) -> str:
        """Write the last seconds; what became of it, in a few words."""
        with self._lock:
            sound = self._sound
        if sound is None:
            return "nothing heard yet"
        end = sound.span[1]
        samples, _ = sound.read(end - round(JUST_SECONDS * sound.sample_rate), end)
        return self._written(samples, sound.sample_rate, self.folder, "", self.kept)

    def wrong(self) -> str:
        """Write the sound of the last event as an example of what it was not; what became of it."""
        with self._lock:
            sound, event = self._sound, self._event
        if sound is None or event is None:
            return "no event yet"
        margin = round(MARGIN_SECONDS * event.sample_rate)
        end = max(event.decided, event.offset or 0) + margin
        samples, _ = sound.between(event.onset - margin, end, event.sample_rate)
        if not len(samples):
            return "too long ago"
        return self._written(
            samples, sound.sample_rate, self.folder / WRONG, f"not {event.label}: ", self.wrong_ones
        )

    def _written(
        self, samples: NDArray[np.float32], sample_rate: int, folder: Path, what: str, files: list[Path]
    ) -> str:
        try:
            draft = FlacDraft(folder, sample_rate)
            draft.write(samples)
            files.append(draft.finish(file_stamp(self._wall())))
        except OutputError:
            return f"cannot write {folder}"
        return f"{what}kept {len(files)}"
