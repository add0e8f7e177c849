"""How much speech --no-speech and redact let through, and what else they silence, beside silero-vad.

    python -m export.recipes.speech_music_noise.release.redaction          (from a clone)

On scenes composed of the validation recordings, plain and hard. The rule of `stream.privacy` was chosen on draws 1, 3
and 4 of them; by default another one is measured. Frames are 10 ms. A frame of speech remains if one sample of it is
given out, and one of other sound is lost if one sample is silenced. silero-vad silences from where its probability
reaches a threshold to where it is 0.15 below, as its own functions have it, and the padding on both sides.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.recipes.speech_music_noise.release.draws import draw_of
from export.recipes.speech_music_noise.release.peers import Predict, silero
from export.recipes.speech_music_noise.release.tables import table
from export.recipes.speech_music_noise.scenes.compose import Scene
from export.recipes.speech_music_noise.scenes.labels import CELL_SAMPLES
from export.recipes.speech_music_noise.sources.gather import gather
from export.recipes.speech_music_noise.sources.rules import SAMPLE_RATE
from export.recipes.speech_music_noise.training.data import compose_again
from stream.errors import StreamClassifyError
from stream.inference.session import Model
from stream.messages import Scores
from stream.privacy.speech_mask import SpeechMask
from stream.privacy.speech_rule import MODEL, SpeechRule
from stream.recording import classify

Bools = NDArray[np.bool_]
Silence = Callable[[Scene], Bools]  # (n,) of the samples: which are silenced
STRETCH_CELLS = 30  # speech that remains for 0.3 s in one piece may be understood
NO_SPEECH_SCENES = 10  # of 3 minutes
THRESHOLDS = (0.5, 0.2, 0.1, 0.06, 0.04, 0.03, 0.02)
SILERO = ((0.5, 0.03), (0.5, 0.7), (0.2, 0.7), (0.1, 0.7), (0.02, 0.7))  # threshold, padding in seconds
SILERO_HYSTERESIS = 0.15


@dataclass
class Figures:
    """What a tool did to the scenes, frame by frame.

    Attributes:
        remaining, speech: frames of speech that are given out, and all.
        stretches: of 0.3 s and more, in which speech remains.
        lost, wanted: frames of music or noise, and no speech, that are silenced; and all.
        lost_alone, alone: the same in scenes without any speech.
        cells: in scenes with speech.
    """

    remaining: int = 0
    speech: int = 0
    stretches: int = 0
    lost: int = 0
    wanted: int = 0
    lost_alone: int = 0
    alone: int = 0
    cells: int = 0

    def add(self, scene: Scene, silenced: Bools) -> None:
        """Count a scene in which there may be speech."""
        cells = silenced.reshape(-1, CELL_SAMPLES)
        speech = scene.active[:, 0]
        remains: Bools = np.logical_and(speech, ~cells.all(axis=1))
        self.remaining += int(remains.sum())
        self.speech += int(speech.sum())
        edges = np.flatnonzero(np.diff(remains.astype(np.int8), prepend=0, append=0))
        self.stretches += int(np.sum(edges[1::2] - edges[::2] >= STRETCH_CELLS))
        wanted = scene.active[:, 1:].any(axis=1) & ~speech
        self.lost += int(np.sum(cells.any(axis=1) & wanted))
        self.wanted += int(wanted.sum())
        self.cells += len(cells)

    def add_alone(self, scene: Scene, silenced: Bools) -> None:
        """Count a scene in which nobody speaks."""
        wanted = scene.active.any(axis=1)
        self.lost_alone += int(np.sum(silenced.reshape(-1, CELL_SAMPLES).any(axis=1) & wanted))
        self.alone += int(wanted.sum())

    def row(self) -> list[str]:
        """For the table."""
        hours = self.cells * CELL_SAMPLES / SAMPLE_RATE / 3600
        return [
            f"{100 * self.remaining / self.speech:.3f} %",
            f"{self.stretches / hours:.1f}",
            f"{100 * self.lost / self.wanted:.0f} %",
            f"{100 * self.lost_alone / self.alone:.0f} %",
        ]


@dataclass
class Ours:
    """The mask of `stream.privacy`, with several thresholds on the same scores."""

    model: Model = field(default_factory=lambda: Model.bundled(MODEL))
    _heard: tuple[Scene, Scores] | None = None

    def silence(self, scene: Scene, rule: SpeechRule) -> Bools:
        """What the rule silences."""
        if self._heard is None or self._heard[0] is not scene:
            self._heard = scene, classify(scene.samples, self.model).scores
        scores = self._heard[1]
        silenced = np.ones(len(scene.samples), bool)
        for start, end in SpeechMask(rule, scores.sample_rate, scores.hop).push(scores):
            silenced[max(start, 0) : max(end, 0)] = False
        return silenced

    def with_rule(self, rule: SpeechRule) -> Silence:
        return lambda scene: self.silence(scene, rule)


@dataclass
class Silero:
    """silero-vad as a mask, with several thresholds on the same scores."""

    predict: Predict
    _heard: tuple[Scene, NDArray[np.float32]] | None = None

    def silence(self, scene: Scene, threshold: float, padding: float) -> Bools:
        """What a threshold silences, with the padding in seconds."""
        if self._heard is None or self._heard[0] is not scene:
            self._heard = scene, self.predict(scene.samples)["speech"]
        end = max(threshold - SILERO_HYSTERESIS, 0.01)
        silenced = np.zeros(len(scene.samples), bool)
        pad, speaking = round(padding * SAMPLE_RATE), False
        for cell, score in enumerate(self._heard[1].tolist()):
            speaking = score >= (end if speaking else threshold)
            if speaking:
                silenced[max(cell * CELL_SAMPLES - pad, 0) : (cell + 1) * CELL_SAMPLES + pad] = True
        return silenced

    def with_rule(self, threshold: float, padding: float) -> Silence:
        return lambda scene: self.silence(scene, threshold, padding)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m export.recipes.speech_music_noise.release.redaction",
        description=(__doc__ or "").splitlines()[0],
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("runs/speech_music_noise"),
        help="the recipe's; validation recordings that its banks lack are fetched",
    )
    parser.add_argument("--recordings", type=Path, help="folder with ambience/, commands/, digits/")
    parser.add_argument("--draw", type=int, default=2, help="of the validation")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes that gather")
    given = parser.parse_args()
    try:
        gather(given.cache, given.recordings, given.jobs, "validation")
        tools = list(compared_tools())
        for side in ("plain", "hard"):
            print(f"\n{side}, draw {given.draw}\n")
            print(measured(tools, given.cache, side, given.draw), flush=True)
    except StreamClassifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def compared_tools() -> Iterator[tuple[str, Silence]]:
    """Names of tools with their settings, and what they do."""
    ours, rule = Ours(), SpeechRule()
    for threshold in THRESHOLDS:
        name = f"threshold {threshold:g}" + (" (default)" if threshold == rule.threshold else "")
        yield name, ours.with_rule(replace(rule, threshold=threshold))
    yield "labels, with the same margins", lambda scene: from_labels(scene, rule)
    if find_spec("silero_vad") is None:
        print("left out: silero-vad is not installed; pip install silero-vad", file=sys.stderr)
        return
    theirs = Silero(silero())
    for threshold, padding in SILERO:
        name = f"silero-vad {version('silero-vad')}, threshold {threshold:g}, padding {padding:g} s"
        yield name, theirs.with_rule(threshold, padding)


def measured(tools: Sequence[tuple[str, Silence]], cache: Path, side: str, draw: int) -> str:
    """A Markdown table of all tools on one validation."""
    found = {name: Figures() for name, _ in tools}
    for scene in shown(compose_again(cache, draw_of(side, draw)), side):
        for name, silence in tools:
            found[name].add(scene, silence(scene))
    alone = islice(compose_again(cache, draw_of(f"{side}-no-speech", draw)), NO_SPEECH_SCENES)
    for scene in shown(alone, f"{side}, no speech"):
        for name, silence in tools:
            found[name].add_alone(scene, silence(scene))
    head = [
        "",
        "speech that remains",
        "stretches over 0.3 s an hour",
        "other sound lost",
        "where nobody speaks",
    ]
    return table(head, [[name, *figures.row()] for name, figures in found.items()])


def shown(scenes: Iterator[Scene], what: str) -> Iterator[Scene]:
    """The scenes, each said on standard error when its turn comes."""
    for number, scene in enumerate(scenes, 1):
        print(f"{what}: scene {number}", file=sys.stderr, flush=True)
        yield scene


def from_labels(scene: Scene, rule: SpeechRule) -> Bools:
    """What a detector that is always right would silence."""
    before, after = round(rule.before * SAMPLE_RATE), round(rule.after * SAMPLE_RATE)
    silenced = np.zeros(len(scene.samples), bool)
    for cell in np.flatnonzero(scene.active[:, 0]):
        silenced[max(cell * CELL_SAMPLES - before, 0) : (cell + 1) * CELL_SAMPLES + after] = True
    return silenced


if __name__ == "__main__":
    sys.exit(main())
