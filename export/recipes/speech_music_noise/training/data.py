"""Gathered sources and composed streams, made once and kept."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from export.recipes.speech_music_noise.parallel import run_parallel
from export.recipes.speech_music_noise.recipe_settings import FEATURES, RecipeSettings
from export.recipes.speech_music_noise.scenes.compose import Scene
from export.recipes.speech_music_noise.scenes.mix import (
    HARD,
    HARD_NO_SPEECH,
    NOT_IN_PLAIN,
    PLAIN,
    PLAIN_NO_SPEECH,
    TRAIN,
    Mix,
)
from export.recipes.speech_music_noise.sources.bank import Bank
from export.recipes.speech_music_noise.sources.gather import gather
from export.recipes.speech_music_noise.training.streams import (
    ComposedStreams,
    ValidationStreams,
    compose_scenes,
    make_streams,
)

Side = Literal["train", "plain", "hard"]
STREAM_SECONDS = 120.0


@dataclass(frozen=True)
class StreamSet:
    """A set of streams to compose: ``count`` of ``seconds`` each, from the recordings of one side."""

    name: str
    side: Side
    mix: Mix
    count: int
    seconds: float
    seed: int


VALIDATION_SETS = (
    StreamSet("plain", "plain", PLAIN, 20, STREAM_SECONDS, 7),
    StreamSet("plain-no-speech", "plain", PLAIN_NO_SPEECH, 60, 180.0, 8),
    StreamSet("hard", "hard", HARD, 30, STREAM_SECONDS, 7),
    StreamSet("hard-no-speech", "hard", HARD_NO_SPEECH, 20, 180.0, 8),
)


@dataclass(frozen=True, eq=False)
class RecipeData:
    """Training streams by round, the two validations, and every source's licence."""

    rounds: tuple[ComposedStreams, ...]
    plain: ValidationStreams
    hard: ValidationStreams
    licences: dict[str, str]
    digest: str

    def round_order(self, seed: int, passes: int) -> tuple[int, ...]:
        """The rounds to learn from, epoch by epoch: all of them ``passes`` times, each time in another order."""
        rng = np.random.default_rng(seed)
        return tuple(int(index) for _ in range(passes) for index in rng.permutation(len(self.rounds)))


def prepare(cache: Path, recordings: Path | None, settings: RecipeSettings, jobs: int) -> None:
    """Gather the corpora and compose all streams; what is already in ``cache`` is kept."""
    gather(cache, recordings, jobs)
    sets = (*_rounds(settings), *VALIDATION_SETS)
    for made in run_parallel(jobs, compose_set, [(cache, each) for each in sets]):
        hours = made.count * made.seconds / 3600
        print(f"composed {made.name}: {hours:.1f} h", file=sys.stderr, flush=True)


def load(cache: Path, settings: RecipeSettings) -> RecipeData:
    """What ``prepare`` made."""
    rounds = tuple(load_set(cache, each) for each in _rounds(settings))
    plain, plain_no_speech, hard, hard_no_speech = (load_set(cache, each) for each in VALIDATION_SETS)
    sides = [_bank(cache, "train"), _bank(cache, "hard")]
    whole = hashlib.sha256("".join(bank.digest for bank in sides).encode()).hexdigest()[:16]
    licences = {source: licence for bank in sides for source, licence in bank.licences.items()}
    return RecipeData(
        rounds,
        ValidationStreams(plain, plain_no_speech),
        ValidationStreams(hard, hard_no_speech),
        licences,
        whole,
    )


def compose_set(cache: Path, wanted: StreamSet) -> StreamSet:
    """Compose one set, unless it is there."""
    load_set(cache, wanted)
    return wanted


def compose_again(cache: Path, wanted: StreamSet) -> Iterator[Scene]:
    """The scenes of a set once more, with their sound; the banks must be there."""
    bank = _bank(cache, wanted.side)
    return compose_scenes(bank, wanted.mix, count=wanted.count, seconds=wanted.seconds, seed=wanted.seed)


def load_set(cache: Path, wanted: StreamSet) -> ComposedStreams:
    """One set, composed unless it is there."""
    bank = _bank(cache, wanted.side)
    made_of = hashlib.sha256(f"{wanted}{FEATURES.digest}{bank.digest}".encode()).hexdigest()[:12]
    folder = cache / "streams" / f"{wanted.name}-{made_of}"
    return make_streams(
        bank, wanted.mix, FEATURES, folder, count=wanted.count, seconds=wanted.seconds, seed=wanted.seed
    )


def streams_in(hours: float) -> int:
    """Streams of two minutes in so many hours."""
    return round(hours * 3600 / STREAM_SECONDS)


def _rounds(settings: RecipeSettings) -> tuple[StreamSet, ...]:
    count = streams_in(settings.hours)
    return tuple(
        StreamSet(f"round-{index}", "train", TRAIN, count, STREAM_SECONDS, 100 + index)
        for index in range(settings.rounds)
    )


def _bank(cache: Path, side: Side) -> Bank:
    if side == "train":
        return Bank(cache / "bank", "train")
    return Bank(cache / "bank", "validation", without=NOT_IN_PLAIN if side == "plain" else frozenset())
