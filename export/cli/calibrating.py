"""``stream-classify calibrate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from export.cli.calibration_sound import DEVICE_HOURS, INTERRUPTED, Sounds, calibrated, heard_folder
from stream.cli.completion import complete_model
from stream.cli.help import TaskCommand, section
from stream.cli.say import say, set_up_log
from stream.cli.values import LONGEST_SECONDS, Number
from stream.errors import OutputError, SpecError, UsageError
from stream.printable import printable

if TYPE_CHECKING:
    from export.recalibration.budget_text import Budget
    from export.recalibration.recalibrate import Recalibration
    from stream.inference.session import Model

_MUCH_LESS = 0.7  # of the events found before
_DEAF = 0.2  # a class whose score never reaches this, anywhere, is not there


def to_budget(ctx: click.Context, parameter: click.Parameter, value: str) -> Budget:
    """1/day, 0.5/h, 2/week."""
    from export.recalibration.budget_text import parse_budget

    try:
        return parse_budget(value)
    except SpecError as error:
        raise click.BadParameter(str(error), ctx, parameter) from None


@click.command(
    cls=TaskCommand,
    epilog="""\b
Examples:
  stream-classify calibrate default --device 2 --hours 8 -o my.onnx
  stream-classify calibrate default --device 2 --hours 72 --resume -o my.onnx
  stream-classify calibrate model.onnx --negatives night/ --positives mine/ \\
    --max-false-alarms 1/day --picture det.svg -o my.onnx
  stream-classify calibrate default --from-history heard.sqlite \\
    --review clips -o my.onnx
""",
)
@click.argument("model", shell_complete=complete_model)
@click.argument("more", nargs=-1, metavar="", type=click.Path())
@section(
    "Sound without events",
    click.option(
        "--negatives",
        multiple=True,
        type=click.Path(),
        metavar="FILES",
        help="Recordings, a folder of them or a manifest, in which nothing is to be reported. Repeatable.",
    ),
    click.option(
        "--device",
        metavar="N|NAME|URL",
        help="Listen to this microphone or stream, while nothing happens there.",
    ),
    click.option(
        "--from-history",
        "history",
        type=click.Path(),
        metavar="FILE",
        help="What --history recorded of quiet hours: the peak of each minute.",
    ),
    click.option(
        "--hours",
        type=Number(0, LONGEST_SECONDS / 3600, min_open=True),
        metavar="H",
        help=f"Hours that are enough. Default: {DEVICE_HOURS:g} of a device, all of the rest. "
        "A recording is heard to its end.",
    ),
    click.option("--resume", is_flag=True, help="Go on with what was heard for this output before."),
)
@section(
    "Sound with events",
    click.option(
        "--positives",
        type=click.Path(),
        metavar="DIR",
        help="Labelled recordings, a folder with one folder per class or a manifest: what a rule must still find.",
    ),
    click.option(
        "--review",
        type=click.Path(),
        metavar="DIR",
        help="Clips that were judged by stream-classify review: right ones are to be found, wrong ones are not.",
    ),
)
@section(
    "Rules",
    click.option(
        "--max-false-alarms",
        "budget",
        callback=to_budget,
        default="1/day",
        show_default=True,
        metavar="N/UNIT",
        help="Of all classes together, in an h, a day or a week.",
    ),
    click.option(
        "--class",
        "classes",
        multiple=True,
        metavar="LABEL",
        help="Only this class; others keep their rules. Repeatable.",
    ),
)
@section(
    "Output",
    click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        required=True,
        metavar="FILE.onnx",
        help="Copy of the model with the new rules. What was heard is kept beside it, in FILE.heard.",
    ),
    click.option(
        "--picture",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE.svg",
        help="Also draw the table.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print what the card will say as JSON."),
)
def calibrate(
    model: str,
    more: tuple[str, ...],
    negatives: tuple[str, ...],
    device: str | None,
    history: str | None,
    hours: float | None,
    resume: bool,
    positives: str | None,
    review: str | None,
    budget: Budget,
    classes: tuple[str, ...],
    output: Path,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Find MODEL's rules for a budget of false alarms, on hours of the sound where it listens.

    Hours without any event show what a rule reports there by mistake. The rules that are chosen keep the budget with
    95 % confidence, where so many hours can promise it; otherwise they are those that were silent, and what the hours
    do promise is said. Labelled recordings show what stricter rules miss, and let better ones be found than a higher
    threshold. What was heard is kept: Ctrl-C loses nothing, and --resume goes on.
    """
    from stream.cli.models import load_model, model_path

    set_up_log(False)
    if more and not negatives:
        raise UsageError(f"{more[0]}: want one MODEL; name sound without events by --negatives")
    names = [*negatives, *more]
    check_outputs(model_path(model), output, picture, [*names, positives, history])
    if bool(names) + (device is not None) + (history is not None) != 1:
        raise UsageError(
            "give sound without events, in one way: --negatives FILES, --device to listen to, or --from-history FILE"
        )
    loaded = load_model(model)
    check_model(loaded)
    from export.recalibration.recalibrate import chosen_classes

    chosen = chosen_classes(loaded.card, classes)
    try:
        found, origin = calibrated(
            loaded, chosen, Sounds(names, device, history, hours, resume, positives, review), budget, output
        )
    except KeyboardInterrupt:
        say(f"stopped; what was heard is kept in {heard_folder(output)}: go on with --resume")
        sys.exit(INTERRUPTED)

    from export.recalibration.stamp import write_calibrated

    write_calibrated(model_path(model), loaded.sha256, output, found.rules, origin, budget.per_hour)
    if picture is not None:
        from export.recalibration.det_picture import draw_det

        draw_det(found, picture)
    _show(found, origin, as_json)
    say(f"wrote {output}" + (f" and {picture}" if picture else ""))


