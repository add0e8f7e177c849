"""stream-classify train: labelled audio -> checkpoint, or a search over settings."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec
from rich.console import Console

from export.cli.surveying import WIDTH, show_survey, surveyed
from export.lazy import require
from export.models.config import PRESETS
from export.training.config import RENAMED, TrainConfig, read_config
from export.training.settings import change, parse_grid
from stream.cli.commands import INTERRUPTED
from stream.cli.deprecated import RenamedOption, warn_renamed
from stream.cli.help import TaskCommand, section
from stream.cli.say import say
from stream.errors import SpecError, UsageError
from stream.printable import printable

if TYPE_CHECKING:
    from export.calibration import Calibration
    from export.training.choices import Candidate, Effort

T = TypeVar("T")

EPILOG = """\b
DATA is a folder with one folder per class (Speech Commands), a folder with manifest.csv, or a CSV/TSV manifest:
  filename,label[,split,fold,speaker|group]   whole clips; several labels as a;b
  filename,onset,offset,event_label           strong labels, seconds
\b
Examples:
  stream-classify train recordings/ -o model.pt
  stream-classify train recordings/ --quick                        something to try in minutes
  stream-classify train ESC-50/ --model crnn --test-fold 5 -o model.pt
  stream-classify train commands/ --background noises/ --set augment.copies=4 -o model.pt
  stream-classify train recordings/ --search hidden=32,64,128 layers=1,2 --folds 5
  stream-classify train recordings/ -o model.pt --resume          after an interruption
