"""Make the front of ``stream-classify teach``: fetch, compose, ask the teachers, learn, write.

    python -m export.recipes.sound_embedding.make_front --speech embedding_model.onnx --yamnet YamNet_w8a8.onnx.zip \\
        --out assets

Needs Debian or Ubuntu, espeak-ng and flite; about an hour on one core. The bundled file came of a draft of this recipe
(2 439 steps; rate by the clock, recordings drawn by their number); in this form it has not been run as a whole.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import torch

from export.data.cache import default_cache
from export.recipes.sound_embedding.chunks import Material, licences
from export.recipes.sound_embedding.convolutions import SoundEmbedding
from export.recipes.sound_embedding.learning_from import learn
from export.recipes.sound_embedding.release import write_front, write_known
from export.recipes.sound_embedding.targets import Targets, make_targets
from stream.features.spec import MfccSpec
from stream.inference.session import Model

SOURCES = [
    "Google speech embedding: Apache-2.0 (teacher)",
    "YAMNet: Apache-2.0 (teacher)",
    "espeak-ng and flite voices",
]


@click.command()
@click.option(
    "--speech", type=click.Path(exists=True, path_type=Path), required=True, help="The speech embedding."
)
@click.option("--yamnet", type=click.Path(exists=True, path_type=Path), required=True, help="YAMNet.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--hours", default=6.0, show_default=True, help="Of sound.")
@click.option("--steps", default=2440, show_default=True, help="Of training.")
def main(speech: Path, yamnet: Path, out: Path, hours: float, steps: int) -> None:
    """Make the front."""
    rng = np.random.default_rng(1)
    spec = Model.bundled("default", provider="cpu").card.features
    assert isinstance(spec, MfccSpec)
    material = Material.gathered(default_cache().parent / "packages", rng)
    targets = make_targets(material, spec, speech, yamnet, round(hours * 360), rng)
    network = learn(targets, steps, click.echo)
    provenance = {"hours": hours, "steps": steps, "teachers": ["speech embedding", "YAMNet"]}
    write_front(network, spec, out / "embedding.onnx", [*SOURCES, *licences()], provenance)
    write_known(_rows(network, targets), out / "embedding-background.npz")


def _rows(network: SoundEmbedding, targets: Targets) -> np.ndarray:
    with torch.no_grad():
        parts = [network(torch.from_numpy(mel[None]).float())[0].numpy() for mel in targets.mel]
    return np.stack(parts)


if __name__ == "__main__":
    main()
