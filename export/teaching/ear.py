"""Recording examples: a source that is listened to all the time, and its last seconds whenever they are asked for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import soxr

from export.teaching.examples import Example, sounding
from stream.capture.history import SoundHistory

if TYPE_CHECKING:
    from types import TracebackType

    from stream.capture.source import AudioSource

LAST_SECONDS = 4.0  # that an example is looked for in
AFTER_SECONDS = 0.4  # that are waited for after the key: the sound may not be over
STOP_SECONDS = 2.0


class Ear:
    """Listens to a source on a thread of its own; a context.

    Args:
        source: opened when the context is entered, and closed with it.
        sample_rate: Hz, of the examples.
    """

    def __init__(self, source: AudioSource, sample_rate: int) -> None:
        self._source, self._sample_rate = source, sample_rate
        self._history: SoundHistory | None = None
        self._thread = threading.Thread(target=self._listen, name="stream-classify recording", daemon=True)
        self._taken = 0
        self.error: BaseException | None = None

    def __enter__(self) -> Ear:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()
        self._thread.join(STOP_SECONDS)

    @property
    def listening(self) -> bool:
        """False when the source has ended."""
        return self._thread.is_alive()

    def take(self, wait: float = AFTER_SECONDS) -> Example | None:
        """What sounded in the last seconds and in ``wait`` more; None where nothing did.

        Raises:
            StreamClassifyError: whatever the source raised.
        """
        if self.listening:
            time.sleep(wait)
        if self.error is not None:
            raise self.error
        history = self._history
        if history is None:
            return None
        _, end = history.span
        samples, _ = history.read(end - round((LAST_SECONDS + wait) * history.sample_rate), end)
        sound = np.nan_to_num(samples)
        if history.sample_rate != self._sample_rate:
            sound = soxr.resample(sound, history.sample_rate, self._sample_rate).astype(np.float32)
        first, last = sounding(sound, self._sample_rate)
        if last <= first:
            return None
        self._taken += 1
        return Example(f"recorded-{self._taken}", sound[first:last])

    def _listen(self) -> None:
        try:
            with self._source as source:
                for chunk in source:
                    if self._history is None or self._history.sample_rate != chunk.sample_rate:
                        self._history = SoundHistory(chunk.sample_rate, 2 * LAST_SECONDS)
                    self._history.append(chunk)
        except BaseException as error:  # for the thread that asks
            self.error = error
