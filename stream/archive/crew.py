"""A crew listens to recordings side by side: processes of this machine, or a Ray cluster. Both send these messages."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from stream.archive.inventory import Recording
from stream.archive.listener import Heard, Setup

PATIENCE_SECONDS = 120.0  # without a sign of life, until work counts as hung: a decoder at a damaged place
ATTEMPTS = 2  # a process may have been ended by somebody who needed its memory


@dataclass(slots=True)
class Progress:
    """A sign of life: seconds of sound that a recording has been listened to."""

    recording: Recording
    seconds: float


@dataclass(slots=True)
class Done:
    """A recording that is finished, or given up."""

    recording: Recording
    heard: Heard


class Crew(Protocol):
    """Listens to recordings; each ends as one `Done`, in the order in which they are finished."""

    def __call__(
        self, recordings: Sequence[Recording], setup: Setup, folder: str
    ) -> Generator[Progress | Done, None, None]:
        """Listen. Closing the iterator ends the work, whatever it is doing.

        Args:
            recordings: to listen to.
            setup: how.
            folder: private to this scan, for what is handed over in files.

        Raises:
            ModelError: the model cannot be loaded where the work is done.
        """
        ...


def given_up(recording: Recording, why: str) -> Done:
    """A recording that cannot be listened to, and is not tried again in this scan."""
    return Done(recording, Heard(problem=f"{recording.name}: {why}", failed=True))
