"""Recordings: any audio file as a source in constant memory, or whole as an array, by one decoder."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.capture.channels import DEFAULT_CHANNEL, Channel, check_channel
from stream.capture.decoding import Decoder, open_decoder
from stream.capture.pacing import Pacer
from stream.capture.sound_check import SoundCheck
from stream.capture.source import SourceBase, SourceReport
from stream.errors import UnreadableAudio
from stream.features.resample import StreamingResampler
from stream.messages import Chunk, SourceInfo
from stream.printable import unicode_text

FAST_BLOCK_SECONDS = 0.25
PACED_BLOCK_SECONDS = 0.02


class FileSource(SourceBase):
    """An audio file as a source: WAV, FLAC, OGG, MP3 and what else libsndfile (or PyAV, if installed)
    decodes.

    The file is decoded block by block, so length does not matter. Each ``iter()`` starts from the beginning.
    A file that breaks off is given out as far as it can be decoded; `report` then says in ``truncated`` what was
    wrong.

    Args:
        path: the file.
        channel: "mix" or a 1-based number.
        block_samples: samples a chunk at the file's rate; 0 chooses (0.25 s when fast, 20 ms when paced).
        fast: as fast as the consumer takes it; False gives each chunk when a microphone would have.
        clock, sleep: for the real-time pace; see `stream.capture.pacing.Pacer`.

    Raises:
        UnreadableAudio: missing, forbidden, a folder, empty, without samples, not audio, or an absurd header.
        UsageError: the file has no such channel.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        channel: Channel = DEFAULT_CHANNEL,
        block_samples: int = 0,
        fast: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.path = Path(path)
        self._truncated = ""
        self._channel = channel
        self._fast = fast
        self._pacer = Pacer(clock, sleep)
        decoder = open_decoder(self.path)
        self.sample_rate = decoder.sample_rate
        try:
            check_channel(channel, decoder.channels, str(self.path))
            # One block now: a file whose header is its only sound part must fail here, not in mid-run.
            if next(decoder.blocks(), None) is None:
                reason = decoder.problem or "0 samples"
                raise UnreadableAudio(f"{self.path} holds no sound: {reason}", path=str(self.path))
            self._info = SourceInfo(
                unicode_text(self.path.name),
                decoder.sample_rate,
                decoder.channels,
                str(channel),
                live=not fast,
                duration=decoder.frames,
                detail=decoder.codec,
            )
        finally:
            decoder.close()
        self._check = SoundCheck(self.sample_rate, channel)
        seconds = FAST_BLOCK_SECONDS if fast else PACED_BLOCK_SECONDS
        self._block_samples = block_samples or max(1, round(seconds * self.sample_rate))

    def _chunks(self) -> Iterator[Chunk]:
        self._pacer.restart()
        decoder = open_decoder(self.path)
        try:
            start = 0
            check = self._check = SoundCheck(self.sample_rate, self._channel)
            for samples in _regrouped(decoder, check, self._block_samples):
                due = None if self._fast else self._pacer.until((start + len(samples)) / self.sample_rate)
                if self._pacer.closed:
                    return
                yield Chunk(samples, start, self.sample_rate, due, detail="; ".join(check.hints))
                start += len(samples)
            check.finish()
            self._truncated = f"{self.path}: {decoder.problem}" if decoder.problem else ""
        finally:
            decoder.close()

    def info(self) -> SourceInfo:
        """`live` is True when paced: time passes by itself then."""
        return self._info

    def report(self) -> SourceReport:
        """``truncated`` and hints about a short recording are known once an iteration has come to the end."""
        return SourceReport(truncated=self._truncated, hints=self._check.hints)

    def close(self) -> None:
        super().close()
        self._pacer.close()


def _regrouped(decoder: Decoder, check: SoundCheck, size: int) -> Iterator[NDArray[np.float32]]:
    """The decoder's blocks as mono runs of exactly ``size`` samples, the last one shorter."""
    held: list[NDArray[np.float32]] = []
    count = 0
    for block in decoder.blocks():
        mono = check.mono(block)
        while count + len(mono) >= size:
            take = size - count
            yield np.concatenate([*held, mono[:take]])
            held, count, mono = [], 0, mono[take:]
        held.append(mono)
        count += len(mono)
    if count:
        yield np.concatenate(held)


def read_audio(
    path: str | os.PathLike[str], sample_rate: int | None = None, channel: Channel = DEFAULT_CHANNEL
) -> NDArray[np.float32]:
    """A whole file, through the same decoder and the same resampler as a stream of it.

    Args:
        path: the file.
        sample_rate: Hz wanted; None keeps the file's.
        channel: "mix" or a 1-based number.

    Returns:
        (n,) float32; n = round(frames * sample_rate / file's rate), half up. Samples that are not finite in
        the file are NaN.

    Raises:
        UnreadableAudio, UsageError: as `FileSource`. A file that breaks off is returned as far as it goes,
            with a UserWarning.
    """
    return read_with_hints(path, sample_rate, channel)[0]


def read_with_hints(
    path: str | os.PathLike[str], sample_rate: int | None = None, channel: Channel = DEFAULT_CHANNEL
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """As `read_audio`, and what is odd about the sound (`stream.capture.sound_check`)."""
    with FileSource(path, channel=channel) as source:
        resampler = StreamingResampler(source.sample_rate, sample_rate or source.sample_rate)
        parts = [resampler.push(chunk.samples) for chunk in source]
        parts.append(resampler.flush())
        report = source.report()
        if report.truncated:
            warnings.warn(f"{report.truncated}; what comes before is used", stacklevel=3)
    return np.concatenate(parts), report.hints
