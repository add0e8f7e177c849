"""SoundIn: where sound comes from, as options and settings files say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.capture.source import AudioSource


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundIn:
    """What the options say, by their long names.

    Raises:
        UsageError: more than one place to listen to, or a device without a name.
    """

    input: str | None
    device: str | None
    demo: bool
    sample_rate: int | None
    channel: str | None
    block_samples: int
    format: str | None
    insecure: bool
    channels: int
    fast: bool
    when_late: str

    def __post_init__(self) -> None:
        if sum(map(bool, (self.input, self.device, self.demo))) > 1:
            raise UsageError("--input, --device and --demo: each says what to listen to; give one of them")
        if self.device is not None and not self.device.strip():
            raise UsageError("--device '': want a number or part of a name; see --list-devices")

    def open(self, chunk_seconds: float | None = None) -> AudioSource:
        """The source that was asked for; ``chunk_seconds`` as `open_source` takes it."""
        from stream.capture.opening import open_source
        from stream.installation import asset

        text = str(asset("demo.ogg")) if self.demo else self.input or self.device
        return open_source(
            text,
            sample_rate=self.sample_rate,
            channel=self.channel,
            block_samples=self.block_samples,
            format=self.format,
            channels=self.channels,
            fast=self.fast,
            when_late=None if self.demo or self.input else self.when_late,  # a microphone's
            chunk_seconds=chunk_seconds,
            insecure=self.insecure,
        )
