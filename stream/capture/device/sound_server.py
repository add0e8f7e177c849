"""The microphones that PulseAudio and PipeWire know by name, all of which PortAudio calls "pulse"."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_CLIENT = "stream-classify"
_ATTEMPTS = 2  # a server that is just opening a stream for somebody may refuse a question
_VARIABLE = "PULSE_SOURCE"  # read by libpulse whenever a stream is opened
_choosing = threading.Lock()


@dataclass(frozen=True, slots=True)
class ServerSource:
    """A source of the sound server.

    Attributes:
        name: the server's, which stays the same when it is plugged in again.
        description: for people.
        channels, sample_rate: its own.
        is_default: the server's default.
        is_monitor: what a loudspeaker plays, and no microphone.
        is_muted: nothing but zeros come from it.
        is_suspended: nothing comes from it. Usual while nobody records.
    """

    name: str
    description: str
    channels: int
    sample_rate: int
    is_default: bool
    is_monitor: bool
    is_muted: bool = False
    is_suspended: bool = False


def server_sources() -> tuple[ServerSource, ...]:
    """All sources, microphones first; () without a sound server or its library."""
    try:
        import pulsectl
    except (ImportError, OSError):  # it is not installed, or libpulse is not
        return ()
    for _ in range(_ATTEMPTS):
        try:
            return _asked(pulsectl)
        except (pulsectl.PulseError, OSError):  # there is no server, or it is busy
            continue
    return ()


def _asked(pulsectl: Any) -> tuple[ServerSource, ...]:
    with pulsectl.Pulse(_CLIENT) as server:
        default = server.server_info().default_source_name
        found = [
            ServerSource(
                source.name,
                source.description or source.name,
                source.channel_count,
                source.sample_spec.rate,
                source.name == default,
                source.monitor_of_sink_name is not None,
                bool(source.mute),
                source.state == "suspended",
            )
            for source in server.source_list()
        ]
    return tuple(sorted(found, key=lambda source: (source.is_monitor, source.description)))


@contextmanager
def recording_from(source: str) -> Iterator[None]:
    """What is opened within through PortAudio's "pulse" records from ``source``; "" = the server's default."""
    if not source:
        yield
        return
    with _choosing:
        before = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = source
        try:
            yield
        finally:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before
