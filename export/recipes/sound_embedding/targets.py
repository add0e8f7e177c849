"""What the teachers say of each chunk, and how much of it is to be learnt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from export.recipes.sound_embedding.chunks import Material
from export.recipes.sound_embedding.convolutions import SOUND_WIDTH, SPEECH_WIDTH
from export.recipes.speech_embedding import SpeechEmbedding
from export.recipes.yamnet import Yamnet
from stream.features.frontend import extract
from stream.features.spec import MfccSpec

Array = NDArray[np.float32]
FRAMES, SPEECH_ROWS, SOUND_ROWS = 496, 124, 20  # of a chunk: every 20 ms, 80 ms and 480 ms
SHRINK = 0.01  # of the largest variance


@dataclass(frozen=True, eq=False)
class Targets:
    """Chunks as the network hears them, and what the teachers say.

    Attributes:
        mel: (n, FRAMES, 48) float16, dB.
        speech: (n, SPEECH_ROWS, 96) float16.
        sound: (n, SOUND_ROWS, 64) float16; the first row of each heard silence too.
    """

    mel: NDArray[np.float16]
    speech: NDArray[np.float16]
    sound: NDArray[np.float16]


def make_targets(
    material: Material, spec: MfccSpec, speech: Path, yamnet: Path, count: int, rng: np.random.Generator
) -> Targets:
    """Compose ``count`` chunks and ask both teachers, whose files are given."""
    mel_spec = msgspec.structs.replace(spec, n_mfcc=None)
    words, things = SpeechEmbedding(speech), Yamnet(yamnet)
    mel, spoken, heard = [], [], []
    for _ in range(count):
        chunk = material.chunk(rng)
        mel.append(extract(chunk, mel_spec).astype(np.float16)[:FRAMES])
        spoken.append(_asked(words, chunk)[:SPEECH_ROWS])
        heard.append(_asked(things, chunk)[:SOUND_ROWS])
    return Targets(
        np.stack(mel),
        _equalised(np.stack(spoken), np.stack(spoken), SPEECH_WIDTH),
        _equalised(np.stack(heard), np.stack(heard)[:, 1:], SOUND_WIDTH),
    )


def _asked(teacher: SpeechEmbedding | Yamnet, chunk: Array) -> NDArray[np.float16]:
    features = extract(chunk, teacher.spec)
    whole = features[: len(features) // teacher.stride * teacher.stride]
    with torch.no_grad():
        rows: NDArray[np.float16] = teacher(torch.from_numpy(whole[None]))[0][0].numpy().astype(np.float16)
    return rows


def _equalised(rows: NDArray[np.float16], seen: NDArray[np.float16], width: int) -> NDArray[np.float16]:
    """The ``width`` directions of most variance, made nearly equally important."""
    flat = seen[::3].reshape(-1, seen.shape[2]).astype(np.float32)
    mean = flat.mean(0)
    values, vectors = np.linalg.eigh(np.cov((flat - mean).T))
    turn = vectors[:, ::-1][:, :width] / np.sqrt(values[::-1][:width] + SHRINK * values[-1])
    turned: NDArray[np.float16] = ((rows.astype(np.float32) - mean) @ turn.astype(np.float32)).astype(
        np.float16
    )
    return turned
