"""The root command: listen, with the options of that; the other commands hang below it."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from stream.cli.commands import CommandGroup
from stream.cli.completion import complete_model
from stream.cli.detection import detection_options
from stream.cli.help import section
from stream.cli.outputs import output_options
from stream.cli.printing import print_version
from stream.cli.sound_in import SOUND_IN
from stream.cli.values import (
    LONGEST_SECONDS,
    Number,
)

EPILOG = """\b
Examples:
  stream-classify                       the default microphone
  stream-classify --device 2            input device 2 (see --list-devices)
  stream-classify --device "usb mic"    a device by part of its name
  stream-classify --demo                the bundled recording
  stream-classify --input talk.flac --fast --jsonl events.jsonl
  stream-classify --threshold speech=0.8 --min-on 0.5
  stream-classify --group sound=speech,music --loud -20dBFS
  stream-classify --input 'sim:tone?unplug@3s&for=2s'
  parec --raw --rate=44100 --channels=2 |
    stream-classify --input - --sample-rate 44100 --channels 2 --jsonl

More: stream-classify COMMAND --help; stream-classify completion --help to complete all of this in your shell.
"""


@click.group(
    cls=CommandGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@section(
    "Sound in",
    *SOUND_IN,
    click.option(
        "--repair",
        type=click.Choice(["interpolate", "hold", "mean"]),
        default="interpolate",
        show_default=True,
        help="How to fill short runs of invalid samples (NaN).",
    ),
)
@section(
    "Model",
    click.option(
        "-m",
        "--model",
        default="default",
        show_default=True,
        metavar="FILE",
        shell_complete=complete_model,
        help="ONNX file, or the name of a bundled model: default, small, alarms.",
    ),
    click.option(
        "--provider",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where the model runs.",
    ),
    click.option(
        "--max-gap",
        type=Number(0, LONGEST_SECONDS),
        metavar="S",
        help="Longest gap in the sound, in seconds, over which events go on and the model keeps its state.  "
        "[default: 1]",
    ),
    click.option(
        "--reset-after",
        type=Number(0, LONGEST_SECONDS, min_open=True),
        metavar="S",
        help="Start again from the initial state every S seconds. Default: never.",
    ),
)
@detection_options
@section(
    "Output",
    click.option(
        "--jsonl",
        is_flag=False,
        flag_value="-",
        metavar="[FILE]",
        type=click.Path(),
        help="Write one JSON object for each event, to FILE or standard output. "
        "Default where standard output is no terminal.",
    ),
    click.option("--scores", is_flag=True, help="JSON lines: also one object for each hop."),
    click.option("--onsets", is_flag=True, help="JSON lines: also one object when an event begins."),
    click.option(
        "--heard",
        type=click.Path(file_okay=False),
        default="heard",
        show_default=True,
        metavar="DIR",
        help="Where the dashboard's keys keep sounds: t what was just heard, n an event that was wrong.",
    ),
    click.option(
        "--screenshot",
        type=click.Path(dir_okay=False),
        metavar="FILE.svg",
        help="Save the last picture of the dashboard.",
    ),
    click.option(
        "--web",
        is_flag=False,
        flag_value="8765",
        metavar="[PORT]",
        type=click.IntRange(0, 65535),
        help="Also show everything on a page in the browser, for this machine alone, at port 8765 or PORT; 0 takes a "
        "free one.",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Say more on standard error."),
)
@output_options
@section(
    "Privacy",
    click.option(
        "--no-audio",
        is_flag=True,
        help="Never write or send sound. Outputs that would are refused, and so are the keys that keep a sound.",
    ),
    click.option(
        "--no-speech",
        is_flag=True,
        help="Silence speech in all sound that is written or sent. A second model listens for it, and sound is held "
        "back for about a second until it has decided.",
    ),
)
@section(
    "Settings",
    click.option(
        "--settings",
        type=click.Path(dir_okay=False),
        metavar="FILE.toml",
        help="Read options from a file; those on the command line win. See stream-classify settings --help.",
    ),
)
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Print the version and exit.",
)
@click.pass_context
def app(ctx: click.Context, /, **options: Any) -> None:
    """Classify sound as it arrives, and show what is heard.

    Sound from a microphone, file or stream passes frame by frame through a recurrent network that keeps its state;
    probabilities and events are shown as they arise: on a terminal as a dashboard (q or Ctrl-C ends it), elsewhere as
    JSON lines on standard output.
    """
    given = {
        str(parameter.name): parameter.opts[-1]
        for parameter in ctx.command.params
        if ctx.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    }
    if ctx.invoked_subcommand is not None:
        for option in given.values():
            raise click.UsageError(
                f"{option} is an option of listening: {ctx.invoked_subcommand} does not know it; "
                f"leave it out, or see {ctx.invoked_subcommand} --help for its own",
                ctx,
            )
        return
    from stream.cli.live import listen
    from stream.cli.resolving import resolve

    listen(resolve(ctx, options).options)
