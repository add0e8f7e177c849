"""Sessions recorded in this process, for tests of what is in them and what comes of them again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stream.capture.source import SourceBase
from stream.classifier import StreamClassifier
from stream.inference.session import Model
from stream.messages import Chunk, SourceInfo
from stream.outputs.output import OutputContext
from stream.outputs.record import Recorder
from stream.outputs.records import Origin
from stream.replay.chunking import Sizes
from stream.replay.comparison import Comparison
from stream.replay.replaying import make_classifier, replay
from stream.runner import run
from stream.session.recorded import RecordedSession


class Played(SourceBase):
    """Chunks as they stand in a list, or come from elsewhere."""

    def __init__(self, chunks: Iterable[Chunk], sample_rate: int, *, live: bool = True) -> None:
        self._list, self.sample_rate, self._live = chunks, sample_rate, live

    def _chunks(self) -> Iterator[Chunk]:
        yield from self._list

    def info(self) -> SourceInfo:
        return SourceInfo("played", self.sample_rate, live=self._live)


def recorder(
    folder: Path, classifier: StreamClassifier, info: SourceInfo, snapshot_seconds: float = 1.0, **values: Any
) -> Recorder:
    """A recorder with clocks that tell the same at each call."""
    model = classifier.model
    context = OutputContext(
        origin=Origin(info.name, model.card.name, model.sha256),
        source=info,
        labels=classifier.labels,
        detector=classifier.detector_spec,
        sample_rate=classifier.sample_rate,
        settings=classifier.settings,
        model_path=os.path.abspath(model.path),
        wall=lambda: 1_790_000_000.25,
        monotonic=lambda: 700.5,
    )
    made = Recorder(context, record=str(folder), **values)
    made.snapshot_seconds = snapshot_seconds  # type: ignore[misc]
    return made


def record(
    folder: Path,
    classifier: StreamClassifier,
    chunks: Iterable[Chunk],
    sample_rate: int,
    *,
    live: bool = True,
    snapshot_seconds: float = 1.0,
    sinks: Iterable[Any] = (),
) -> RecordedSession:
    """Run chunks through a classifier and record it."""
    source = Played(chunks, sample_rate, live=live)
    made = recorder(folder, classifier, source.info(), snapshot_seconds)
    run(source, classifier, [made, *sinks])
    return RecordedSession(folder)


def compared(
    session: RecordedSession, model: Model, sizes: Sizes | None = None, first: int | None = None
) -> Comparison:
    """A replay from segment ``first``, or from the beginning, against what was recorded."""
    classifier = make_classifier(session, model)
    comparison = Comparison(session.description, classifier.name, model.id, chunks_as_recorded=sizes is None)
    (begin,) = [
        each
        for each in session.starts()
        if each.number == (session.segments[0].number if first is None else first)
    ]
    replay(session, classifier, begin, sizes, listeners=[comparison])
    comparison.close()
    return comparison


def scene(sound: np.ndarray, sample_rate: int, seed: int = 0, *, sizes: int = 2000) -> list[Chunk]:
    """Sound as a microphone with troubles gives it: invalid samples, lost ones, and one that is unplugged twice.

    Args:
        sound: (n,) float32.
        sample_rate: Hz.
        sizes: most samples in a chunk.
    """
    rng = np.random.default_rng(seed)
    sound = sound.copy()
    for at in rng.integers(0, len(sound), 12):
        sound[at : at + int(rng.integers(1, sample_rate // 4))] = np.nan
    long = int(rng.integers(0, len(sound) // 2))
    sound[long : long + int(1.3 * sample_rate)] = np.nan  # longer than state is carried
    unplugged = {int(at) for at in rng.integers(0, len(sound), 2)}
    chunks: list[Chunk] = []
    at = lost = 0
    state: Any = "listening"

    def now() -> float:
        return 700.0 + (at + lost) / sample_rate + float(rng.uniform(0, 0.004))

    while at < len(sound):
        n = int(rng.integers(1, sizes))
        gone = [moment for moment in unplugged if at <= moment]
        if gone and min(gone) < at + n:
            unplugged.discard(min(gone))
            away = int(rng.uniform(0.3, 2.5) * sample_rate)
            for missing in range(0, away, sample_rate // 5):
                nothing = np.empty(0, np.float32)
                chunks.append(
                    Chunk(nothing, at + lost, sample_rate, now(), "recovering", "unplugged", missing)
                )
            lost += away
            state = "silent"
        elif rng.random() < 0.02:
            lost += int(rng.integers(1, sample_rate // 2))
            state = "listening"
        piece = sound[at : at + n]
        at += len(piece)
        chunks.append(
            Chunk(
                piece,
                at - len(piece) + lost,
                sample_rate,
                now(),
                state,
                "" if state == "listening" else "quiet",
            )
        )
    return chunks
