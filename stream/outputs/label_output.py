"""Labels: events as a label file that other programs read, its format chosen by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from stream.errors import UsageError
from stream.outputs.output import Option, OutputContext
from stream.outputs.queued import Want

if TYPE_CHECKING:
    from stream.messages import Chunk, Result, Status


def _path(text: Any) -> str:
    if not str(text).strip():
        raise UsageError("--labels '': is empty, perhaps an unset variable of the shell; give a file")
    from stream.outputs.label_formats import format_of  # not needed for help

    format_of(str(text))
    return str(text)


class Labels:
    """The output behind ``--labels``: a label when an event has ended.

    Args:
        context: of the run.
        labels: the file.

    Raises:
        OutputError: the file cannot be written, or holds something already.
        UsageError: its name ends in nothing known.
    """

    OPTIONS: ClassVar = (
        Option(
            name="labels",
            metavar="FILE",
            help="Write events as labels for Audacity (.txt), DCASE (.tsv), Raven (.selections.txt), "
            "WebVTT (.vtt) or RTTM (.rttm).",
            check=_path,
        ),
    )
    WANTS: ClassVar[frozenset[Want]] = frozenset({"event"})
    WRITES_SOUND: ClassVar[bool] = False
    holds_up_recordings = True

    def __init__(self, context: OutputContext, *, labels: str) -> None:
        from stream.outputs.label_file import LabelFile
        from stream.outputs.label_formats import format_of

        self._format = format_of(_path(labels))
        self._file = LabelFile(labels, self._format)
        self._source = context.origin.source
        self._sample_rate = context.source.sample_rate
        self._written = 0

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""

    def result(self, result: Result) -> None:
        """Write the events that have ended.

        Raises:
            TryAgain: the disk is full, or gone; nothing of this result was written.
        """
        from stream.outputs.label_formats import Label

        ended = [event for event in result.events if event.offset is not None]
        texts = [
            self._format.write(
                Label(
                    onset=event.onset_s,
                    offset=event.offset_s or 0.0,
                    text=event.label,
                    peak=event.peak,
                    source=self._source,
                    sample_rate=self._sample_rate,
                    number=self._written + place,
                )
            )
            for place, event in enumerate(ended, 1)
        ]
        self._file.add(texts)
        self._written += len(texts)

    def status(self, status: Status) -> None:
        """See Sink."""

    def close(self) -> None:
        """Release the file."""
        self._file.close()
