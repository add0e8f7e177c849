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
from export.cli.train_options import DIRECT, EPILOG, training_options
from export.lazy import require
from export.training.config import RENAMED, TrainConfig, read_config
from export.training.settings import change, parse_grid
from stream.cli.commands import INTERRUPTED
from stream.cli.deprecated import warn_renamed
from stream.cli.help import TaskCommand
from stream.cli.say import say
from stream.errors import SpecError, UsageError
from stream.printable import printable

if TYPE_CHECKING:
    from export.calibration import Calibration
    from export.training.choices import Candidate, Effort

T = TypeVar("T")


@click.command(
    cls=TaskCommand,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@training_options
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
    changes = {name: text for option, name in DIRECT.items() if (text := direct[option]) is not None}
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
