"""Sink: what every place that results go to looks like, be it a file, a dashboard or a watchdog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # help and option parsing read outputs' options, and do without numpy
    from stream.messages import Chunk, Result, Status

# Of a result: what no sound can be made of.
SOUNDLESS_FIELDS = (
    "scores", "events", "gaps", "end", "repaired", "stream", "model", "captured_at", "busy_seconds", "opened",
    "rules",
)  # fmt: skip


class Sink(Protocol):
    """Takes what happens on one source, in order: JSON lines, a dashboard, a watchdog, or your own.

    ``run`` calls it from one thread. For each chunk it calls ``status`` if the source changed its state, then
    ``chunk``, then ``result`` once for each classifier. Every call is made while the next sound waits, so a sink
    must be quick; wrap one that may be slow in `Queued`. A sink must change nothing it is given. An error that it
    raises ends the run; a sink that can go on without its file or its network says so in the log and goes on.
    """

    def chunk(self, chunk: Chunk) -> None:
        """Take sound as the source gave it, at the capture rate, before it is classified."""

    def result(self, result: Result) -> None:
        """Take what one classifier made of the chunk. ``result.stream`` and ``result.model`` tell classifiers apart."""

    def status(self, status: Status) -> None:
        """Take a change of what the source is doing, or why."""

    def close(self) -> None:
        """Write what is held back and release everything. A second call does nothing."""


class Guard(Sink, Protocol):
    """A sink that decides which sound the sinks behind it are given: ``stream.privacy`` has two."""

    def flush(self) -> None:
        """Hand on what sound is held back; nothing follows."""


class GuardMaker(Protocol):
    """Makes a guard of the sinks behind it, and of how many seconds of sound results must refer to."""

    def __call__(self, sinks: Sequence[Sink], history_seconds: float) -> Guard: ...


def without_sound(result: Result) -> Result:
    """What a result says, and nothing that sound could be made of: no sound, no features, and no field that is new."""
    from stream.messages import Result

    return Result(features=result.features[:0], **{name: getattr(result, name) for name in SOUNDLESS_FIELDS})
