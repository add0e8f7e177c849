"""Streams and files over the network (http, rtsp …) through PyAV: live ones are reconnected forever."""

from __future__ import annotations

import dataclasses
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from stream.capture.channels import DEFAULT_CHANNEL, Channel, check_channel
from stream.capture.live.live_source import LiveSource
from stream.capture.live.supervisor import Patience
from stream.capture.network.http import Transport, said
from stream.capture.network.url import for_ffmpeg, redacted
from stream.capture.pacing import Pacer
from stream.capture.pyav import AvDecoder, import_av, reason
from stream.capture.source import SourceReport
from stream.certificates import SECURE_SCHEMES, authorities_file, certificate_problem
from stream.errors import SourceError, StreamClassifyError
from stream.messages import Chunk, SourceInfo

_HEARTBEAT_SECONDS = 0.5
_LONGEST_CHUNK_SECONDS = 0.1
# A live stream may begin with some seconds at once. Beyond that, it cannot come faster than time passes.
_BURST_SECONDS = 10.0
_SAME_SECONDS = 0.5  # of the beginning, by which a file is known again
# No "file": a playlist from the network must not read the disk.
_PROTOCOLS = "http,https,httpproxy,tcp,tls,udp,rtp,srtp,rtsp,rtmp,rtmps,srt,crypto,data"


