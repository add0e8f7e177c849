"""``stream-classify redact``: sound without its speech, for other programs."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from stream.capture.fitting import check_input
from stream.cli.help import TaskCommand, section
from stream.cli.sound_in import SOUND_IN
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.capture.sound_in import SoundIn
    from stream.privacy.sound_writers import Format, Write

log = logging.getLogger("stream")
EPILOG = """\b
Examples:
  stream-classify redact --input talk.wav --fast --output quiet.flac
  stream-classify redact --device 2 --output - |
    ffmpeg -f s16le -ar 48000 -i - -f segment -segment_time 60 yard-%03d.flac
  ffmpeg -loglevel error -i rtsp://camera/yard -f s16le -ar 16000 -ac 1 - |
    stream-classify redact --input - --sample-rate 16000 --output - |
    sox -t raw -r 16000 -e signed -b 16 -c 1 - yard.wav
"""


@click.command(cls=TaskCommand, epilog=EPILOG)
@section("Sound in", *SOUND_IN)
@section(
    "Sound out",
    click.option(
        "-o",
        "--output",
        required=True,
        metavar="FILE|-",
        type=click.Path(),
        help="WAV or FLAC file, which is replaced; or - for raw samples on standard output.",
    ),
    click.option(
        "--output-format",
        type=click.Choice(["s16le", "f32le"]),
        default="s16le",
        show_default=True,
        help="Samples to write: 16-bit integers or 32-bit floats.",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Say more on standard error."),
)
@click.pass_context
def redact(ctx: click.Context, /, output: str, output_format: Format, verbose: bool, **given: Any) -> None:
    """Write sound without the speech in it.

    Speech is silenced, with some of what is around it, by the bundled model. Sound comes out about a second later than
    it went in, mono, at the rate of the source, and not one sample more or less: what was lost on the way is silence.
    """
    from stream.capture.sound_in import SoundIn
    from stream.cli.say import set_up_log

    set_up_log(verbose)
    named = {name for name in given if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    check_input(given["input_"], given["demo"], named)
    check_output(output, output_format, given["input_"])
    given["input"], given["format"] = given.pop("input_"), given.pop("format_")
    run_redact(SoundIn(**given), output, output_format)


def check_output(output: str, output_format: Format, source: str | None) -> None:
    """Refuse what cannot be written, before the microphone opens.

    Raises:
        UsageError: a terminal, the file that is read, or a suffix that means nothing.
        OutputError: a folder that cannot be written to.
    """
    from stream.assembly import same_file
    from stream.cli.screen import is_terminal
    from stream.privacy.sound_writers import check_path

    if output == "-":
        if is_terminal():
            raise UsageError(
                "--output -: would write raw sound to the terminal; pipe it into a program, or give a file"
            )
    else:
        check_path(output, output_format)
    if source is not None and same_file(output, source):
        raise UsageError(f"--output {output}: is the file of --input; name another file")


def run_redact(sound: SoundIn, output: str, output_format: Format) -> None:
    """Listen, silence and write until the source ends, or Ctrl-C or SIGTERM comes."""
    from stream.cli.patience import interruptible
    from stream.cli.quiet import quieten_portaudio
    from stream.cli.stopping import stop_signals
    from stream.privacy.filtering import filter_speech
    from stream.privacy.guarding import warm_redactor

    quieten_portaudio()
    redactor = interruptible(warm_redactor)
    source = interruptible(sound.open)
    with source, open_writer(output, output_format, source.sample_rate) as write:
        rate, name = source.sample_rate, source.info().name
        log.info(
            "%s: writing mono %s at %d Hz, %.1f s late", name, output_format, rate, redactor.delay_seconds
        )
        with stop_signals(source.close, []):
            written = filter_speech(source, write, redactor)
    filled = f", {written.filled / rate:.1f} s were lost and are silence" if written.filled else ""
    log.info(
        "%s: wrote %.1f s, of which %.1f s are silenced%s",
        name,
        written.samples / rate,
        written.silenced / rate,
        filled,
    )


@contextmanager
def open_writer(output: str, output_format: Format, sample_rate: int) -> Iterator[Write]:
    """What takes the sound: standard output, or a file."""
    from stream.privacy.sound_writers import file_writer, raw_writer

    if output == "-":
        yield raw_writer(sys.stdout.buffer, output_format)
    else:
        with file_writer(output, output_format, sample_rate) as write:
            yield write
