"""open_source: the one door to every source, from the text a person would type."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import unquote

from stream.capture.channels import DEFAULT_CHANNEL, parse_channel
from stream.capture.suffixes import looks_like_path
from stream.errors import SpecError, UsageError

if TYPE_CHECKING:
    from stream.capture.source import AudioSource

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def open_source(
    text: str | int | None = None,
    *,
    sample_rate: int | None = None,
    channel: int | str | None = None,
    block_samples: int = 0,
    format: str | None = None,
    channels: int = 1,
    fast: bool = False,
    when_late: str | None = None,
    chunk_seconds: float | None = None,
    insecure: bool = False,
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
        sample_rate: Hz; needed for standard input, a wish for microphones. Files, URLs and ``sim:`` know
            theirs, so it is refused for them: `StreamClassifier` resamples.
        channel: "mix" or a 1-based number. None is the default of the kind: see `stream.capture.channels`.
        block_samples: samples a chunk; 0 leaves it to the source.
        format: of raw PCM: "s16le" or "f32le"; None is "s16le" for what does not look like a file.
        channels: of raw PCM, interleaved.
        fast: read recordings as fast as they can be consumed, not at the pace of real time.
        when_late: a microphone's policy when the consumer is late; None is its default.
        insecure: listen to servers whose certificate is not valid for their name, too.
        chunk_seconds: of sound that a microphone waits for before it gives a chunk; None is its default.

    Raises:
        UsageError: a scheme, channel or combination that makes no sense, or an argument that does not apply to
            what ``text`` means.
        SpecError: a ``sim:`` text that cannot be read.
        SourceError: the sound cannot be had (`UnreadableAudio`, `DeviceError` …).
    """
    chosen = None if channel is None else parse_channel(channel)
    recorded = DEFAULT_CHANNEL if chosen is None else chosen
    text = "" if text is None else str(text).strip()
    if block_samples < 0:
        raise UsageError(
            f"block size {block_samples} is negative: use a number of samples, or 0 to leave it open"
        )
    raw = {"sample_rate": sample_rate, "format": format, "channels": None if channels == 1 else channels}
    if text == "-":
        _refuse("standard input", {"when_late": when_late})
        from stream.capture.stdin import StdinSource

        return StdinSource(
            sample_rate=sample_rate,
            channels=channels,
            channel=recorded,
            format=format,
            block_samples=block_samples,
        )
    if text.startswith("sim:"):
        _refuse("sim:", {**raw, "when_late": when_late})
        from stream.capture.simulate import SimulatedSource

        return SimulatedSource(text, channel=recorded, block_samples=block_samples, fast=fast)
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() != "file":
        _refuse("a URL", {**raw, "when_late": when_late})
        from stream.capture.network.network_source import NetworkSource

        return NetworkSource(
            text, channel=recorded, block_samples=block_samples, fast=fast, verify=not insecure
        )
    path = _file_meant(unquote(text[len("file://") :]) if scheme else text, certain=scheme is not None)
    if path is not None:
        _refuse("a file", {**raw, "when_late": when_late})
        from stream.capture.files import FileSource

        return FileSource(path, channel=recorded, block_samples=block_samples, fast=fast)
    _refuse("a microphone", {"format": format, "channels": raw["channels"]})
    from stream.capture.device.microphone import Microphone
    from stream.capture.live.ring import WhenLate

    if when_late is not None and when_late not in get_args(WhenLate):
        raise SpecError(f"when_late {when_late!r}: must be one of {', '.join(get_args(WhenLate))}")

    device: int | str | None = int(text) if re.fullmatch(r"\d+", text) else text or None
    wishes: dict[str, Any] = {"when_late": when_late, "chunk_seconds": chunk_seconds}
    return Microphone(
        device,
        sample_rate=sample_rate,
        channel=1 if chosen is None else chosen,
        block_samples=block_samples,
        **{name: wish for name, wish in wishes.items() if wish is not None},
    )


def _refuse(kind: str, given: dict[str, Any]) -> None:
    """UsageError for what was given and means nothing to this kind of source."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{name}={value!r} does not apply to {kind}; leave it out")


def _file_meant(text: str, certain: bool) -> Path | None:
    """The path ``text`` stands for; None where it names a microphone."""
    if certain or looks_like_path(text):
        return Path(text)
    if not text or text.isdigit():
        return None
    return Path(text) if os.path.exists(text) and not os.path.isdir(text) else None
