"""Decoding with PyAV (FFmpeg), the extra ``network``: what libsndfile does not know, and network streams."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stream.errors import BackendMissing, UnreadableAudio
from stream.installation import install_command

_SOUNDLESS_BYTES = 128 << 20


def import_av(purpose: str) -> Any:
    """The module ``av``.

    Raises:
        BackendMissing: PyAV is not installed, or its libraries cannot be loaded.
    """
    try:
        import av
    except ImportError as error:
        raise BackendMissing(
            f"{purpose} needs PyAV, which is not here ({error}); run: {install_command('network')}",
            backend="PyAV",
        ) from error
    return av


def reason(error: BaseException) -> str:
    """A decoder's complaint without the path or URL and the decoration it puts round it."""
    text = str(getattr(error, "error_string", "") or getattr(error, "strerror", "") or error)
    return text.removeprefix("Error : ").strip().rstrip(".") or type(error).__name__


class Soundless:
    """Counts bytes that become nothing: zeros, or something else that FFmpeg's parsers would collect in memory for ever
    while they look for the next frame. A picture that is read on the way to the sound does not count.
    """

    def __init__(self) -> None:
        self._bytes = 0

    def came(self, n: int) -> None:
        """``n`` more bytes were read.

        Raises:
            OSError: they are too many.
        """
        self._bytes += n
        if self._bytes > _SOUNDLESS_BYTES:
            raise OSError(errno.EINVAL, f"{_SOUNDLESS_BYTES >> 20} MiB in a row hold no sound")

    def other(self, n: int) -> None:
        """``n`` bytes were a packet of a picture or the like."""
        self._bytes = max(0, self._bytes - n)

    def heard(self) -> None:
        """A frame of sound was decoded."""
        self._bytes = 0


class Bounded:
    """A local file for ``av.open`` that ends where too much is read without any sound.

    Attributes:
        problem: what ended it before its time. To the decoder that is an end like any other: PyAV prints what a file
            raises more than once.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        self.soundless = Soundless()
        self.problem: OSError | None = None
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # `close` closes it

    def read(self, n: int) -> bytes:
        if self.problem is not None:
            return b""
        try:
            data = self._file.read(n) or b""
            self.soundless.came(len(data))
        except OSError as error:
            self.problem = error
            return b""
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


class AvDecoder:
    """The first audio stream of a file or URL, as float32 blocks.

    Args:
        url: a URL, or a local file.
        options: FFmpeg's, as text.
        timeout: seconds to open and seconds without data before giving up; None waits forever (files).
        name: what to call the source in errors; no secrets.
        sample_rate: convert to this rate; None keeps the stream's. Only a live stream that came back with
            another rate needs it: everywhere else the rate is `stream.features.resample`'s business.
        transport: opens what FFmpeg would open itself (`stream.capture.network.http.Transport`); None = FFmpeg does.

    Raises:
        UnreadableAudio: there is no audio stream in it.
        av.FFmpegError, OSError: it cannot be opened; the caller knows what to say about it.
    """

    def __init__(
        self,
        url: str | Bounded,
        *,
        options: dict[str, str],
        timeout: tuple[float, float] | None = None,
        name: str,
        sample_rate: int | None = None,
        transport: Any = None,
    ) -> None:
        av = import_av(name)
        self._transport = transport
        self._bounds: Any = url if isinstance(url, Bounded) else transport
        self._url = url if isinstance(url, str) else ""
        try:
            self._container = av.open(url, options=options, timeout=timeout, io_open=transport)
        except BaseException as error:
            if self._bounds is not None:
                self._bounds.close()
            problem = getattr(self._bounds, "problem", None)
            if problem is not None and isinstance(error, Exception):
                raise problem from error
            raise
        try:
            streams = self._container.streams.audio
            if not streams:
                raise UnreadableAudio(f"{name} has no audio stream: nothing to listen to", path=name)
            self._stream = streams[0]
            context = self._stream.codec_context
            if context is None:
                raise UnreadableAudio(
                    f"{name} is in a codec that nothing here decodes: convert it to FLAC", path=name
                )
            context.thread_count = 1
            self.sample_rate = int(sample_rate or context.sample_rate)
            self.channels = int(context.channels)
            self.codec = f"{self._container.format.name} {context.name}"
            if self.sample_rate < 1 or self.channels < 1:  # not one frame was found
                problem = getattr(self._bounds, "problem", None)
                raise problem or UnreadableAudio(f"{name} holds no sound that can be decoded", path=name)
            # Without a layout FFmpeg keeps the channels as they are; fltp is planar float32.
            self._convert: Callable[[], Any] = lambda: av.AudioResampler(
                format="fltp", layout=context.layout, rate=self.sample_rate
            )
        except BaseException:
            self.close()
            raise

    @property
    def seconds(self) -> float | None:
        """Length the container states; None for what has no end, or does not say."""
        duration = self._container.duration
        return None if duration is None or duration <= 0 else duration / 1e6

    @property
    def sound_seconds(self) -> float | None:
        """Length that the container states of its sound, which may be shorter than its picture; None if it does not."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        stated = _seconds(str(self._stream.metadata.get("DURATION", "")))  # Matroska's
        if stated is not None:
            return stated
        return self.seconds if len(self._container.streams) == 1 else None

    @property
    def endless(self) -> bool:
        """Whether nothing tells where it ends: no length in seconds, nor (but for a playlist) in bytes."""
        return self.seconds is None and ("hls" in self.codec or not self._size)

    @property
    def _size(self) -> int:
        """Bytes in all; 0 where nobody knows."""
        size = self._container.size if self._transport is None else self._transport.size
        return max(0, int(size or 0))

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """(n, channels) float32 blocks to the end.

        Raises:
            av.FFmpegError: the stream broke off or stalled; what came before it has been given out.
        """
        resampler = self._convert()
        shape = None
        for frame in self._frames():
            if self._bounds is not None:
                self._bounds.soundless.heard()
            now = (frame.sample_rate, frame.layout.name, frame.format.name)
            if shape is not None and now != shape:
                resampler = self._convert()
            shape = now
            for piece in resampler.resample(frame):
                yield np.ascontiguousarray(piece.to_ndarray().T)

    def _frames(self) -> Iterator[Any]:
        try:
            for packet in self._container.demux():
                if packet.stream_index == self._stream.index:
                    yield from packet.decode()
                elif self._bounds is not None:
                    self._bounds.soundless.other(packet.size)
            if self._bounds is not None and self._bounds.problem is not None:
                raise self._bounds.problem
        except OSError as error:
            # Of a server that does not say how much it will send, FFmpeg takes the end for a failure.
            if error.errno != errno.EIO or not self._url.startswith("http") or self._size:
                raise
            yield from self._stream.codec_context.decode(None)

    def close(self) -> None:
        self._container.close()
        if self._bounds is not None:
            self._bounds.close()


def _seconds(text: str) -> float | None:
    """Seconds in "00:01:02.5"; None for any other text."""
    parts = text.split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds
