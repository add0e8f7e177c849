"""City sounds from few sources: one fold of UrbanSound8K to train on, another to test.

    python -m export.recipes.urban URBAN --model crnn --train-fold 1 --test-fold 2

URBAN is UrbanSound8K, or some of its folds, with a manifest (filename,label,fold,group). A fold has a hundred
sources, some classes five: learning these by heart is the danger. So sources of many clips are drawn as often
as those of few, every clip each time under another one, at another level, through another filter and with
parts blanked, and nothing is held back to choose by: the number of steps is fixed, the last weights are kept.
The data is licensed for research only: measure with it, do not ship what it teaches.

With ``--embedding FILE`` the network is trained on the embeddings of YAMNet, which was trained on more; FILE is its
ONNX file, see ``export.recipes.yamnet``. Such a network is measured and not kept: no live model can be made of it yet.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from export.augmentation import AugmentConfig
from export.data.dataset import read_dataset
from export.data.recording import Dataset
from export.data.splits import SplitConfig, split_dataset
from export.recipes import urban_on_yamnet
from export.recipes.embedding import train_on_embeddings
from export.recipes.yamnet import Yamnet
from export.training import FitConfig, RichReport, TrainConfig, train
from export.training.stream_config import StreamConfig
from stream.cli.deprecated import RenamedOption
from stream.errors import DataError, StreamClassifyError
from stream.features.spec import MfccSpec

SLOW: dict[str, Any] = {"hidden": 96, "dropout": 0.3, "stride": 4, "front": 8}
CHANGES: dict[str, dict[str, Any]] = {
    "rnn": SLOW,
    "lstm": SLOW,
    "gru": SLOW,
    "tcn": {**SLOW, "hidden": 64, "layers": 5},
    "crnn": {
        "hidden": 64, "dropout": 0.3, "stride": 4, "kernel": 3,
        "axes": "time-frequency", "conv_layers": 3, "channels": 24,
    },
}  # fmt: skip


def settings(data: Path, model: str) -> TrainConfig:
    """Log-mel energies every 32 ms, a prediction every 128 ms."""
    return TrainConfig(
        data=str(data),
        model=model,
        model_changes=CHANGES[model],
        features=MfccSpec(
            n_fft=1024, win_length=1024, hop_length=512, n_mels=64, n_mfcc=None, log_floor=1e-7
        ),
        fit=FitConfig(epochs=4, average=0.98, learning_rate=2e-3),
        augment=AugmentConfig(
            gain=6, tilt=3, warp=0.1, mix=0.6, snr=(0, 25), time_mask=0.4, mask_frames=25, band_mask=0.4
        ),
        streams=StreamConfig(rows=32, frames=128, balance=0.5),
        where="all",
        steps=600,
        validation=0,
        test=0,
    )


def two_folds(data: Path, train_fold: str, test_fold: str) -> Dataset:
    """The data set with these two folds alone.

    Raises:
        DataError: no such fold, or nothing but one.
    """
    whole = read_dataset(data)
    kept = tuple(r for r in whole.recordings if r.fold in (train_fold, test_fold))
    if train_fold == test_fold or train_fold not in {r.fold for r in kept}:
        raise DataError(f"train fold {train_fold!r}: must be one of the data's, and not the test fold")
    return split_dataset(replace(whole, recordings=kept), SplitConfig(validation=0, test_folds=(test_fold,)))


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--model", type=click.Choice(list(CHANGES)), default="crnn", show_default=True)
@click.option("--train-fold", default="1", show_default=True)
@click.option("--test-fold", default="2", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), default="urban.pt")
@click.option("--cache", type=click.Path(file_okay=False), help="Where features are kept.")
@click.option(
    "--embedding",
    cls=RenamedOption,
    was="--front",
    type=click.Path(path_type=Path),
    help="YAMNet, as ONNX or a zip of it.",
)
def main(
    data: Path, model: str, train_fold: str, test_fold: str, output: Path, cache: str | None,
    embedding: Path | None,
) -> None:  # fmt: skip
    """Train MODEL on one fold of DATA and test it, once, on another."""
    try:
        embedded = None if embedding is None else Yamnet(embedding)
        folds = two_folds(data, train_fold, test_fold)
        with RichReport(Console(stderr=True)) as report:
            if embedded is None:
                config = msgspec.structs.replace(settings(data, model), cache=cache)
                figures = train(config, output, data=folds, report=report, progress=report.prepared).figures
            else:
                config = msgspec.structs.replace(urban_on_yamnet.settings(data, model), cache=cache)
                made = train_on_embeddings(
                    embedded, config, folds, urban_on_yamnet.EMBEDDING_DROPOUT, report, report.prepared
                )
                figures = made.figures
    except StreamClassifyError as error:
        raise click.ClickException(str(error)) from None
    for name, value in figures.items():
        click.echo(f"{name}\t{value:.4f}")


if __name__ == "__main__":
    main()
