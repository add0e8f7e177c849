"""Streams and files over the network (http, rtsp …) through PyAV: live ones are reconnected for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stream.capture.backoff import Backoff
from stream.capture.channels import DEFAULT_CHANNEL, Channel, check_channel, pick_channel
from stream.capture.network.mailbox import Mailbox
from stream.capture.network.url import for_ffmpeg, redacted
from stream.capture.pacing import Pacer
from stream.capture.pyav import AvDecoder, import_av, reason
from stream.capture.source import SourceBase, SourceReport
from stream.capture.timeline import Timeline
from stream.errors import SourceError
from stream.messages import Chunk, SourceInfo, SourceState

HEARTBEAT_SECONDS = 0.5
# No "file": a playlist from the network must not read the disk.
_PROTOCOLS = "http,https,httpproxy,tcp,tls,udp,rtp,srtp,rtsp,rtmp,rtmps,srt,crypto,data"


class NetworkSource(SourceBase):
    """The first audio stream behind an address.

    A *file* (its length is known) ends when it ends; should it break off, `report` says so. A *live*
    stream (no length, or not http) that ends, fails or stalls is opened again for ever with growing waits.
    Meanwhile empty chunks in state "recovering" come every 0.5 s, and when it is back ``start`` jumps by the
    time that passed on the clock.

    The first connection is made at once, so that a wrong address is an error and not a wait.

    Args:
        url: the address. User, password and query are never shown.
        channel: "mix" or a 1-based number.
        block: most samples a chunk; 0 gives what the decoder gives (about 20 ms).
        fast: read a file as fast as the consumer takes it; False paces it at real time.
        live: None decides by the rule above.
        open_timeout, read_timeout: seconds until no answer, or no more data, counts as a failure.
        queue_seconds: sound held for a late consumer. Then a file waits, a live stream drops its oldest (a
            gap).
        backoff: waits between attempts; None is 0.25 s growing to 10 s.
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
        block: int = 0,
        fast: bool = True,
        live: bool | None = None,
        open_timeout: float = 10.0,
        read_timeout: float = 10.0,
        queue_seconds: float = 30.0,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = redacted(url)
        self._truncated = ""
        self._url = for_ffmpeg(url)
        self._channel = channel
        self._block = block
        self._timeouts = (open_timeout, read_timeout)
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._closed = threading.Event()
        self._errors: tuple[type[BaseException], ...] = (
            import_av(self.name).FFmpegError,
            OSError,
            ValueError,
        )
        try:
            first = self._connect(None)
        except self._errors as error:
            raise SourceError(f"{self.name} cannot be opened: {self._why(error)}") from None
        try:
            check_channel(channel, first.channels, self.name)
            self._live = (not url.lower().startswith("http") or first.endless) if live is None else live
        except BaseException:
            first.close()
            raise
        self.sample_rate = first.sample_rate
        self._pacer = None if fast or self._live else Pacer(clock)
        seconds = None if self._live else first.seconds
        self._info = SourceInfo(
            self.name,
            self.sample_rate,
            first.channels,
            str(channel),
            live=self._live or not fast,
            duration=None if seconds is None else round(seconds * self.sample_rate),
            detail=first.codec,
        )
        self._mailbox = Mailbox(round(queue_seconds * self.sample_rate), drop_oldest=self._live)
        self._state: SourceState = "listening"
        self._first: AvDecoder | None = first
        self._reader = threading.Thread(target=self._read, args=(first,), name="network reader", daemon=True)

    def report(self) -> SourceReport:
        """Samples dropped because the consumer was late are gaps in the output too."""
        lost = self._mailbox.lost
        return SourceReport(lost=lost, dropped=lost, waiting=self._mailbox.held, truncated=self._truncated)

    def __iter__(self) -> Iterator[Chunk]:
        if self._first is not None and not self._closed.is_set():
            self._first = None
            self._reader.start()
        end = 0
        while not self._closed.is_set():
            chunk = self._mailbox.get(HEARTBEAT_SECONDS)
            if chunk is None:
                if self._mailbox.finished:
                    return
                yield Chunk(np.empty(0, np.float32), end, self.sample_rate, self._clock(), self._state)
                continue
            if self._pacer is not None and self._pacer.until(chunk.end / self.sample_rate) is None:
                return
            size = self._block or max(len(chunk.samples), 1)
            for at in range(0, max(len(chunk.samples), 1), size):
                samples = chunk.samples[at : at + size]
                yield Chunk(samples, chunk.start + at, self.sample_rate, chunk.captured_at, chunk.state)
            end = chunk.end

    def _read(self, decoder: AvDecoder | None) -> None:
        """The reading thread: decode, hand over, and connect again."""
        timeline = Timeline(self.sample_rate)
        try:
            while decoder is not None:
                problem = self._drain(decoder, timeline)
                if not self._live or self._closed.is_set():
                    self._truncated = f"{self.name}: {problem}" if problem else ""
                    break
                self._state = "recovering"
                self._mailbox.put(
                    Chunk(
                        np.empty(0, np.float32), timeline.end, self.sample_rate, self._clock(), "recovering"
                    )
                )
                decoder = self._reconnect()
        except BaseException as error:
            self._mailbox.end(error)  # whatever it was, the consumer must not wait for ever
        else:
            self._mailbox.end()

    def _drain(self, decoder: AvDecoder, timeline: Timeline) -> str:
        """Hand over one connection's sound; returns why it broke off, "" if it just ended."""
        try:
            for block in decoder.blocks():
                if self._closed.is_set():
                    break
                now = self._clock()
                timeline.place(len(block), now, reopened=self._state == "recovering")
                if self._state == "recovering":
                    self._state = "listening"
                    self._backoff.reset()
                start = timeline.end - len(block)
                self._mailbox.put(Chunk(pick_channel(block, self._channel), start, self.sample_rate, now))
        except self._errors as error:
            return f"broke off after {timeline.end / self.sample_rate:.2f} s ({self._why(error)})"
        finally:
            decoder.close()
        return ""

    def _reconnect(self) -> AvDecoder | None:
        """A new connection, however long it takes; None when closed meanwhile."""
        while not self._closed.wait(self._backoff.next()):
            try:
                decoder = self._connect(self.sample_rate)
                check_channel(self._channel, decoder.channels, self.name)
            except SourceError:
                continue
            except self._errors:
                continue
            return decoder
        return None

    def _connect(self, sample_rate: int | None) -> AvDecoder:
        options = {"protocol_whitelist": _PROTOCOLS}
        if self._url.startswith("rtsp"):
            # TCP passes firewalls and loses nothing; asking for audio alone spares the camera's video.
            options |= {"rtsp_transport": "tcp", "allowed_media_types": "audio"}
        return AvDecoder(
            self._url, options=options, timeout=self._timeouts, name=self.name, sample_rate=sample_rate
        )

    def _why(self, error: Any) -> str:
        text = reason(error)
        if "exit requested" in text.lower():  # FFmpeg's words for our timeout
            return f"no data within {self._timeouts[1]:g} s (or no answer within {self._timeouts[0]:g} s)"
        if text == "Input/output error":  # and for a host name that does not resolve
            return "the host is unknown or the connection broke"
        return text.replace(self._url, self.name)

    def info(self) -> SourceInfo:
        """`live` is True for a live stream and for a file at the pace of real time."""
        return self._info

    def close(self) -> None:
        """Stop; the reading thread ends with its current wait for data, which need not be waited for."""
        self._closed.set()
        if self._pacer is not None:
            self._pacer.close()
        self._mailbox.end()
        if self._first is not None:
            self._first.close()
            self._first = None
