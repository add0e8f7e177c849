"""Raw PCM from standard input or any binary stream: what ``parec`` or ``ffmpeg`` writes into a pipe."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from stream.capture.channels import (
    DEFAULT_CHANNEL,
    MAX_CHANNELS,
    MAX_RATE_HZ,
    MIN_RATE_HZ,
    Channel,
    as_float32,
    check_channel,
)
from stream.capture.recognise import bytes_needed, container
from stream.capture.sound_check import SoundCheck
from stream.capture.source import SourceBase, SourceReport
from stream.errors import SourceError, UnreadableAudio, UsageError
from stream.foreign import text_kind
from stream.messages import Chunk, SourceInfo

PCM_FORMATS: dict[str, np.dtype[Any]] = {"s16le": np.dtype("<i2"), "f32le": np.dtype("<f4")}
EXAMPLE = "parec --raw --rate=44100 --channels=1 | stream-classify --input - --sample-rate 44100"

_LONGEST_CHUNK_SAMPLES = 4096  # a chunk is what has arrived, and never more than this


class StdinSource(SourceBase):
    """Interleaved PCM samples from a binary stream, each chunk given out as soon as it has arrived.

    Bytes are read unbuffered, so a live pipe is not delayed; a frame that arrives in two pieces is put
    together, and half a frame at the end is dropped. Several ``iter()`` continue one stream.

    Args:
        stream: None is ``sys.stdin``; anything with ``read1`` or ``read`` will do.
        sample_rate: Hz; raw PCM has no header, so it cannot be left out.
        channels: interleaved in the stream.
        channel: "mix" or a 1-based number.
        format: "s16le" or "f32le", whatever the bytes look like. None is "s16le" too, but a stream that begins like a
            file (WAV, MP3, M4A ...) is refused.
        block_samples: most samples a chunk; 0 chooses 4096.
        clock: seconds, monotonic; stamps the chunks.

    Raises:
        UsageError: no rate, one that no recording has, an unknown format, or a channel that is not there.
        SourceError: there is no standard input, or it is a keyboard.
    """

    def __init__(
        self,
        stream: BinaryIO | None = None,
        *,
        sample_rate: int | None,
        channels: int = 1,
        channel: Channel = DEFAULT_CHANNEL,
        format: str | None = None,
        block_samples: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if sample_rate is None:
            raise UsageError(f"raw PCM has no header: give its rate with --sample-rate, as in '{EXAMPLE}'")
        if not (MIN_RATE_HZ <= sample_rate <= MAX_RATE_HZ and 1 <= channels <= MAX_CHANNELS):
            raise UsageError(
                f"{sample_rate} Hz with {channels} channels is no recording: "
                f"{MIN_RATE_HZ} to {MAX_RATE_HZ} Hz and 1 to {MAX_CHANNELS} channels are read"
            )
        self._recognised = format is not None  # or looked at, and not known as a file
        format = "s16le" if format is None else format
        if format not in PCM_FORMATS:
            raise UsageError(f"format {format!r} is not known: use {' or '.join(PCM_FORMATS)}")
        check_channel(channel, channels, "the PCM on standard input")
        self.sample_rate = sample_rate
        self._channel = channel
        self._channels = channels
        self._format = format
        self._dtype = PCM_FORMATS[format]
        self._frame = self._dtype.itemsize * channels  # bytes
        self._limit = (block_samples or _LONGEST_CHUNK_SAMPLES) * self._frame
        self._clock = clock
        self._stream = _standard_input() if stream is None else stream
        self._descriptor = _descriptor(self._stream)
        # Closing must end a wait for bytes that never come: select watches this pipe too.
        self._wake: tuple[int, int] | None = None
        if self._descriptor is not None and os.name == "posix":
            self._wake = os.pipe()
            weakref.finalize(self, _close_all, self._wake)  # close() cannot: a select may be waiting on it
        self._carry = b""
        self._position = 0
        self._check = SoundCheck(sample_rate, channel)

    def _chunks(self) -> Iterator[Chunk]:
        if not self._recognised:
            self._refuse_files()
        while not self._closed:
            data = self._carry
            if len(data) < self._frame:
                arrived = self._read(self._limit - len(data))
                if not arrived:
                    self._check.finish()
                    return
                data += arrived
            whole = min(len(data) - len(data) % self._frame, self._limit)
            self._carry = data[whole:]
            if not whole:
                continue
            samples = self._decode(data[:whole])
            yield Chunk(
                samples, self._position, self.sample_rate, self._clock(), detail="; ".join(self._check.hints)
            )
            self._position += len(samples)

    def _refuse_files(self) -> None:
        """Wait for as many bytes as tell a file from samples."""
        while len(self._carry) < bytes_needed(self._carry):
            arrived = self._read(self._limit)
            if not arrived:
                break
            self._carry += arrived
        self._recognised = True
        if kind := container(self._carry) or text_kind(self._carry):
            raise UnreadableAudio(
                f"standard input carries {kind}, not raw PCM: give a file by its name, or pipe "
                "'ffmpeg -i FILE -f s16le -ac 1 -ar 16000 -' with --sample-rate 16000; "
                "--format s16le takes the bytes as samples anyway",
                path="-",
            )

    def _decode(self, data: bytes) -> NDArray[np.float32]:
        frames = np.frombuffer(data, self._dtype).reshape(-1, self._channels)
        return self._check.mono(as_float32(frames))

    def _read(self, size: int) -> bytes:
        """What has arrived, at least one byte; b"" at the end or once closed."""
        if self._descriptor is None:
            read1 = getattr(self._stream, "read1", self._stream.read)
            return bytes(read1(size))
        if self._wake is not None:
            ready, _, _ = select.select([self._descriptor, self._wake[0]], [], [])
            if self._wake[0] in ready or self._closed:
                return b""
        return os.read(self._descriptor, size)

    def report(self) -> SourceReport:
        """Hints about the sound so far."""
        return SourceReport(hints=self._check.hints)

    def info(self) -> SourceInfo:
        """`live` unless the stream is a regular file: behind a pipe nobody can know."""
        regular = self._descriptor is None or stat.S_ISREG(os.fstat(self._descriptor).st_mode)
        return SourceInfo(
            "standard input",
            self.sample_rate,
            self._channels,
            str(self._channel),
            live=not regular,
            detail=self._format,
        )

    def close(self) -> None:
        """Stop reading; the stream itself stays open, it is not ours."""
        if not self._closed:
            super().close()
            if self._wake is not None:
                os.write(self._wake[1], b"x")


def _close_all(descriptors: tuple[int, int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.closed:
        raise SourceError(f"there is no standard input: pipe sound into it, as in '{EXAMPLE}'")
    if sys.stdin.isatty():
        raise SourceError(f"standard input is a keyboard, not sound: pipe it in, as in '{EXAMPLE}'")
    return sys.stdin.buffer


def _descriptor(stream: BinaryIO) -> int | None:
    try:
        return stream.fileno()
    except (AttributeError, io.UnsupportedOperation):
        return None
