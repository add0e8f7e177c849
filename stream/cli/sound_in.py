"""Where sound comes from: the options, which several commands have."""

from __future__ import annotations

from typing import Any

import click

from stream.cli.deprecated import RenamedOption
from stream.cli.printing import print_devices
from stream.cli.values import LARGEST_BLOCK_SAMPLES, MAX_CHANNELS, SAMPLE_RATES

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