class NetworkSource(LiveSource):
    """The first audio stream behind an address.

    A *file* (its length is known, in bytes or in seconds) ends when it ends; should it break off, `report` says so. A
    *live* stream (no length, or not http) that ends, fails or stalls is opened again forever with growing waits.
    Meanwhile empty chunks in state "recovering", with the reason, come every 0.5 s, and when it is back ``start`` jumps
    by the time that passed on the clock. With sound, a chunk's state is "listening", or "silent" where the sound is a
    flat line.

    What seems live and was a file ends too: it came faster than time passes, or begins with the same sound again.

    The first connection is made at once, so that a wrong address is an error and not a wait. If it brings no sound at
    all, iterating raises `SourceError`.

    Args:
        url: the address. User, password and query are never shown.
        channel: "mix" or a 1-based number.
        block_samples: most samples a chunk; 0 gives what has arrived, 0.1 s at most.
        fast: read a file as fast as the consumer takes it; False paces it at real time.
        live: None decides by the rule above.
        open_timeout, read_timeout: seconds until no answer, or no more data, counts as a failure.
        buffer_seconds: sound held for a late consumer. Then a file waits, a live stream drops its oldest (a
            gap).
        verify: refuse a server whose certificate is not valid for its name (https, rtsps, rtmps). False also sends user
            and password to whoever answers.
        patience: of a live stream: how long to wait between attempts, by default 0.25 s growing to 10 s, and how long
            a flat line must last to be called "silent". `Patience.stalled` and ``dead`` are the timeouts' business.
        clock: seconds, monotonic.

    Raises:
        BackendMissing: PyAV is not installed.
        SourceError: the first connection fails, or brings no sound.
        UsageError: an unknown scheme, or a channel that is not there.
    """

    def __init__(
        self,
        url: str,
        *,
        channel: Channel = DEFAULT_CHANNEL,
        block_samples: int = 0,
        fast: bool = True,
        live: bool | None = None,
        open_timeout: float = 10.0,
        read_timeout: float = 10.0,
        buffer_seconds: float = 30.0,
        verify: bool = True,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = redacted(url)
        self._truncated = ""
        self._url = for_ffmpeg(url)
        self._channel = channel
        self._timeouts = (open_timeout, read_timeout)
        self._secure = self._url.startswith(SECURE_SCHEMES)
        self._tls = _tls_options(self.name, verify)
        self._errors: tuple[type[BaseException], ...] = (
            import_av(self.name).FFmpegError,
            OSError,
            ValueError,
        )
        self._may_be_a_file = url.lower().startswith("http")  # a camera may send the same sound again
        try:
            first = self._connect(None)
        except self._errors as error:
            raise SourceError(f"{self.name} cannot be opened: {self._why(error)}") from None
        try:
            check_channel(channel, first.channels, self.name)
            self._live = (not self._may_be_a_file or first.endless) if live is None else live
        except BaseException:
            first.close()
            raise
        rate = first.sample_rate
        self._buffer_samples = max(1, round(buffer_seconds * rate))
        super().__init__(
            sample_rate=rate,
            channel=channel,
            buffer_samples=self._buffer_samples,
            when_late="drop-oldest" if self._live else "wait",
            chunk_samples=1 if self._live else block_samples or 1,
            longest_chunk_samples=block_samples or max(1, round(_LONGEST_CHUNK_SECONDS * rate)),
            heartbeat_seconds=_HEARTBEAT_SECONDS,
            # Streams come in bursts, seconds apart; the decoder's timeout tells when one has stalled.
            patience=_without_stalls(
                patience or Patience(first_retry=0.25, brisk_retry=10.0, longest_retry=10.0)
            ),
            clock=clock,
        )
        self._pacer = None if fast or self._live else Pacer(clock)
        seconds = None if self._live else first.seconds
        self._info = SourceInfo(
            self.name,
            rate,
            first.channels,
            str(channel),
            live=self._live or not fast,
            duration=None if seconds is None else round(seconds * rate),
            detail=first.codec + (", certificate not checked" if self._secure and not verify else ""),
        )
        self._first: AvDecoder | None = first
        self._stopping = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(first,), name="network reader", daemon=True)

    def report(self) -> SourceReport:
        """Samples dropped because the consumer was late are gaps in the output too."""
        return dataclasses.replace(super().report(), truncated=self._truncated)

    def info(self) -> SourceInfo:
        """`live` is True for a live stream and for a file at the pace of real time."""
        return self._info

    def close(self) -> None:
        """Stop; the reading thread ends with its current wait for data, which need not be waited for."""
        super().close()
        if self._pacer is not None:
            self._pacer.close()
        if self._first is not None:
            self._first.close()
            self._first = None

    def _open(self) -> bool:
        if self._first is not None and not self._closed:
            self._first = None
            self._reader.start()
        return False

    def _ask_to_stop(self) -> None:
        self._stopping.set()

    def _next(self) -> Chunk | None:
        chunk = super()._next()
        if chunk is None or self._live:
            return chunk
        if self._pacer is None:
            return replace(chunk, captured_at=None)
        due = self._pacer.until(chunk.end / self.sample_rate)
        return None if due is None else replace(chunk, captured_at=due)

    def _read(self, decoder: AvDecoder | None) -> None:
        """The reading thread: decode, hand over, and connect again."""
        opening = np.empty((0, 1), np.float32)  # of a connection that ended cleanly
        try:
            while decoder is not None:
                self._receiver.opening()
                self._receiver.opened()
                visit = _Visit(decoder)
                again = self._may_be_a_file and visit.begins_with(opening)
                problem = "" if again else self._drain(visit)
                decoder.close()
                if self._stopping.is_set():
                    break
                if not self._receiver.end:
                    raise SourceError(
                        f"{self.name} brought no sound: {self._no_sound(decoder) or problem or 'it ended at once'}"
                    )
                if not self._live or (self._may_be_a_file and not problem and visit.was_a_file(opening)):
                    self._truncated = f"{self.name}: {problem}" if problem else ""
                    break
                opening = opening[:0] if problem else visit.opening
                self._receiver.lost(problem or "the stream ended")
                decoder = self._reconnect()
        except BaseException as error:
            self._thread_ended(error)  # whatever it was, the consumer must not wait forever
        else:
            self._thread_ended()

    def _drain(self, visit: _Visit) -> str:
        """Hand over one connection's sound; returns why it broke off, "" if it just ended."""
        try:
            for block in visit.blocks():
                # A file that seems live must not be dropped; a live stream is never so far ahead.
                while (
                    self._live
                    and visit.ahead_seconds > _BURST_SECONDS
                    and self._ring.waiting > self._buffer_samples // 2
                    and not self._stopping.wait(0.02)
                ):
                    pass
                if self._stopping.is_set():
                    break
                self._receiver.receive(block)
        except self._errors as error:
            return f"broke off after {self._receiver.end / self.sample_rate:.2f} s ({self._why(error)})"
        finally:
            visit.decoder.close()
        return ""

    def _no_sound(self, decoder: AvDecoder) -> str:
        if decoder.codec.startswith("mov"):
            return (
                "its index comes after the sound, and the server gives it only from the beginning; "
                "download it first, or write it with 'ffmpeg -i FILE -c copy -movflags +faststart'"
            )
        return ""

    def _reconnect(self) -> AvDecoder | None:
        """A new connection, however long it takes; None when closed meanwhile."""
        while not self._stopping.wait(self._receiver.retry_in()):
            decoder = None
            try:
                decoder = self._connect(self.sample_rate)
                check_channel(self._channel, decoder.channels, self.name)
                return decoder
            except StreamClassifyError as error:
                if decoder is not None:
                    decoder.close()
                self._receiver.lost(str(error))
            except self._errors as error:
                self._receiver.lost(f"cannot be opened again: {self._why(error)}")
        return None

    def _connect(self, sample_rate: int | None) -> AvDecoder:
        options = {"protocol_whitelist": _PROTOCOLS, **self._tls}
        if self._url.startswith("rtsp"):
            # TCP passes firewalls and loses nothing; asking for audio alone spares the camera's video.
            options |= {"rtsp_transport": "tcp", "allowed_media_types": "audio"}
        asked: dict[str, Any] = {"timeout": self._timeouts, "name": self.name, "sample_rate": sample_rate}
        if not self._may_be_a_file:
            return AvDecoder(self._url, options=options, **asked)
        transport = Transport(self._url, min(self._timeouts), verify=self._tls["tls_verify"] == "1")
        try:
            # The HLS reader must not keep FFmpeg's own connections.
            return AvDecoder(
                self._url, options=options | {"http_persistent": "0"}, transport=transport, **asked
            )
        except HTTPException as error:
            raise OSError(f"the server does not speak HTTP: {error!r}") from None

    def _why(self, error: Any) -> str:
        if answer := said(error):
            return answer
        error = getattr(error, "reason", error)  # urllib's wrapping
        if isinstance(error, ssl.SSLCertVerificationError):
            untrusted = error.verify_message.rstrip(".")
            return (
                f"the server's certificate is not valid ({untrusted}); --insecure listens to it all the same"
            )
        text = reason(error)
        if (
            isinstance(error, TimeoutError) or "exit requested" in text.lower()
        ):  # FFmpeg's words for our timeout
            return f"no data within {self._timeouts[1]:g} s (or no answer within {self._timeouts[0]:g} s)"
        if self._secure and self._tls["tls_verify"] == "1":
            untrusted = certificate_problem(self._url, self._timeouts[0])
            if untrusted:
                return f"the server's certificate is not valid ({untrusted}); --insecure listens to it all the same"
        if text == "Input/output error" or isinstance(error, socket.gaierror):
            return "the host is unknown or the connection broke"
        return text.replace(self._url, self.name)


