"""Binary messages of a client as samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stream.capture.channels import Channel, as_float32, check_channel, pick_channel
from stream.capture.pyav import import_av, reason
from stream.errors import BackendMissing, UsageError
from stream.features.repair import MAX_MAGNITUDE, are_valid
from stream.server.socket.codes import StreamEnds

if TYPE_CHECKING:
    from stream.server.socket.client_messages import Hello

OPUS_RATE = 48_000
_OPUS_CHANNELS = 2
_DTYPES = {"s16le": "<i2", "f32le": "<f4"}


class SoundDecoder(Protocol):
    """Turns binary messages, in their order, into one channel.

    Attributes:
        clean: whether every sample is certainly a valid one.
    """

    clean: bool

    def decode(self, data: bytes, start: int = 0) -> NDArray[Any]:
        """(n,) float32 or, for a pool to convert, int16; read-only; n may be 0.

        Where the hello says what is ``missing``, invalid samples are passed on.

        Args:
            data: of one message.
            start: absolute index of its first sample, to be named in errors.

        Raises:
            StreamEnds: ``bad_sound``, or ``bad_sample``.
        """
        ...


def make_decoder(hello: Hello) -> SoundDecoder:
    """What decodes the sound that ``hello`` announces.

    Raises:
        StreamEnds: the format cannot be decoded here, or contradicts the rate or the channels.
    """
    try:
        check_channel(hello.channel, hello.channels, "the sound")
    except UsageError as error:
        raise StreamEnds("bad_channel", str(error)) from None
    if hello.format != "opus":
        return _Pcm(_DTYPES[hello.format], hello.channels, hello.channel, hello.missing is not None)
    if hello.rate != OPUS_RATE:
        raise StreamEnds("bad_rate", f"rate {hello.rate}: Opus is decoded to {OPUS_RATE} Hz; say that")
    if hello.channels > _OPUS_CHANNELS:
        raise StreamEnds("bad_channel", f"channels {hello.channels}: Opus packets have 1 or 2")
    return _Opus(hello.channels, hello.channel)


class _Pcm:
    def __init__(self, dtype: str, channels: int, channel: Channel, may_miss: bool) -> None:
        self._dtype = np.dtype(dtype)
        self._channels, self._channel = channels, channel
        self._frame = channels * self._dtype.itemsize
        self._checks = self._dtype.kind == "f" and not may_miss
        self.clean = self._dtype.kind == "i" or self._checks

    def decode(self, data: bytes, start: int = 0) -> NDArray[Any]:
        if len(data) % self._frame:
            size = self._dtype.itemsize
            each = f"{self._channels} channels of {size}" if self._channels > 1 else str(size)
            raise StreamEnds(
                "bad_sound", f"{len(data)} bytes: want a multiple of {self._frame}, {each} bytes a sample"
            )
        samples = np.frombuffer(data, self._dtype)
        if self._channels > 1:
            samples = as_float32(samples)
            # Two infinite samples may come, and their mean is no number.
            with np.errstate(invalid="ignore", over="ignore"):
                samples = pick_channel(samples.reshape(-1, self._channels), self._channel)
        if self._checks:
            _refuse_invalid(samples, start)
        return samples


def _refuse_invalid(samples: NDArray[np.float32], start: int) -> None:
    """End a stream whose client did not say that it may send (n,) float32 with samples that are no sound."""
    if are_valid(samples):
        return
    invalid = ~(np.abs(samples) <= MAX_MAGNITUDE)  # also NaN
    if invalid.any():
        at = int(invalid.argmax())
        raise StreamEnds(
            "bad_sample",
            f"sample {start + at} is {samples[at]:g}: want numbers within ±{MAX_MAGNITUDE:g}; where one stands for "
            'a missing sample, say "missing": "nan" in the hello',
        )


class _Opus:
    clean = False

    def __init__(self, channels: int, channel: Channel) -> None:
        try:
            self._av: Any = import_av("Opus")
            # FFmpeg's own decoder gives some packets other lengths than they say; this one never does.
            self._decoder = self._av.CodecContext.create("libopus", "r")
        except (BackendMissing, ValueError) as error:
            raise StreamEnds("format_unavailable", f"format opus: {error}") from None
        self._decoder.sample_rate = OPUS_RATE
        self._decoder.layout = "mono" if channels == 1 else "stereo"
        self._channel = channel

    def decode(self, data: bytes, start: int = 0) -> NDArray[np.float32]:
        if not data:
            return np.empty(0, np.float32)  # which would tell the decoder that the stream ends
        try:
            frames = self._decoder.decode(self._av.Packet(data))
        except (self._av.FFmpegError, ValueError) as error:
            raise StreamEnds("bad_sound", f"{len(data)} bytes are no Opus packet: {reason(error)}") from None
        parts = [self._mono(frame) for frame in frames]
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.float32), *parts])

    def _mono(self, frame: Any) -> NDArray[np.float32]:
        interleaved = as_float32(frame.to_ndarray())  # (1, n * channels)
        return pick_channel(interleaved.reshape(frame.samples, -1), self._channel)
