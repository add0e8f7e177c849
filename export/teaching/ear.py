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
LEAST_SECONDS = 1.6  # of sound that was not taken yet: in less, noise cannot be told from a sound
RING_SECONDS = 0.4  # about a sound that was taken, which are no sound of their own
OPEN_SECONDS = 5.0  # that a microphone may take until sound comes
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
        self._opened = threading.Event()
        self._taken: list[tuple[int, int]] = []  # absolute samples of the source
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

    def wait_for_sound(self, seconds: float = OPEN_SECONDS) -> None:
        """Return as soon as sound comes, after ``seconds`` at the latest.

        Raises:
            StreamClassifyError: the source cannot be listened to.
        """
        self._opened.wait(seconds)
        if self.error is not None:
            raise self.error

    def take(self, wait: float = AFTER_SECONDS) -> Example | None:
        """What sounded in the last seconds and in ``wait`` more; None where nothing did, or it was taken before.

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
        begin = end - round((LAST_SECONDS + wait) * history.sample_rate)
        samples, begin = history.read(begin, end)
        at = np.arange(begin, begin + len(samples))
        left = np.isfinite(samples)  # silence where the microphone was gone is no noise to compare with
        for first, last in self._taken:
            left &= (at < first) | (at >= last)
        at, sound = at[left], samples[left]
        if len(sound) < LEAST_SECONDS * history.sample_rate:
            return None
        if history.sample_rate != self._sample_rate:
            sound = soxr.resample(sound, history.sample_rate, self._sample_rate).astype(np.float32)
        first, last = sounding(sound, self._sample_rate)
        if last <= first:
            return None
        scale = history.sample_rate / self._sample_rate
        ends = [int(at[min(len(at) - 1, round(edge * scale))]) for edge in (first, last)]
        margin = round(RING_SECONDS * history.sample_rate)
        self._taken.append((ends[0] - margin, ends[1] + margin))
        return Example(f"recorded-{len(self._taken)}", sound[first:last])

    def _listen(self) -> None:
        try:
            with self._source as source:
                for chunk in source:
                    if self._history is None or self._history.sample_rate != chunk.sample_rate:
                        self._taken.clear()  # another rate counts otherwise
                        self._history = SoundHistory(chunk.sample_rate, 2 * LAST_SECONDS)
                    self._history.append(chunk)
                    self._opened.set()
        except BaseException as error:  # for the thread that asks
            self.error = error
        finally:
            self._opened.set()
