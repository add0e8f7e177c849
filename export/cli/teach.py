"""``stream-classify teach``: a sound of one's own from a few examples."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from export.cli.teaching_beep import beeping, check_beep_options, teach_from_beep
from export.lazy import require
from stream.cli.help import TaskCommand, section
from stream.errors import DataError, UsageError
from stream.printable import printable

if TYPE_CHECKING:
    from export.teaching import Report, SoundReport

FEW = 3


@click.command(
    cls=TaskCommand,
    epilog="""\b
Examples:
  stream-classify teach mydog --clips dog/ -o mine.onnx
  stream-classify teach doorbell --record -o mine.onnx
  stream-classify teach mydog --add --clips more/ -o mine.onnx
  stream-classify teach --not heard/not -o mine.onnx
  stream-classify teach mydog --add --clips more/ --quiet night/ -o mine.onnx
  stream-classify teach oven --beep oven.wav -o beeps.onnx
  stream-classify --model mine.onnx
""",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("name", required=False)
@section(
    "Examples",
    click.option(
        "--clips", multiple=True, metavar="DIR|FILE", help="Recordings of it, one sound each; 3 to 10."
    ),
    click.option(
        "--beep", metavar="FILE", help="One recording of a beep that repeats: pitch and cadence are measured."
    ),
    click.option("--record", is_flag=True, help="Record them: press a key whenever it has sounded."),
    click.option("--device", metavar="DEVICE", help="With --record: a microphone by number or name."),
    click.option("--add", is_flag=True, help="More examples of a sound that it knows."),
    click.option("--replace", is_flag=True, help="Forget the examples of it and begin anew."),
    click.option(
        "--not", "wrong", multiple=True, metavar="DIR|FILE", help="Recordings that are none of the sounds."
    ),
)
@section(
    "False alarms",
    click.option(
        "--quiet",
        multiple=True,
        metavar="DIR|FILE",
        help="Hours of your own without the sounds, for the threshold; kept for the next time.",
    ),
    click.option(
        "--false-alarms",
        type=click.FloatRange(min=0, min_open=True),
        metavar="PER-HOUR",
        default=0.5,
        show_default=True,
        help="Of all taught sounds, in busy sound.",
    ),
    click.option("--force", is_flag=True, help="Write it even if a sound cannot be told apart."),
)
@section(
    "Output",
    click.option(
        "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default=Path("mine.onnx"), show_default=True,
        help="The model; one that is there learns the sound too.",
    ),
    click.option("--front", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
        help="A network that others trained: Google's speech embedding, for words, or one on 16 kHz sound such as "
        "YAMNet; its model knows the taught sounds alone."),
    click.option("--listen", is_flag=True, help="Listen with it at once."),
    click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON."),
)  # fmt: skip
@click.pass_context
def teach(
    ctx: click.Context,
    name: str | None,
    clips: tuple[str, ...],
    beep: str | None,
    record: bool,
    device: str | None,
    add: bool,
    replace: bool,
    wrong: tuple[str, ...],
    quiet: tuple[str, ...],
    false_alarms: float,
    force: bool,
    output: Path,
    front: Path | None,
    listen: bool,
    as_json: bool,
) -> None:
    """Teach a model the sound NAME from 3 to 10 examples.

    The model knows it beside speech, music and noise, and whatever it was taught before. Examples are kept in a folder
    beside it. The threshold is chosen on an hour of speech, music and noise, and on your own recordings (--quiet).
    A sound that cannot be told apart is refused. Takes seconds.

    A beep that repeats (an appliance, a timer, an alarm) needs one recording: --beep measures its pitch and cadence.
    Such beeps go into a file of their own, and each has a picture beside it.
    """
    if beep is not None:
        others = {
            "--clips": bool(clips), "--record": record, "--add": add, "--not": bool(wrong),
            "--device": device is not None, "--front": front is not None,
        }  # fmt: skip
        check_beep_options(name, others)
        assert name is not None
        teach_from_beep(
            name, beep, output, quiet=quiet, false_alarms=false_alarms, replace=replace, force=force, as_json=as_json,
            listen=listen,
        )  # fmt: skip
        if listen:
            _listen(ctx, output)
        return
    _check(name, clips, record, device, add, replace, wrong, quiet)
    require("onnx")
    from export.cli.recording_examples import record_examples
    from export.teaching.background import file_background
    from export.teaching.examples import audio_files, read_examples
    from export.teaching.folder import folder_of, known_sounds
    from export.teaching.judging import Budget
    from export.teaching.others import load_front
    from export.teaching.taught import BASE
    from export.teaching.taught import teach as run
    from stream.inference.session import Model
    from stream.outputs.kept import check_sound_name

    if name is not None:
        check_sound_name(name, Model.bundled(BASE, provider="cpu").labels)
        known = known_sounds(folder_of(output))
        if name in known and not (add or replace):
            raise UsageError(
                f"{name}: {output} knows it already; --add gives more examples, --replace begins anew"
            )
    ear = load_front(front)
    rate = ear.sample_rate
    files = audio_files(clips, label=name) if clips else []
    if name is not None and (found := beeping(files)) is not None:
        click.echo(
            f"{printable(str(found[0]))}: holds a beep that repeats ({found[1]}); --beep FILE instead of --clips "
            "makes a detector of that cadence",
            err=True,
        )
    examples = read_examples(files, rate) if files else []
    if record:
        examples += record_examples(device, rate)
        if not examples:
            raise DataError(
                f"{printable(str(name))}: nothing was recorded; press the space bar when it has sounded"
            )
    begin = time.monotonic()
    report = run(
        output, name, examples,
        wrong=read_examples(audio_files(wrong, said="wrong"), rate) if wrong else [],
        quiet=file_background(audio_files(quiet), rate) if quiet else (),
        add=add, replace=replace, force=force, front=ear,
        budget=Budget(bank=false_alarms),
        progress=lambda what: None if as_json else click.echo(f"{what} …", err=True),
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps([msgspec.to_builtins(sound) for sound in report.sounds]))
    else:
        _print(report, output, time.monotonic() - begin, listen)
    if listen:
        _listen(ctx, output)


def _check(
    name: str | None, clips: tuple[str, ...], record: bool, device: str | None, add: bool, replace: bool,
    wrong: tuple[str, ...], quiet: tuple[str, ...],
) -> None:  # fmt: skip
    if name is None and (clips or record or add or replace):
        raise UsageError(
            "NAME: what the sound is called is missing, as in: stream-classify teach mydog --clips dog/"
        )
    if name is None and not (wrong or quiet):
        raise UsageError(
            "nothing to teach; give a NAME with --clips DIR or --record, or --not DIR, or --quiet DIR"
        )
    if name is not None and not (clips or record):
        raise UsageError(f"{printable(name)}: no example; add --clips DIR, or --record, or --beep FILE")
    if add and replace:
        raise UsageError(
            "--add and --replace: one keeps the examples there are, the other forgets them; give one"
        )
    if device is not None and not record:
        raise UsageError("--device: says what to --record with; add --record")


def _print(report: Report, output: Path, seconds: float, listen: bool) -> None:
    for sound in report.sounds:
        where = "your own recordings" if sound.own else "dense speech, music and noise"
        many = "s" * (sound.examples != 1)
        click.echo(
            f"{sound.label}: {sound.examples} example{many}, {sound.found:.0%} found when not learnt from; "
            f"expect {_expected(sound)} false a day, at most {_rate(sound.per_day_at_most)} with 95 % "
            f"(heard {sound.hours:.2g} h of {where})"
        )
    for warning in report.warnings:
        click.secho(warning, fg="yellow", err=True)
    few = [sound.label for sound in report.sounds if sound.examples < FEW]
    if few:
        click.secho(
            f"{', '.join(few)}: {FEW} examples or more find it in more places; add them by --add",
            fg="yellow",
            err=True,
        )
    if not all(sound.own for sound in report.sounds):
        click.echo(
            "give recordings of your own quiet hours by --quiet to know what to expect at home", err=True
        )
    click.echo(
        f"wrote {printable(str(output))} in {seconds:.1f} s, proven within {report.largest_difference:.1e}"
    )
    if not listen:
        click.echo(f"listen with it: stream-classify --model {printable(str(output))}")


def _expected(sound: SoundReport) -> str:
    from export.teaching.threshold import least_rate

    said = 24 * least_rate(sound.hours)  # so many hours can say no more
    return _rate(sound.per_day) if sound.per_day > 1.001 * said else f"fewer than {_rate(said)}"


def _rate(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def _listen(ctx: click.Context, output: Path) -> None:
    root = ctx.find_root().command
    root.main(["--model", str(output)], prog_name="stream-classify", standalone_mode=False)