def check_outputs(model: Path, output: Path, picture: Path | None, inputs: list[str | None]) -> None:
    """Refuse, before hours are spent, outputs that could not be written or would be written over an input."""
    from stream.assembly import same_file

    if output.suffix != ".onnx":
        raise OutputError(f"-o {output}: is a model; give it a name that ends in .onnx")
    for path in (str(model), *inputs):
        if path is not None and same_file(str(output), path):
            raise OutputError(f"-o {output}: is the file that is read; name another one")
    if not output.parent.is_dir():
        raise OutputError(f"-o {output}: the folder {output.parent} is not there; make it first")
    if picture is not None:
        from export.recalibration.det_picture import check_picture_path

        check_picture_path(picture)


def check_model(model: Model) -> None:
    """Refuse a model that could not be written again, before hours are spent on it."""
    from stream.inference.verify import verify

    verify(model.path, "cpu")


def _show(found: Recalibration, origin: dict[str, Any], as_json: bool) -> None:
    from rich.console import Console

    from export.calibration.event_report import OWN
    from export.recalibration.det import det_table
    from export.recalibration.summary import summary_caption, summary_table

    if as_json:
        click.echo(json.dumps(origin, indent=2))
    else:
        out = Console(width=80, highlight=False)
        out.print(summary_table(found))
        out.print(summary_caption(found), style="dim")
        out.print()
        out.print(det_table(found))
    click.secho(printable(found.promise.sentence()), fg=None if found.promise.kept else "yellow", err=as_json)
    mistaken, before = (
        sum(c.false[OWN] for c in report.classes.values()) if OWN in report.hours else 0
        for report in (found.after, found.before)
    )
    if mistaken or before:
        say(f"in the labelled and judged recordings {mistaken} events are wrong, {before} before")
    for label in found.chosen:
        counts = found.after.classes[label]
        if found.highest[label] < _DEAF and not counts.found:
            say(
                f"{label}: no score reached {_DEAF:g} anywhere, so nothing was learnt about it; give recordings of it "
                "by --positives"
            )
        elif counts.found < _MUCH_LESS * found.before.classes[label].found:
            say(
                f"{label}: finds {counts.found} of {counts.events} events within this budget, "
                f"{found.before.classes[label].found} before: allow more (the table says what that gives), or train "
                "it with this sound as --background"
            )