"""

# option -> setting of export.training.settings
_DIRECT = {
    "labels": "labels", "unknown": "unknown", "activation": "activation", "model": "model", "hidden": "hidden",
    "layers": "layers", "dropout": "dropout", "epochs": "fit.epochs", "steps": "steps",
    "learning_rate": "fit.learning_rate", "patience": "fit.patience", "device": "fit.device",
    "seed": "fit.seed", "sample_rate": "features.sample_rate", "n_fft": "features.n_fft",
    "win_length": "features.win_length", "hop_length": "features.hop_length", "n_mels": "features.n_mels",
    "n_mfcc": "features.n_mfcc", "deltas": "features.deltas", "where": "where", "background": "background",
    "background_class": "streams.background_class", "copies": "augment.copies", "validation_fold": "validation_folds",
    "test_fold": "test_folds", "validation_group": "validation_groups", "test_group": "test_groups",
    "cache": "cache", "false_alarms": "false_alarms",
}  # fmt: skip


@click.command(
    cls=TaskCommand,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.argument("words", nargs=-1, metavar="DATA")
@section(
    "Result",
    click.option(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Checkpoint.  [default: model.pt]",
    ),
    click.option(
        "--run", type=click.Path(file_okay=False, path_type=Path), help="Run folder.  [default: OUTPUT.run]"
    ),
    click.option("--resume", is_flag=True, help="Go on after the last epoch in the run folder."),
    click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Start from the config.json of another run.",
    ),
)
@section(
    "Data and labels",
    click.option(
        "--labels", metavar="A:B:C", help="Classes in output order; others are refused.  [default: all]"
    ),
    click.option("--unknown", metavar="NAME", help="With --labels: the class that all others become."),
    click.option(
        "--activation",
        type=click.Choice(["auto", "softmax", "sigmoid"]),
        help="softmax: exactly one class; sigmoid: any number.  [default: auto]",
    ),
    click.option(
        "--where",
        type=click.Choice(["end", "all"]),
        help="Where a clip's label is learnt: second half, or all of it.  [default: end]",
    ),
    click.option("--background", metavar="DIR", help="Sound of no class, for gaps and added noise."),
    click.option(
        "--background-class",
        cls=RenamedOption,
        was="--quiet",
        metavar="NAME",
        help="Class of the gaps between clips.  [default: none]",
    ),
    click.option("--validation-fold", metavar="A:B", help="Folds of the manifest for validation."),
    click.option("--test-fold", metavar="A:B", help="Folds for the test."),
    click.option("--validation-group", metavar="A:B", help="Speakers or sources for validation."),
    click.option("--test-group", metavar="A:B", help="Speakers or sources for the test."),
    click.option("--strict", is_flag=True, help="Refuse unreadable audio instead of skipping it."),
    click.option(
        "--false-alarms",
        metavar="N",
        help="False events an hour that the rules are calibrated for; 0 = all thresholds are 0.5.  [default: 1]",
    ),
    click.option("--copies", metavar="N", help="Augmented variants of each recording.  [default: 0]"),
    click.option("--cache", metavar="DIR", help="Folder for features.  [default: ~/.cache/stream-classify]"),
)
@section(
    "Time",
    click.option("--quick", is_flag=True, help="Half as long, and no comparison of networks."),
    click.option("--thorough", is_flag=True, help="More than twice as long, and more networks are compared."),
)
@section(
    "Network",
    click.option("-m", "--model", type=click.Choice(list(PRESETS)), help="Network.  [default: chosen]"),
    click.option("--hidden", metavar="N", help="Units of a layer."),
    click.option("--layers", metavar="N", help="Recurrent layers, or blocks of the tcn, dstcn and gla."),
    click.option("--dropout", metavar="P", help="Between layers."),
)
@section(
    "Training",
    click.option("--epochs", metavar="N", help="At most this many passes.  [default: chosen]"),
    click.option(
        "--steps", metavar="N", help="At least this many optimiser steps, for little data.  [default: 0]"
    ),
    click.option("--learning-rate", metavar="X", help="[default: 0.003]"),
    click.option("--patience", metavar="N", help="Epochs without gain before stopping; 0 = never."),
    click.option(
        "--class-weights",
        cls=RenamedOption,
        was="--balance",
        is_flag=True,
        help="Give rare classes more weight in the loss.",
    ),
    click.option(
        "--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to train (not a microphone)."
    ),
    click.option("--seed", metavar="N", help="Of all random numbers."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Any other setting: fit.average=0.99, augment.tilt=6, streams.frames=300 …",
    ),
)
@section(
    "Features",
    click.option(
        "-r",
        "--sample-rate",
        metavar="HZ",
        help="Recordings are resampled.  [default: 16000, or theirs if 8000]",
    ),
    click.option("--n-fft", metavar="N", help="[default: 512 at 16000 Hz]"),
    click.option("--win-length", metavar="N", help="[default: 400 at 16000 Hz]"),
    click.option("--hop-length", metavar="N", help="[default: 160 at 16000 Hz]"),
    click.option("--n-mels", metavar="N", help="[default: 40]"),
    click.option("--n-mfcc", metavar="N|none", help="none = log-mel.  [default: chosen with the network]"),
    click.option("--deltas", metavar="0|1|2", help="[default: 0]"),
)
@section(
    "Search",
    click.option(
        "--search", "searching", is_flag=True, help="Compare settings by cross-validation; add NAME=V,V …"
    ),
    click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Of the search."),
)
@click.option(
    "-q",
    "--no-progress",
    cls=RenamedOption,
    was="--quietly",
    is_flag=True,
    help="No progress, only the result.",
)
def train(
    words: tuple[str, ...],
    output: Path | None,
    run: Path | None,
    resume: bool,
    config: Path | None,
    class_weights: bool,
    strict: bool,
    quick: bool,
    thorough: bool,
    settings: tuple[str, ...],
    searching: bool,
    folds: int,
    no_progress: bool,
    **direct: str | None,
) -> None:
    """Train a classifier on labelled recordings.

    It learns from streams as they will be heard: the recordings with pauses, at any level, in rooms and in noise, and
    between them sound that is no class. Settings that you do not give are chosen for your data and shown. The
    checkpoint goes to stream-classify export.
    """
    grid = [word for word in words if "=" in word and not os.path.exists(word)]  # never OSError
    data = [word for word in words if word not in grid]
    if len(data) > 1 or (not data and config is None):
        raise UsageError(f"DATA: give one folder or manifest, not {len(data)}")
    if grid and not searching:
        raise UsageError(f"{grid[0]}: use --set {grid[0]}, or --search to compare values")
    if quick and thorough:
        raise UsageError("--quick --thorough: give one of them")
    target = output or Path("model.pt")
    folder = run or target.with_suffix(".run")
    if resume:
        _check_resume(folder, searching)
        config = config or folder / "config.json"
    wanted = _config(config, data[0] if data else None)
    changes = {name: text for option, name in _DIRECT.items() if (text := direct[option]) is not None}
    for word in settings:
        name, sign, text = word.partition("=")
        if not sign:
            raise UsageError(f"--set {word}: want NAME=VALUE")
        changes[name] = text
    if class_weights:
        changes["class_weights"] = "true"
    if strict:
        changes["strict"] = "true"
    changes = current_settings(changes)
    wanted = change(wanted, changes)
    console = Console(stderr=True, quiet=no_progress)
    candidates = current_settings(parse_grid(grid)) if searching else {}
    _check(wanted, candidates)
    if searching:
        _search(wanted, candidates, folds, output, console)
        return
    require("torch", "matplotlib")  # training comes first, the pictures last: both are missed at once
    import torch  # noqa: F401  # takes seconds; what is wrong with it is said before anything is listened to

    networks: Sequence[Candidate] = ()
    if config is None:
        wanted, networks = _chosen(
            wanted, changes, "quick" if quick else "thorough" if thorough else "default", console
        )
    _train(wanted, networks, target, folder, resume, console)


def _chosen(
    config: TrainConfig, asked: Mapping[str, str], effort: Effort, console: Console
) -> tuple[TrainConfig, Sequence[Candidate]]:
    """The configuration with what suits the data, and networks to compare; the data and the choices are shown."""
    from export.data.dataset import read_dataset
    from export.training.choices import Chosen, candidates, choose_division, choose_settings
    from export.training.opening import open_data

    chosen = Chosen(config, asked)
    whole = read_dataset(config.data, config.labels, unknown=config.unknown)
    choose_division(chosen, whole)
    data = open_data(chosen.config)
    seen = surveyed(
        replace(whole, backgrounds=data.backgrounds),
        chosen.config.split,
        sample_rate=config.features.sample_rate,
        quiet=console.quiet,
    )
    choose_settings(chosen, data, seen, effort)
    if not console.quiet:
        show_survey(seen, err=True)
        click.echo(err=True)
        for reason in chosen.reasons:
            for line in textwrap.wrap(printable(reason), WIDTH, initial_indent="- ", subsequent_indent="  "):
                click.echo(line, err=True)
        click.echo(err=True)
    return chosen.config, candidates(chosen, data, effort)


def current_settings(settings: Mapping[str, T]) -> dict[str, T]:
    """Settings under their current names, with a warning for each old one."""
    for name in settings:
        if name in RENAMED:
            warn_renamed(click.get_current_context(), f"setting {name}", f"setting {RENAMED[name]}")
    return {RENAMED.get(name, name): value for name, value in settings.items()}


def _config(path: Path | None, data: str | None) -> TrainConfig:
    if path is None:
        return TrainConfig(data=str(data))
    try:
        loaded = read_config(path.read_bytes())
    except SpecError as error:
        raise UsageError(f"{path}: is not the config.json of a run: {error}") from None
    return loaded if data is None else msgspec.structs.replace(loaded, data=data)


def _check(config: TrainConfig, candidates: Mapping[str, Sequence[str]]) -> None:
    """Refuse data and settings that cannot be trained on, before torch is imported: that takes seconds."""
    from export.training.opening import check_network, open_data

    check_network(config)
    for values in product(*candidates.values()):
        check_network(change(config, dict(zip(candidates, values, strict=True))))
    open_data(config)


def _check_resume(run: Path, searching: bool) -> None:
    """Refuse to go on with what is not there."""
    if searching:
        raise UsageError("--resume: a search begins anew; leave --resume or --search out")
    if not (run / "last.pt").is_file():
        raise UsageError(
            f"--resume: no finished epoch is in {run} (its last.pt); leave --resume out to begin, "
            "or name the folder of the run with --run"
        )


def _train(
    config: TrainConfig,
    networks: Sequence[Candidate],
    output: Path,
    run: Path,
    resume: bool,
    console: Console,
) -> None:
    from export.training.progress import RichReport

    report = RichReport(console)
    try:
        from export.training.pipeline import (
            train as run_training,
        )  # torch: Ctrl-C may come while it is imported

        with report:
            result = run_training(
                config, output, folder=run, resume=resume, candidates=networks, report=report,
                progress=report.prepared,
            )  # fmt: skip
    except KeyboardInterrupt:
        say(_stopped(run, report.finished, resume))
        raise SystemExit(INTERRUPTED) from None
    for where, reason in result.skipped:
        console.print(printable(f"skipped {where}: {reason}"), highlight=False, markup=False)
    console.print(printable(f"run folder {run}"), highlight=False, markup=False)
    for name, value in result.figures.items():
        click.echo(f"{name}\t{value:.4f}")
    if result.calibration is not None:
        _show_calibration(result.calibration)
    click.echo(
        printable(f"wrote {output}{_left_out(len(result.skipped), len(result.ignored), run)}"), err=True
    )
    for doubt in result.doubts:
        click.secho(printable(doubt), fg="yellow", err=True)
    if result.calibration is not None and result.calibration.advice:
        click.secho(printable(result.calibration.advice), fg="yellow", err=True)


def _show_calibration(calibration: Calibration) -> None:
    """What the calibrated rules give on streams as they will be heard."""
    from export.calibration.table import event_caption, event_table

    table = Console(width=80)
    table.print(event_table(calibration.report))
    table.print(event_caption(calibration.report), highlight=False)


def _stopped(run: Path, finished: int, resume: bool) -> str:
    """What Ctrl-C leaves: ``finished`` epochs of this command, and those of the run that it went on with."""
    if not finished and not resume:
        return "stopped before the first epoch was finished: no model was written, there is nothing to resume"
    return f"stopped; finished epochs are in {run}; the same command with --resume goes on"


def _left_out(skipped: int, ignored: int, run: Path) -> str:
    """What training did not use, for the last line; "" if it used everything."""
    parts = []
    if skipped:
        parts.append(
            f"{skipped} recording{'s' * (skipped > 1)} could not be used (see {run / 'skipped.tsv'})"
        )
    if ignored:
        parts.append(f"{ignored} file{'s' * (ignored > 1)} in the class folders not audio by name")
    return f"; skipped: {', '.join(parts)}" if parts else ""


def _search(
    config: TrainConfig,
    grid: dict[str, tuple[str, ...]],
    folds: int,
    output: Path | None,
    console: Console,
) -> None:
    require("onnx")  # for what each candidate costs, after its training
    from export.training.search import search

    def show(settings: dict[str, str], fold: int, score: float) -> None:
        named = " ".join(f"{name}={value}" for name, value in settings.items())
        console.print(f"{named}  fold {fold + 1}/{folds}  {score:.4f}", highlight=False, markup=False)

    result = search(config, grid, folds=folds, progress=show)
    Console(quiet=False).print(result.table())
    target = (output or Path("search.json")).with_suffix(".json")
    target.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
    best = " ".join(f"--set {name}={value}" for name, value in result.best.settings.items())
    click.echo(f"wrote {target}; best: {best}", err=True)
