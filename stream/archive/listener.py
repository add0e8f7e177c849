"""Listening to one recording of an archive: the same run as any other, with records as its result."""

from __future__ import annotations

import tempfile
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from stream.archive.inventory import Recording
from stream.archive.recorded_at import recorded_at
from stream.capture.channels import Channel
from stream.capture.files import FileSource
from stream.capture.source import SourceBase, SourceReport
from stream.classifier import StreamClassifier
from stream.decisions.derived import DerivedSpec
from stream.decisions.spec import DetectorSpec
from stream.errors import ModelError, StreamClassifyError
from stream.inference.session import Model
from stream.messages import Chunk, Result, SourceInfo, Status
from stream.outputs.history import History
from stream.outputs.output import OutputContext
from stream.outputs.records import Origin, result_records
from stream.outputs.sink import Sink
from stream.outputs.wall_time import CaptureTimes
from stream.printable import printable, printable_json
from stream.runner import run

PROGRESS_SECONDS = 0.5  # between two signs of life


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How an archive is listened to; the same for all its recordings.

    Attributes:
        model: path of the model file.
        sha256: its digest, in hexadecimal.
        rules, derived, repair, max_gap, reset_after: as `StreamClassifier` takes them.
        channel: "mix" or a 1-based number.
        scores: keep every row of scores too.
        history: write a history of each recording too.
    """

    model: str
    sha256: str
    rules: DetectorSpec
    derived: DerivedSpec
    repair: Literal["interpolate", "hold", "mean"] = "interpolate"
    max_gap: float = 1.0
    reset_after: float | None = None
    channel: Channel = "mix"
    scores: bool = False
    history: bool = False


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recording came to.

    Attributes:
        seconds: of sound.
        lost_seconds: of it in gaps.
        began_at: when it was recorded, seconds since 1970.
        events: complete ones, by label.
        class_seconds: that they last, by label.
        problem: why it could not be listened to, or to its end; "" if it was.
        failed: nothing of it was listened to.
        lines: JSON lines, compressed by zlib.
        history: path of a history file of its own, to be taken in and removed; "" = none.
    """

    seconds: float = 0.0
    lost_seconds: float = 0.0
    began_at: float = 0.0
    events: dict[str, int] | None = None
    class_seconds: dict[str, float] | None = None
    problem: str = ""
    failed: bool = False
    lines: bytes = b""
    history: str = ""


def load_model(setup: Setup) -> Model:
    """The model of a setup.

    Raises:
        ModelError: it cannot be loaded, or is another one by now.
    """
    model = Model.load(setup.model, "cpu")
    if model.sha256 != setup.sha256:
        raise ModelError(f"model {setup.model}: has changed since the scan began; start again with it")
    return model


class Listener:
    """Listens to recordings, one after the other, with one model.

    Args:
        setup: how.
        model: of the setup.
    """

    def __init__(self, setup: Setup, model: Model) -> None:
        self._setup = setup
        self._model = model
        self._classifier = StreamClassifier(
            self._model,
            setup.rules,
            derived=setup.derived,
            repair=setup.repair,
            max_gap=setup.max_gap,
            reset_after=setup.reset_after,
        )

    def listen(
        self, recording: Recording, named: float | None, folder: str, progress: Callable[[float], None]
    ) -> Heard:
        """Listen to the end.

        Args:
            recording: whichever.
            named: when it began by its name, seconds since 1970, as the machine reads it on which the scan was started.
            folder: for its history; private to this scan.
            progress: told the seconds of sound so far, about twice a second.

        Returns:
            What it came to; a recording that cannot be read is a problem and no error.
        """
        try:
            source = FileSource(recording.path, channel=self._setup.channel)
        except StreamClassifyError as error:
            return Heard(problem=printable(str(error)), failed=True)
        info = source.info()
        known = info.duration / info.sample_rate if info.duration else 0.0
        began = recorded_at(named, recording.modified_ns, known)
        card = self._model.card
        origin = Origin(recording.name, card.name, self._model.sha256)
        notes = _Notes(origin, began, progress, scores=self._setup.scores)
        self._classifier.reset()
        sinks: list[Sink] = [notes]
        history = ""
        if self._setup.history:
            history = tempfile.mktemp(".sqlite", dir=folder)
            sinks.append(History(self._context(origin, info, began), history=history))
        timed = _Timed(source)
        try:
            summary = run(timed, self._classifier, sinks, history_seconds=None)
        except StreamClassifyError as error:
            return Heard(problem=printable(str(error)), failed=True)
        return Heard(
            seconds=timed.seconds,
            lost_seconds=summary.lost / self._classifier.sample_rate,
            began_at=began,
            events=dict(notes.events),
            class_seconds={label: round(seconds, 3) for label, seconds in notes.class_seconds.items()},
            problem=printable(source.report().truncated),
            lines=notes.lines(),
            history=history,
        )

    def _context(self, origin: Origin, info: SourceInfo, began: float) -> OutputContext:
        """Of a run whose times are those of the recording."""
        return OutputContext(
            origin=origin,
            source=info,
            labels=self._classifier.labels,
            detector=self._classifier.detector_spec,
            sample_rate=self._classifier.sample_rate,
            card=self._model.card,
            wall=lambda: began,
            monotonic=lambda: 0.0,
        )


class _Timed(SourceBase):
    """A recording that says when each chunk was captured: so many seconds after it began."""

    def __init__(self, source: FileSource) -> None:
        self._source = source
        self.seconds = 0.0
        self.sample_rate = source.sample_rate

    def _chunks(self) -> Iterator[Chunk]:
        for chunk in self._source:
            self.seconds = chunk.end / chunk.sample_rate
            yield msgspec.structs.replace(chunk, captured_at=self.seconds)

    def info(self) -> SourceInfo:
        return self._source.info()

    def report(self) -> SourceReport:
        return self._source.report()

    def close(self) -> None:
        super().close()
        self._source.close()


class _Notes:
    """A sink: JSON lines of a recording, and what they come to."""

    def __init__(
        self, origin: Origin, began: float, progress: Callable[[float], None], *, scores: bool
    ) -> None:
        self.events: Counter[str] = Counter()
        self.class_seconds: defaultdict[str, float] = defaultdict(float)
        self._origin, self._progress, self._scores = origin, progress, scores
        self._times = CaptureTimes(monotonic=lambda: 0.0, wall=lambda: began)
        self._encoder = msgspec.json.Encoder()
        self._compressor = zlib.compressobj(6)
        self._compressed: list[bytes] = []
        self._told = time.monotonic()

    def chunk(self, chunk: Chunk) -> None:
        """Give a sign of life."""
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._progress(chunk.end / chunk.sample_rate)

    def result(self, result: Result) -> None:
        """Note what is to be kept."""
        for record in result_records(result, self._origin, self._times, onsets=False, scores=self._scores):
            line = printable_json(self._encoder.encode(record)) + b"\n"
            self._compressed.append(self._compressor.compress(line))
        for event in result.events:
            if event.offset is not None:
                self.events[event.label] += 1
                self.class_seconds[event.label] += (event.offset - event.onset) / event.sample_rate

    def status(self, status: Status) -> None:
        """A recording is always listening."""

    def close(self) -> None:
        """See Sink."""

    def lines(self) -> bytes:
        """All of them, compressed. Once."""
        return b"".join([*self._compressed, self._compressor.flush()])