class _Visit:
    """One connection, and how its sound came.

    Attributes:
        decoder: what reads it.
        opening: (n, channels) float32, the beginning of its sound.
    """

    def __init__(self, decoder: AvDecoder) -> None:
        self.decoder = decoder
        self.opening = np.empty((0, decoder.channels), np.float32)
        self._blocks = decoder.blocks()
        self._held: list[NDArray[np.float32]] = []
        self._heard = 0
        self._waited = 0.0  # seconds, for the network and the decoder
        self._began = time.monotonic()

    @property
    def ahead_seconds(self) -> float:
        """How much more sound has come than time has passed."""
        return self._heard / self.decoder.sample_rate - (time.monotonic() - self._began)

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """(n, channels) float32, all of them."""
        while (block := self._held.pop(0) if self._held else self._next()) is not None:
            yield block

    def begins_with(self, opening: NDArray[np.float32]) -> bool:
        """Whether it is the recording again that began with ``opening``; a flat line is no recording."""
        if not len(opening) or (opening == opening[0]).all():
            return False
        with suppress(Exception):  # `blocks` will meet it again
            while len(self.opening) < len(opening) and (block := self._next()) is not None:
                self._held.append(block)
        return np.array_equal(self.opening[: len(opening)], opening)

    def was_a_file(self, earlier: NDArray[np.float32]) -> bool:
        """Of a connection that ended cleanly: whether there will be nothing new."""
        seconds = self._heard / self.decoder.sample_rate
        return seconds > _BURST_SECONDS + 2 * self._waited or self.begins_with(earlier)

    def _next(self) -> NDArray[np.float32] | None:
        asked = time.monotonic()
        block = next(self._blocks, None)
        self._waited += time.monotonic() - asked
        if block is not None:
            self._heard += len(block)
            missing = round(_SAME_SECONDS * self.decoder.sample_rate) - len(self.opening)
            if missing > 0:
                self.opening = np.concatenate([self.opening, block[:missing]])
        return block


def _tls_options(name: str, verify: bool) -> dict[str, str]:
    """FFmpeg's, for all that is encrypted on the way; what is not encrypted does not read them."""
    if not verify:
        return {"tls_verify": "0"}
    file = authorities_file()
    if file is None and name.startswith(SECURE_SCHEMES):
        raise SourceError(
            f"{name}: no list of trusted certificates is here to check the server with; run "
            "`python -m pip install certifi`"
        )
    return {"tls_verify": "1"} | ({} if file is None else {"ca_file": file})


def _without_stalls(patience: Patience) -> Patience:
    return dataclasses.replace(patience, stalled=float("inf"), dead=float("inf"), flat_reopen=None)
