"""open_source: the one door to every source, from the text a person would type."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from stream.capture.channels import DEFAULT_CHANNEL, parse_channel
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.capture.source import AudioSource

AUDIO_SUFFIXES = frozenset(
    [
        ".wav",
        ".wave",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".aifc",
        ".au",
        ".snd",
        ".caf",
        ".w64",
        ".rf64",
        ".m4a",
        ".mp4",
        ".aac",
        ".wma",
        ".webm",
        ".mka",
        ".mkv",
        ".amr",
        ".raw",
        ".pcm",
    ]
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def looks_like_path(text: str) -> bool:
    """Whether ``text`` means a file even if there is none: it has a folder separator or an audio suffix."""
    return "/" in text or "\\" in text or Path(text).suffix.lower() in AUDIO_SUFFIXES


def open_source(
    text: str | int | None = None,
    *,
    samplerate: int | None = None,
    channel: int | str | None = None,
    blocksize: int = 0,
    format: str = "s16le",
    channels: int = 1,
    fast: bool = False,
    when_late: str | None = None,
    chunk: float | None = None,
) -> AudioSource:
    """The source that ``text`` means.

    ===============================  =====================================================================
    None, "", "2", "usb mic"         a microphone: the default one, by number, or by part of its name
    "talk.flac", "./2"               a file
    "-"                              raw PCM on standard input
    "http://…", "rtsp://…", …        a network stream (``file://`` is a file)
    "sim:FILE?unplug@10s&for=3s"     the scripted microphone (see `stream.capture.scenario`)
    ===============================  =====================================================================

    Args:
        text: what to listen to.
        samplerate: Hz; needed for standard input, a wish for microphones. Files, URLs and ``sim:`` know
            theirs, so it does not apply to them: the classifier resamples them.
        channel: "mix" or a 1-based number. None is the default of the kind: see `stream.capture.channels`.
        blocksize: samples a chunk; 0 leaves it to the source.
        format, channels: of raw PCM: "s16le" or "f32le", and how many channels are interleaved.
        fast: read recordings as fast as they can be consumed, not at the pace of real time.
        when_late: a microphone's policy when the consumer is late; None is its default.
        chunk: seconds of sound a microphone waits for before it gives a chunk; None is its default.

    Raises:
        UsageError: a scheme, channel or combination that makes no sense.
        SpecError: a ``sim:`` text that cannot be read.
        SourceError: the sound cannot be had (`UnreadableAudio`, `DeviceError` …).
    """
    chosen = None if channel is None else parse_channel(channel)
    recorded = DEFAULT_CHANNEL if chosen is None else chosen
    text = "" if text is None else str(text).strip()
    if blocksize < 0:
        raise UsageError(
            f"block size {blocksize} is negative: use a number of samples, or 0 to leave it open"
        )
    if text == "-":
        from stream.capture.stdin import StdinSource

        return StdinSource(
            sample_rate=samplerate, channels=channels, channel=recorded, format=format, block=blocksize
        )
    if text.startswith("sim:"):
        from stream.capture.simulate import SimulatedSource

        return SimulatedSource(text, channel=recorded, block=blocksize, fast=fast)
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() != "file":
        from stream.capture.network.source import NetworkSource

        return NetworkSource(text, channel=recorded, block=blocksize, fast=fast)
    path = _file_meant(unquote(text[len("file://") :]) if scheme else text, certain=scheme is not None)
    if path is not None:
        from stream.capture.files import FileSource

        return FileSource(path, channel=recorded, block=blocksize, fast=fast)
    from stream.capture.device.microphone import Microphone

    device: int | str | None = int(text) if re.fullmatch(r"\d+", text) else text or None
    wishes: dict[str, Any] = {"when_late": when_late, "chunk": chunk}
    return Microphone(
        device,
        samplerate=samplerate,
        channel=1 if chosen is None else chosen,
        blocksize=blocksize,
        **{name: wish for name, wish in wishes.items() if wish is not None},
    )


def _file_meant(text: str, certain: bool) -> Path | None:
    """The path ``text`` stands for; None where it names a microphone."""
    if certain or looks_like_path(text):
        return Path(text)
    if not text or text.isdigit():
        return None
    return Path(text) if os.path.exists(text) and not os.path.isdir(text) else None
