"""Where sound comes from: the options, which several commands have, and the source that they ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from stream.cli.deprecated import RenamedOption
from stream.cli.printing import print_devices
from stream.cli.values import LARGEST_BLOCK_SAMPLES, MAX_CHANNELS, SAMPLE_RATES
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.capture.source import AudioSource

SOUND_IN: tuple[Any, ...] = (
    click.option(
        "-i",
        "--input",
        "input_",
        metavar="SOURCE",
        type=click.Path(),
        help="Audio file, URL, - for raw PCM on standard input, or sim:… (a simulated microphone). "
        "Default: a microphone.",
    ),
    click.option(
        "-d",
        "--device",
        metavar="ID|NAME",
        help="Microphone: its number, or part of its name. Default: the system's input.",
    ),
    click.option("--demo", is_flag=True, help="Listen to the bundled recording."),
    click.option(
        "-l",
        "--list-devices",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=print_devices,
        help="List microphones and exit.",
    ),
    click.option(
        "-r",
        "--sample-rate",
        cls=RenamedOption,
        was="--samplerate",
        type=click.IntRange(*SAMPLE_RATES),
        metavar="HZ",
        help="Rate at which to open the microphone, or of raw PCM. Default: one that the device supports.",
    ),
    click.option(
        "-c",
        "--channel",
        metavar="N|mix",
        help="Channel to listen to, from 1, or mix for the mean of all. "
        "Default: 1 of a microphone, mix of a file.",
    ),
    click.option(
        "-b",
        "--block-samples",
        cls=RenamedOption,
        was="--blocksize",
        type=click.IntRange(0, LARGEST_BLOCK_SAMPLES),
        default=0,
        metavar="N",
        help="Samples that are read at a time; 0 leaves it to the source.",
    ),
    click.option(
        "--format",
        "format_",
        type=click.Choice(["s16le", "f32le"]),
        help="Samples of raw PCM, 16-bit integers or 32-bit floats, even if it looks like a file. Default: s16le.",
    ),
    click.option(
        "--channels",
        type=click.IntRange(1, MAX_CHANNELS),
        default=1,
        show_default=True,
        metavar="N",
        help="Interleaved channels of raw PCM.",
    ),
    click.option(
        "--insecure",
        is_flag=True,
        help="Listen to https servers without a valid certificate; anybody may be behind them.",
    ),
    click.option("--fast", is_flag=True, help="Read a recording as fast as possible, not in real time."),
    click.option(
        "--when-late",
        type=click.Choice(["drop-oldest", "skip-to-now"]),
        default="drop-oldest",
        show_default=True,
        help="Which sound to give up when classifying falls behind the microphone.",
    ),
)


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
        from stream.cli.quiet import quieten_portaudio
        from stream.installation import asset

        quieten_portaudio()
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
