"""Spoken digits on the embeddings of a network that knows words already, because the speakers are few.

    python -m export.recipes.digits_on_embeddings DATA --embedding embedding_model.onnx --test-group theo -o theo.onnx

DATA is the Free Spoken Digit Dataset with a manifest, or what ``export.recipes.digits`` made of it; the embedding
is Google's, see ``export.recipes.speech_embedding``. Trains on all speakers but one, prints the figures on
that one and writes a live model with the embedding inside. The settings, one set for all, were chosen in smaller runs:
two speakers train, a third validates, the fourth is not used; 0.91 on average over four of these.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from export.augmentation import AugmentConfig
from export.conversion.onnx_export import to_onnx
from export.data.dataset import read_dataset
from export.data.splits import SplitConfig, split_dataset
from export.recipes.embedding import train_on_embeddings
from export.recipes.speech_embedding import SPEC, SpeechEmbedding
from export.training import FitConfig, RichReport, TrainConfig
from export.training.stream_config import StreamConfig
from stream.cli.deprecated import RenamedOption
from stream.errors import StreamClassifyError

SHAPE: dict[str, Any] = {"hidden": 192, "layers": 1, "dropout": 0.2}
CHANGES: dict[str, dict[str, Any]] = {
    "rnn": SHAPE,
    "lstm": SHAPE,
    "gru": SHAPE,
    "tcn": {**SHAPE, "layers": 2},
    "crnn": {**SHAPE, "channels": 192, "conv_layers": 1, "kernel": 3},
}
EMBEDDING_DROPOUT = 0.0  # 96 numbers are few enough


def settings(data: Path, model: str) -> TrainConfig:
    """Other levels, microphones, vocal tracts and speeds, and a pause after each word."""
    return TrainConfig(
        data=str(data),
        model=model,
        model_changes=CHANGES[model],
        features=SPEC,
        fit=FitConfig(epochs=1, average=0.98, learning_rate=3e-3, weight_decay=0.05, warmup=0.1),
        augment=AugmentConfig(
            gain=4, tilt=2, warp=0.08, stretch=0.2, high_pass=0.1, stationary_noise=0.2, snr=(5, 30)
        ),
        streams=StreamConfig(rows=32, frames=104, gap=(0.1, 0.6), silence=1),
        steps=600,
        validation=0,
    )


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--embedding",
    cls=RenamedOption,
    was="--front",
    type=click.Path(path_type=Path),
    required=True,
    help="The speech embedding, ONNX.",
)
@click.option("--test-group", required=True, help="Speaker left out of training.")
@click.option("--model", type=click.Choice(list(CHANGES)), default="gru", show_default=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Live model to write.")
@click.option("--cache", type=click.Path(file_okay=False), help="Where features are kept.")
def main(
    data: Path, embedding: Path, test_group: str, model: str, output: Path | None, cache: str | None
) -> None:
    """Train MODEL on the digits of DATA and test it, once, on one speaker."""
    try:
        embedded = SpeechEmbedding(embedding)
        config = msgspec.structs.replace(settings(data, model), cache=cache)
        parts = split_dataset(read_dataset(data), SplitConfig(validation=0, test_groups=(test_group,)))
        with RichReport(Console(stderr=True)) as report:
            made = train_on_embeddings(embedded, config, parts, EMBEDDING_DROPOUT, report, report.prepared)
        if output is not None:
            to_onnx(made.model, output, made.card)
    except StreamClassifyError as error:
        raise click.ClickException(str(error)) from None
    for name, value in made.figures.items():
        click.echo(f"{name}\t{value:.4f}")


if __name__ == "__main__":
    main()
