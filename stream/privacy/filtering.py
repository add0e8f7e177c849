"""Sound through a `Redactor` into another program or a file: the loop of ``stream-classify redact``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stream.errors import SourceError
from stream.messages import Chunk
from stream.privacy.redactor import Redactor

if TYPE_CHECKING:
    from stream.capture.source import AudioSource

FILL_SECONDS = 1.0  # of silence in one piece, so that a gap of hours needs no memory


@dataclass(slots=True)
class Written:
    """What went through. Counts are samples at the rate of the source.

    Attributes:
        samples: in all.
        silenced: of them, silenced as speech, or as sound that could not be judged.
        filled: of them, silence in place of sound that was lost.
    """

    samples: int = 0
    silenced: int = 0
    filled: int = 0


def filter_speech(
    source: AudioSource, write: Callable[[NDArray[np.float32]], None], redactor: Redactor
) -> Written:
    """Write the sound of a source without its speech, to the end of the source.

    As many samples are written as there were: gaps and invalid samples are written as silence. While a live source is
    gone, silence is written as time passes.

    Args:
        source: any; closed at the end.
        write: takes (n,) float32 in [-1, 1] that follow the ones before.
        redactor: fresh.

    Raises:
        SourceError: the source changes its rate, which no reader of plain samples would notice.
    """
    written = Written()
    at: int | None = None  # index of the sample to be written next

    def fill(until: int, rate: int) -> None:
        nonlocal at
        while at is not None and at < until:
            count = min(until - at, round(FILL_SECONDS * rate))
            write(np.zeros(count, np.float32))
            written.filled += count
            written.samples += count
            at += count

    def emit(chunks: list[Chunk]) -> None:
        nonlocal at
        for chunk in chunks:
            if at is None:
                at = chunk.start
            if chunk.sample_rate != source.sample_rate:
                raise SourceError(
                    f"the source changed from {source.sample_rate} to {chunk.sample_rate} Hz, which readers of the "
                    "output would not notice; start again"
                )
            fill(chunk.start, chunk.sample_rate)
            if len(chunk.samples):
                write(np.clip(np.nan_to_num(chunk.samples, nan=0.0), -1, 1))
                written.samples += len(chunk.samples)
                at = chunk.end
            fill(chunk.start + chunk.missing, chunk.sample_rate)

    with source:
        for chunk in source:
            emit(redactor.push(chunk))
        emit(redactor.flush())
    written.silenced = redactor.silenced
    return written
