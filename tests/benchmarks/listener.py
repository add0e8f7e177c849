"""``stream-classify`` itself, with a stopwatch on its parts: ``python -m tests.benchmarks.listener FILE ...``.

The arguments behind FILE are the command's own. When it ends, FILE (.npz) holds what it heard and when:

- ``pushes`` (P, 7) float64: begin and end of each push of a chunk (time.monotonic), when the chunk's last sample
  reached PortAudio's callback, the chunk's first sample, and the seconds spent in features, model, detector;
- ``samples`` (n,) float32: all chunks, at the microphone's rate, one after the other; ``lengths`` (P,) int64;
- ``onsets`` (E, 2) int64: the sample (at the model's rate) at which each was decided, and the push that brought it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from stream.classifier import StreamClassifier
from stream.cli import main
from stream.decisions.detector import Detector
from stream.features.mfcc import StreamingMfcc
from stream.inference.engine import LoneEngine
from stream.messages import Chunk

PARTS: list[tuple[type, tuple[str, ...]]] = [
    (StreamingMfcc, ("push",)),
    (LoneEngine, ("run",)),
    (Detector, ("push",)),
]


class Stopwatch:
    """Times public methods of the parts, and keeps the chunks."""

    def __init__(self) -> None:
        self._spent = [0.0] * len(PARTS)
        self.pushes: list[tuple[float, ...]] = []
        self.chunks: list[Chunk] = []
        self.onsets: list[tuple[int, int]] = []

    def attach(self) -> None:
        for part, (kind, names) in enumerate(PARTS):
            for name in names:
                setattr(kind, name, self._timed(getattr(kind, name), part))
        StreamClassifier.push = self._kept(StreamClassifier.push)  # type: ignore[method-assign]

    def _timed(self, method: Callable[..., Any], part: int) -> Callable[..., Any]:
        def timed(*words: Any) -> Any:
            begin = time.monotonic()
            result = method(*words)
            self._spent[part] += time.monotonic() - begin
            return result

        return timed

    def _kept(self, push: Callable[..., Any]) -> Callable[..., Any]:
        def kept(classifier: StreamClassifier, sound: Any) -> Any:
            self._spent = [0.0] * len(PARTS)
            begin = time.monotonic()
            result = push(classifier, sound)
            end = time.monotonic()
            if isinstance(sound, Chunk) and len(sound.samples):  # not the warm-up, and no heartbeat
                arrived = np.nan if sound.captured_at is None else sound.captured_at
                self.pushes.append((begin, end, arrived, sound.start, *self._spent))
                self.chunks.append(sound)
                onsets = [event.decided for event in result.events if event.offset is None]
                self.onsets += [(decided, len(self.pushes) - 1) for decided in onsets]
            return result

        return kept

    def save(self, path: str) -> None:
        samples = [chunk.samples for chunk in self.chunks]
        np.savez(
            path,
            pushes=np.array(self.pushes).reshape(-1, 4 + len(PARTS)),
            samples=np.concatenate([np.empty(0, np.float32), *samples]),
            lengths=np.array([len(each) for each in samples], np.int64),
            onsets=np.array(self.onsets, np.int64).reshape(-1, 2),
        )


if __name__ == "__main__":
    watch = Stopwatch()
    watch.attach()
    try:
        main(sys.argv[2:])
    finally:
        watch.save(sys.argv[1])
