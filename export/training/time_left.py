"""How long a training run will still take, from what it has taken so far: all epochs, and the figures at the end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

FINAL_VALIDATIONS = (
    3  # passes like a validation after the last epoch: validation, test, and the confusion matrix
)
_REMEMBERED = 8  # epochs: other programs come and go


class TimeLeft:
    """Estimates the seconds until a run is over.

    Args:
        clock: seconds, from any start.

    Attributes:
        later: epochs of other trainings after this one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._trained: deque[float] = deque(maxlen=_REMEMBERED)  # seconds of learning in each epoch
        self._validated: deque[float] = deque(maxlen=_REMEMBERED)
        self._began = self._stepped = clock()
        self._epochs_after, self._steps, self._done = 0, 0, 0
        self._running = False
        self.later = 0

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        """Epoch number ``epoch`` of ``epochs``, from 0, of ``steps`` steps begins."""
        self._began = self._stepped = self._clock()
        self._epochs_after, self._steps, self._done = epochs - epoch - 1, steps or 0, 0
        self._running = True

    def step(self) -> None:
        self._done += 1
        self._stepped = self._clock()

    def end_epoch(self) -> None:
        """The epoch's validation is over, too."""
        self._trained.append(self._stepped - self._began)
        self._validated.append(self._clock() - self._stepped)
        self._running = False

    def seconds(self) -> float | None:
        """Until the end of the run; None while nothing is known."""
        passed = self._stepped - self._began
        share = min(1.0, self._done / self._steps) if self._steps else 0.0
        if self._trained:
            epoch = sum(self._trained) / len(self._trained)
        elif share:
            epoch = passed / share
        else:
            return None
        validation = sum(self._validated) / len(self._validated) if self._validated else 0.0
        within = epoch * (1 - share) + validation if self._running else 0.0
        return (
            within + (self._epochs_after + self.later) * (epoch + validation) + FINAL_VALIDATIONS * validation
        )


def in_words(seconds: float | None) -> str:
    """ "40 s", "12 min", "3 h 20 min"; "-" for None."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
