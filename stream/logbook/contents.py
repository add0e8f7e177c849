"""What stands in a history file, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One start of the program. Times are seconds since 1970.

    Attributes:
        seen: the newest sign of life.
        ended: when it ended, or was found to have been killed; None while it runs, or until the next start.
        live: False for a recording, whose times count from the start of the run.
        sample_rate: of the model, Hz.
        labels: in the order of ``Minute.peaks``.
        rules: of the detector, JSON as in a model card.
        promised: label -> false alarms an hour that the card expects, "" for all together; None: it says nothing.
    """

    id: int
    started: float
    seen: float
    ended: float | None
    source: str
    live: bool
    sample_rate: int
    model: str
    model_sha256: str
    labels: tuple[str, ...]
    rules: str
    promised: Mapping[str, float] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeardEvent:
    """One event. Times are seconds since 1970.

    Attributes:
        number: its id within the run.
        offset: the end; of one that is on, the last sign of life of its run.
        is_on: it had not ended when the file was last written, and the run was alive.
        peak, mean: of the smoothed probability.
        gap_seconds: lost within it.
        cut: ended by a gap, a reset, the end of the run, or the end of the process.
        rule: of its class, JSON.
        curve: (P,) float32 probabilities around it, NaN where there are none; empty where none were kept.
        curve_start, curve_step: seconds from the onset to the first point, and from point to point; each point is the
            highest probability in its step.
        clip: path of its sound; None without.
    """

    run: Run
    number: int
    label: str
    onset: float
    offset: float
    is_on: bool
    peak: float
    mean: float
    gap_seconds: float
    cut: bool
    rule: str
    curve: NDArray[np.float32]
    curve_start: float
    curve_step: float
    clip: str | None

    @property
    def seconds(self) -> float:
        """How long it lasted, or has lasted so far."""
        return self.offset - self.onset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Minute:
    """One minute of a run.

    Attributes:
        start: seconds since 1970, a multiple of 60.
        heard, lost: seconds with scores, and in gaps.
        sound: seconds behind the levels.
        mean_dbfs, max_dbfs: root mean square of the sound, and of its loudest tenth of a second; None without sound.
        seconds: label -> seconds at the class's threshold or above; without those that never were.
        events: label -> events that began; without those that had none.
        peaks: (C,) float32, the highest smoothed probability of each of ``run.labels``, which is what thresholds are
            compared with; NaN where nothing was heard. Exact to 0.00001.
    """

    run: Run
    start: float
    heard: float
    lost: float
    sound: float
    mean_dbfs: float | None
    max_dbfs: float | None
    seconds: Mapping[str, float]
    events: Mapping[str, int]
    peaks: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostSound:
    """Sound that was lost.

    Attributes:
        start: seconds since 1970.
        is_open: it was not over when it was written; ``seconds`` is what it had come to.
    """

    run: Run
    start: float
    seconds: float
    reason: str
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """The source changed what it was doing, at ``at`` seconds since 1970."""

    run: Run
    at: float
    state: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A moment that a person marked, ``at`` seconds since 1970."""

    run: Run
    at: float
    text: str
