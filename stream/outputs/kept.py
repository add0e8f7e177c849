"""Sounds kept by a key: what was just heard, to teach it, and the last event, where it was wrong."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.errors import OutputError, UsageError
from stream.messages import Chunk, Event, RecentSound, Result, Status
from stream.outputs.flac import FlacDraft
from stream.outputs.wall_time import file_stamp

JUST_SECONDS = 4.0  # of sound that was just heard
MARGIN_SECONDS = 0.5  # before and after an event
WRONG = "not"  # folder of events that were wrong
LONGEST_NAME = 40
_NAME = re.compile(rf"[^\W_][\w .+-]{{0,{LONGEST_NAME - 1}}}")


class KeptSounds:
    """Writes FLAC files into a folder when asked to. A sink; ``keep`` and ``wrong`` may be called from any thread.

    The sound is the source's own, at its rate, from the history that the run keeps.

    Args:
        folder: made when the first file is written.
        wall: seconds since 1970, for the names.
        reserved: names that no sound can have.

    Attributes:
        history_seconds: how far the sound must reach back.
        kept, wrong_ones: files that were written; of a sound with a name in a folder of that name.
    """

    history_seconds = 20.0

    def __init__(
        self,
        folder: str | Path,
        wall: Callable[[], float] = time.time,
        reserved: Sequence[str] = (),
    ) -> None:
        self.folder = Path(folder)
        self._wall, self._reserved = wall, tuple(reserved)
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
        write = self.hold()
        return "nothing heard yet" if write is None else write("")

    def hold(self) -> Callable[[str], str] | None:
        """The last seconds as they are now; None where nothing was heard yet.

        Returns:
            Writes them as a sound of the name that it is given, "" being none, and says what became of it. Raises
            UsageError for a name that ``stream-classify teach`` would not take.
        """
        with self._lock:
            sound = self._sound
        if sound is None:
            return None
        end = sound.span[1]
        samples, _ = sound.read(end - round(JUST_SECONDS * sound.sample_rate), end)
        sample_rate = sound.sample_rate

        def write(name: str) -> str:
            if not name:
                return self._written(samples, sample_rate, self.folder, "", self.kept)
            check_sound_name(name, self._reserved)
            if name.casefold() == WRONG:
                raise UsageError(f"name {name}: is the folder of what was wrong; choose another, my-{name}")
            return self._written(samples, sample_rate, self.folder / name, f"{name}: ", self.kept)

        return write

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
        return f"{what}kept {sum(each.parent == folder for each in files)}"


def check_sound_name(label: str, reserved: Sequence[str]) -> None:
    """UsageError unless ``label`` can be the name of a taught sound, and of the folder that its examples are in."""
    if not _NAME.fullmatch(label) or label != label.strip() or label.endswith("."):
        raise UsageError(
            f"name {label!r}: want letters, digits, spaces, . + - _, {LONGEST_NAME} at most, such as mydog"
        )
    if label in reserved:
        raise UsageError(f"name {label}: a bundled class; choose another, such as my-{label}")
