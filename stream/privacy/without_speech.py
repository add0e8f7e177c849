"""WithoutSpeech: sinks that are given sound only after its speech was silenced."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stream.capture.history import SoundHistory
from stream.messages import Chunk, Result, Status
from stream.outputs.sink import Sink, without_sound
from stream.privacy.redactor import Redactor


class WithoutSpeech:
    """A sink that stands between the sound and the sinks that may keep it.

    They get chunks from a `Redactor`, about a second late, and results at once. ``result.sound`` holds the same sound
    as the chunks, so it ends about a second before ``result.end``. ``result.features`` is empty, because speech can be
    made of features again. When the stream ends, the rest of the sound comes before they are closed.

        run(source, classifier, [WithoutSpeech([my_recorder])])

    Args:
        sinks: in order; all of one thread.
        redactor: fresh, for this stream alone. Default: one of the bundled model.
        history_seconds: how far back ``result.sound`` reaches; 0 leaves it out.
    """

    def __init__(
        self, sinks: Sequence[Sink], redactor: Redactor | None = None, *, history_seconds: float = 30.0
    ) -> None:
        self._sinks = tuple(sinks)
        self._redactor = Redactor() if redactor is None else redactor
        self._history_seconds = history_seconds and history_seconds + self._redactor.delay_seconds
        self._history: SoundHistory | None = None
        self._flushed = False

    def chunk(self, chunk: Chunk) -> None:
        """See Sink."""
        self._hand_on(self._redactor.push(chunk))

    def result(self, result: Result) -> None:
        """See Sink."""
        result = msgspec.structs.replace(without_sound(result), sound=self._history)
        for sink in self._sinks:
            sink.result(result)

    def status(self, status: Status) -> None:
        """See Sink."""
        for sink in self._sinks:
            sink.status(status)

    def flush(self) -> None:
        """Hand on the rest of the sound. ``close`` does it too; a second call does nothing."""
        if not self._flushed:
            self._flushed = True
            self._hand_on(self._redactor.flush())

    def close(self) -> None:
        """See Sink."""
        try:
            self.flush()
        finally:
            for sink in self._sinks:
                sink.close()

    def _hand_on(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            if self._history_seconds:
                if self._history is None or self._history.sample_rate != chunk.sample_rate:
                    self._history = SoundHistory(chunk.sample_rate, self._history_seconds)
                self._history.append(chunk)
            for sink in self._sinks:
                sink.chunk(chunk)
