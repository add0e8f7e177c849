"""``stream-classify evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from stream.cli.help import TaskCommand, section

if TYPE_CHECKING:
    from export.data.recording import Split


@click.command(
    cls=TaskCommand,
    epilog="""\b
Examples:
  stream-classify evaluate model.onnx recordings/
  stream-classify evaluate model.onnx recordings/ --split test --report report/
  stream-classify evaluate default labels.tsv --threshold speech=0.6
""",
)
@click.argument("model")
@click.argument("data", type=click.Path())
@section(
    "Recordings",
    click.option(
        "--split", type=click.Choice(["train", "validation", "test"]), help="Only this part of DATA."
    ),
    click.option("--unknown", metavar="LABEL", help="Class that recordings of other classes count as."),
    click.option("--strict", is_flag=True, help="Stop at the first recording that cannot be used."),
    click.option(
        "--seed", type=int, default=0, show_default=True, help="Order of recordings in the carried stream."
    ),
    click.option(
        "--negatives",
        type=click.FloatRange(0, 600),
        default=5.0,
        show_default=True,
        metavar="MINUTES",
        help="Of other speech, music, noise and silence each, to count false events in; 0 = none.",
    ),
)
@section(
    "Detection",
    click.option("--threshold", multiple=True, metavar="[LABEL=]P", help="Instead of the card's."),
)
@section(
    "Output",
    click.option(
        "--report", type=click.Path(path_type=Path), metavar="FOLDER", help="Write report.json and pictures."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON."),
    click.option("-q", "--quiet", is_flag=True, help="No progress, only the result."),
)
def evaluate(
    model: str,
    data: str,
    split: str | None,
    unknown: str | None,
    threshold: tuple[str, ...],
    strict: bool,
    seed: int,
    negatives: float,
    report: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure MODEL on the labelled recordings of DATA, as it would hear them live.

    Every recording is heard twice: alone, from a fresh state; and in one long stream, with pauses of 0.3 to 3 s
    and the state carried from each to the next. Then comes sound that is no class. Events come from the live
    detector with the card's settings.
    """
    # Figures want these at the end of a long evaluation: whoever lacks them is told at once.
    import scipy.optimize  # noqa: F401
    import sklearn.metrics  # noqa: F401

    if report is not None:
        import matplotlib  # noqa: F401

    from export.calibration.table import event_caption, event_table
    from export.evaluation.evaluate import evaluate as measure
    from export.evaluation.evaluate import headline
    from export.evaluation.pictures import draw
    from stream.cli.models import load_model
    from stream.printable import printable
    from stream.settings.rule_texts import detector_spec

    loaded = load_model(model)
    rules = detector_spec(loaded.card.detector, loaded.labels, {"threshold": threshold})
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=quiet or not console.is_terminal
    ) as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        result = measure(
            loaded,
            data,
            split=cast("Split | None", split),
            unknown=unknown,
            detector=rules,
            strict=strict,
            seed=seed,
            negatives=negatives,
            progress=show,
        )
    for line in result.report["skipped"]:
        click.echo(printable(f"skipped {line['recording']}: {line['reason']}"), err=True)
    if as_json:
        click.echo(json.dumps(result.report, indent=2))
    else:
        click.echo(f"{'':24s}{'carried':>10s}{'alone':>10s}")
        for name, carried, alone in headline(result.report):
            click.echo(printable(f"{name:24s}{carried:10.4f}{alone:10.4f}"))
        out = Console(width=80, highlight=False)
        out.print()
        out.print(event_table(result.events))
        out.print(event_caption(result.events), style="dim")
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)
        (report / "report.json").write_text(json.dumps(result.report, indent=2) + "\n")
        for path in draw(result, report):
            click.echo(printable(f"wrote {path}"), err=True)
    if result.advice:
        click.secho(printable(result.advice), fg="yellow", err=True)
