"""The command tree: live listening at the root, everything else a sub-command imported when it is called."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from stream._version import __version__

# name -> (home, attribute, one line for --help, needs the export extra)
_COMMANDS: dict[str, tuple[str, str, str, bool]] = {
    "train": ("export.cli.train", "train", "Train a classifier on a folder of recordings.", True),
    "export": (
        "export.cli.export",
        "export",
        "Turn a checkpoint or an offline ONNX into a proven streaming ONNX.",
        True,
    ),
    "evaluate": (
        "export.cli.evaluate",
        "evaluate",
        "Measure a model on labelled recordings, as it hears them live.",
        True,
    ),
    "verify": (
        "stream.cli.verify",
        "verify",
        "Prove that a model file works here as it did when it was exported.",
        False,
    ),
    "inspect": ("stream.cli.inspect", "inspect", "Print what a model file says about itself.", False),
    "bench": ("stream.cli.bench", "bench", "Measure what a hop costs on this machine.", False),
    "soak": (
        "stream.cli.soak",
        "soak",
        "Push hours of sound through and certify that nothing drifts.",
        False,
    ),
}


class LazyGroup(click.Group):
    """Lists commands without importing them; says what to install where something is missing."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of our output left (`| head`), which is no failure, as it is to click: stop quietly, and
            # keep Python from flushing into the pipe at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            ctx.exit(0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        home, attribute, _, extra = _COMMANDS[cmd_name]
        try:
            command: click.Command = getattr(import_module(home), attribute)
        except ModuleNotFoundError as error:
            if not extra or (error.name or "").split(".")[0] in {"stream", "export"}:
                raise
            raise click.ClickException(
                f"{cmd_name} needs {error.name}, which is not installed; pip install 'stream-classify[export]'"
            ) from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry[2]) for name, entry in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            if Path(args[0]).exists() or Path(args[0]).suffix or "://" in args[0]:
                raise click.UsageError(
                    f"to listen to {args[0]} say: stream-classify --input {args[0]}"
                ) from None
            raise


EPILOG = """\b
Examples:
  stream-classify                              the default microphone
  stream-classify --device 2                   input device number 2 (see --list-devices)
  stream-classify --device "usb mic"           a device by part of its name
  stream-classify --demo                       the bundled recording
  stream-classify --input talk.flac --fast --jsonl events.jsonl
  parec --raw | stream-classify --input - --samplerate 44100 --channels 2 --jsonl
  stream-classify --input 'sim:tone?unplug@3s&for=2s'
"""


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        click.echo(f"stream-classify {__version__}")
        ctx.exit()


def _list_devices(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from stream.cli.devices import print_devices

        print_devices()
        ctx.exit()


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.option(
    "-i",
    "--input",
    "input_",
    metavar="SOURCE",
    help="Audio file, URL, - for raw PCM on stdin, or sim:… (a scripted microphone). Default: a microphone.",
)
@click.option(
    "-d",
    "--device",
    metavar="ID|NAME",
    help="Microphone: number, or part of its name. Default: the system's input.",
)
@click.option("--demo", is_flag=True, help="Classify the bundled recording.")
@click.option(
    "-l",
    "--list-devices",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_devices,
    help="List microphones and exit.",
)
@click.option(
    "-r",
    "--samplerate",
    type=click.IntRange(1),
    metavar="HZ",
    help="Rate to open the microphone at, or of raw PCM. Default: one the device supports.",
)
@click.option(
    "-c",
    "--channel",
    metavar="N|mix",
    help="Channel, from 1, or mix. Default: 1 of a microphone, mix of a file.",
)
@click.option(
    "-b",
    "--blocksize",
    type=click.IntRange(0),
    default=0,
    metavar="SAMPLES",
    help="Samples per block; 0 leaves it to the source.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["s16le", "f32le"]),
    help="Of raw PCM on stdin, even if it looks like a file. Default: s16le.",
)
@click.option(
    "--insecure",
    is_flag=True,
    help="Listen to https servers without a valid certificate; anybody may be behind them.",
)
@click.option(
    "--channels",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Interleaved channels of raw PCM on stdin.",
)
@click.option("--fast", is_flag=True, help="Read a recording as fast as possible, not at real-time pace.")
@click.option(
    "--when-late",
    type=click.Choice(["drop-oldest", "skip-to-now"]),
    default="drop-oldest",
    show_default=True,
    help="What to give up when classifying falls behind the microphone.",
)
@click.option(
    "-m",
    "--model",
    default="default",
    show_default=True,
    metavar="FILE",
    help="ONNX file, or a bundled model: default, small.",
)
@click.option(
    "--provider",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where the model runs.",
)
@click.option(
    "--threshold",
    multiple=True,
    metavar="[LABEL=]P",
    help="Probability at which a class begins. Repeatable. Default: the model's own.",
)
@click.option(
    "--confirm",
    multiple=True,
    metavar="[LABEL=]P",
    help="Probability it must reach before it is reported; --threshold alone means no more than that.",
)
@click.option(
    "--min-on", multiple=True, metavar="[LABEL=]S", help="Seconds a class must last to be reported."
)
@click.option("--min-off", multiple=True, metavar="[LABEL=]S", help="Seconds of absence that end an event.")
@click.option(
    "--refractory",
    multiple=True,
    metavar="[LABEL=]S",
    help="Seconds after an event before the next may begin.",
)
@click.option(
    "--smoothing", multiple=True, metavar="[LABEL=]S", help="Seconds of moving average over probabilities."
)
@click.option(
    "--repair",
    type=click.Choice(["interpolate", "hold", "mean"]),
    default="interpolate",
    show_default=True,
    help="How short runs of missing (NaN) samples are filled.",
)
@click.option(
    "--max-gap",
    type=click.FloatRange(0),
    metavar="S",
    help="Longest gap over which the model's state is kept.  [default: 1]",
)
@click.option(
    "--reset-after",
    type=click.FloatRange(0, min_open=True),
    metavar="S",
    help="Start from a fresh state every S seconds. Default: never.",
)
@click.option(
    "--jsonl",
    is_flag=False,
    flag_value="-",
    metavar="[PATH]",
    help="One JSON object per event, to PATH or stdout. Default where stdout is no terminal.",
)
@click.option("--scores", is_flag=True, help="With JSON lines: also one object per hop.")
@click.option("--onsets", is_flag=True, help="With JSON lines: also one object when an event begins.")
@click.option(
    "--screenshot",
    type=click.Path(dir_okay=False),
    metavar="FILE.svg",
    help="Save the last picture of the dashboard.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.pass_context
def app(ctx: click.Context, /, **options: Any) -> None:
    """Listen, and show live what is heard.

    Sound from a microphone, file or stream goes frame by frame through a recurrent network whose state is
    carried forward; probabilities and events appear as they are decided. On a terminal this is a dashboard
    (q or Ctrl-C ends it); elsewhere JSON lines on stdout.
    """
    if ctx.invoked_subcommand is None:
        from stream.cli.live import Options, listen

        options["input"] = options.pop("input_")
        options["format"] = options.pop("format_")
        listen(Options(**options))
