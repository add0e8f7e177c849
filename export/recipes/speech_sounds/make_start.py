"""Make what ``stream-classify train`` starts from where speakers are few: fetch, speak, learn, write.

    python -m export.recipes.speech_sounds.make_start --out assets

Needs Debian or Ubuntu, espeak-ng and flite; about an hour on one core. What is done is kept.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np

from export.data.cache import default_cache
from export.models.checkpoint import save_model
from export.recipes.speech_sounds.learning import learn
from export.recipes.speech_sounds.transcribed import LICENCES, utterances
from export.recipes.speech_sounds.utterances import STRIDE, Utterances, gathered
from export.training.start import FEATURES, START
from stream.inference.card import ModelCard


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--cache", type=click.Path(path_type=Path), help="Where packages and features are kept.")
@click.option("--passes", default=10, show_default=True, help="Over all utterances.")
def main(out: Path, cache: Path | None, passes: int) -> None:
    """Make the start."""
    cache = cache or default_cache().parent / "packages"
    kept = cache / "speech-sounds.npz"
    if not kept.is_file():
        gathered(utterances(cache, np.random.default_rng(1)), click.echo).save(kept)
    data = Utterances.load(kept)
    hours = float(data.length.sum()) / FEATURES.frame_rate / 3600
    click.echo(f"{len(data.source)} utterances, {hours:.1f} h, {len(data.sounds)} sounds: {data.sounds}")
    network = learn(data, passes, click.echo)
    card = ModelCard(
        name="speech sounds", labels=("nothing new", *data.sounds), activation="softmax",
        features=FEATURES, stride=STRIDE,
        created=datetime.now(UTC).isoformat(timespec="seconds"), licence="Apache-2.0", sources=LICENCES,
        provenance={"utterances": len(data.source), "hours": round(hours, 2), "passes": passes},
    )  # fmt: skip
    save_model(out / START, network, card)


if __name__ == "__main__":
    main()
