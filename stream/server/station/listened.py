"""Listened: what readers of a station see of each source, and the source that somebody else runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from stream.errors import UsageError
from stream.inference.card import ModelCard
from stream.outputs.output_report import OutputReport
from stream.server.hub_message import SourceCondition
from stream.server.station.hub_sink import Hearing, HubSink
from stream.server.station.source_glance import SourceGlance
from stream.telemetry import Telemetry
from stream.tuning import Tuning


class Listened(Protocol):
    """One source of a station, from any thread."""

    @property
    def name(self) -> str:
        """Unique within the station."""
        ...

    @property
    def telemetry(self) -> Telemetry | None:
        """Figures and pictures of the present run, or of the last one; None before the first."""
        ...

    def glance(self) -> SourceGlance:
        """How it is doing."""
        ...

    def place_threshold(self, label: str, threshold: float) -> str:
        """Move the threshold of a class, from the next chunk on; what to show.

        Raises:
            UsageError: no such class is reported, a threshold out of range, or nothing is heard just now.
        """
        ...

    def mute(self, label: str) -> str:
        """Ask for no more events of a class, or for them again; what to show. Raises as ``place_threshold``."""
        ...

    def clip(self, event: int) -> Path | None:
        """The sound of an event of that run, by its id, where an output keeps it."""
        ...


class Clips(Protocol):
    """Where the sound of events lies: `stream.outputs.clip_paths.ClipPaths`."""

    def of(self, stream: str, model: str, event: int) -> Path | None:
        """The finished clip of an event; None where there is none, or not yet."""
        ...


class AttachedRun:
    """The run of somebody else, such as that of the plain command, to be shown by a station.

    Args:
        sink: is among the sinks of that run, with the hub of the station.
        card: of the model.
        labels: of the classifier.
        telemetry, tuning: as well.
        listens_to: what is listened to, as it may be printed.
        outputs: their reports.
        clips: of that run; None where none are kept.
        model: as its results name it.

    Attributes:
        history: the file that the run writes; None without.
    """

    def __init__(
        self,
        sink: HubSink,
        card: ModelCard,
        labels: tuple[str, ...],
        *,
        telemetry: Telemetry,
        tuning: Tuning,
        listens_to: str = "",
        outputs: Callable[[], Sequence[OutputReport]] = list,
        clips: Clips | None = None,
        model: str = "",
        history: str | None = None,
    ) -> None:
        self.history = history
        self._sink, self._card, self._labels = sink, card, labels
        self._tuning, self._outputs = tuning, outputs
        self._listens_to = listens_to
        self._clips, self._model = clips, model
        self.telemetry: Telemetry | None = telemetry

    @property
    def name(self) -> str:
        """See `Listened`."""
        return self._sink.name

    def glance(self) -> SourceGlance:
        """See `Listened`."""
        hearing = self._sink.hearing()
        return look(
            self.name,
            self._listens_to,
            self._card,
            self._labels,
            hearing,
            ("ended" if self._sink.closed else hearing.state, hearing.detail, hearing.since),
            thresholds=self._tuning.thresholds(),
            outputs=tuple(self._outputs()),
        )

    def place_threshold(self, label: str, threshold: float) -> str:
        """See `Listened`."""
        return self._heard().place(label, threshold)

    def mute(self, label: str) -> str:
        """See `Listened`."""
        return self._heard().mute(label)

    def clip(self, event: int) -> Path | None:
        """See `Listened`."""
        return None if self._clips is None else self._clips.of("", self._model, event)

    def _heard(self) -> Tuning:
        if self._sink.closed:
            raise UsageError(f"{self.name}: is heard no more")
        return self._tuning


def look(
    name: str,
    listens_to: str,
    card: ModelCard,
    labels: tuple[str, ...],
    hearing: Hearing,
    condition: tuple[SourceCondition, str, float],
    *,
    restarts: int = 0,
    error: str = "",
    retry_in: float | None = None,
    thresholds: dict[str, float | None],
    outputs: tuple[OutputReport, ...],
) -> SourceGlance:
    """A glance of what is heard and known. What is true of now only is left out while nothing is heard."""
    state, detail, since = condition
    heard = state in ("listening", "silent", "recovering", "failed")
    return SourceGlance(
        name=name,
        input=listens_to,
        model=card.name,
        labels=labels,
        sample_rate=card.features.sample_rate,
        state=state,
        detail=detail,
        since=round(since, 3),
        restarts=restarts,
        error=error,
        retry_in=retry_in,
        thresholds=thresholds,
        probs=hearing.probs if heard else {},
        on=hearing.on if heard else (),
        rms_dbfs=hearing.rms_dbfs if heard else None,
        peak_dbfs=hearing.peak_dbfs if heard else None,
        lag_seconds=hearing.lag_seconds if heard else None,
        last_event=hearing.last_event,
        seconds=hearing.seconds,
        lost_seconds=hearing.lost_seconds,
        rows=hearing.rows,
        events=hearing.events,
        busy_seconds=hearing.busy_seconds,
        outputs=outputs,
    )
