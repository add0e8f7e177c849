"""The options of stream-classify train, by section, and the settings they stand for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from export.models.config import PRESETS
from stream.cli.deprecated import RenamedOption
from stream.cli.help import section

F = TypeVar("F", bound=Callable[..., Any])

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
DIRECT = {
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

_DECLARED = (
    click.argument("words", nargs=-1, metavar="DATA"),
    section(
        "Result",
        click.option(
            "-o",
            "--output",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Checkpoint.  [default: model.pt]",
        ),
        click.option(
            "--run",
            type=click.Path(file_okay=False, path_type=Path),
            help="Run folder.  [default: OUTPUT.run]",
        ),
        click.option("--resume", is_flag=True, help="Go on after the last epoch in the run folder."),
        click.option(
            "--config",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Start from the config.json of another run.",
        ),
    ),
    section(
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
        click.option(
            "--cache", metavar="DIR", help="Folder for features.  [default: ~/.cache/stream-classify]"
        ),
    ),
    section(
        "Time",
        click.option("--quick", is_flag=True, help="A third as long, and no comparison of networks."),
        click.option(
            "--thorough", is_flag=True, help="More than twice as long, and more networks are compared."
        ),
    ),
    section(
        "Network",
        click.option("-m", "--model", type=click.Choice(list(PRESETS)), help="Network.  [default: chosen]"),
        click.option("--hidden", metavar="N", help="Units of a layer."),
        click.option("--layers", metavar="N", help="Recurrent layers, or blocks of the tcn, dstcn and gla."),
        click.option("--dropout", metavar="P", help="Between layers."),
    ),
    section(
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
    ),
    section(
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
        click.option(
            "--n-mfcc", metavar="N|none", help="none = log-mel.  [default: chosen with the network]"
        ),
        click.option("--deltas", metavar="0|1|2", help="[default: 0]"),
    ),
    section(
        "Search",
        click.option(
            "--search", "searching", is_flag=True, help="Compare settings by cross-validation; add NAME=V,V …"
        ),
        click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Of the search."),
    ),
    click.option(
        "-q",
        "--no-progress",
        cls=RenamedOption,
        was="--quietly",
        is_flag=True,
        help="No progress, only the result.",
    ),
)


def training_options(function: F) -> F:
    """Declare them all for a command, in the order in which help shows them."""
    for declare in reversed(_DECLARED):
        function = declare(function)
    return function
