"""Gathered sources and composed streams, made once and kept."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from export.recipes.speech_music_noise.parallel import run_parallel
from export.recipes.speech_music_noise.recipe_settings import FEATURES, RecipeSettings
from export.recipes.speech_music_noise.scenes.cases import CASES, training_mixes
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
    """A set of streams to compose: ``count`` of ``seconds`` each, from the recordings of one side.

    Of several mixes, stream i has that of its turn.
    """

    name: str
    side: Side
    mix: Mix | tuple[Mix, ...]
    count: int
    seconds: float
    seed: int


VALIDATION_SETS = (
    StreamSet("plain", "plain", PLAIN, 20, STREAM_SECONDS, 7),
    StreamSet("plain-no-speech", "plain", PLAIN_NO_SPEECH, 60, 180.0, 8),
    StreamSet("hard", "hard", HARD, 30, STREAM_SECONDS, 7),
    StreamSet("hard-no-speech", "hard", HARD_NO_SPEECH, 20, 180.0, 8),
)
# A validation for each case that networks get wrong; name of the set: "case-" and that of the case.
CASE_SETS = tuple(
    StreamSet(f"case-{name}", "hard", case.validation, 10, STREAM_SECONDS, 7) for name, case in CASES.items()
)
# Thresholds and rules are chosen on so many further draws of the validation beside the first.
FURTHER_DRAWS = 2


@dataclass(frozen=True, eq=False)
class RecipeData:
    """Training streams by round, the two validations and those of the cases, and every source's licence.

    ``further`` are more draws of the plain and hard validation, on which thresholds are chosen as well.
    """

    rounds: tuple[ComposedStreams, ...]
    plain: ValidationStreams
    hard: ValidationStreams
    licences: dict[str, str]
    digest: str
    cases: dict[str, ComposedStreams] = field(default_factory=dict)
    further: tuple[tuple[ValidationStreams, ValidationStreams], ...] = ()

    def round_order(self, seed: int, passes: int) -> tuple[int, ...]:
        """The rounds to learn from, epoch by epoch: all of them ``passes`` times, each time in another order."""
        rng = np.random.default_rng(seed)
        return tuple(int(index) for _ in range(passes) for index in rng.permutation(len(self.rounds)))


def prepare(cache: Path, recordings: Path | None, settings: RecipeSettings, jobs: int) -> None:
    """Gather the corpora and compose all streams; what is already in ``cache`` is kept."""
    gather(cache, recordings, jobs)
    sets = (*_rounds(settings), *VALIDATION_SETS, *CASE_SETS, *_further_sets())
    for made in run_parallel(jobs, compose_set, [(cache, each) for each in sets]):
        hours = made.count * made.seconds / 3600
        print(f"composed {made.name}: {hours:.1f} h", file=sys.stderr, flush=True)


def load(cache: Path, settings: RecipeSettings) -> RecipeData:
    """What ``prepare`` made."""
    rounds = tuple(load_set(cache, each) for each in _rounds(settings))
    plain, hard = _validations(cache, 0)
    sides = [_bank(cache, "train"), _bank(cache, "hard")]
    whole = hashlib.sha256("".join(bank.digest for bank in sides).encode()).hexdigest()[:16]
    licences = {source: licence for bank in sides for source, licence in bank.licences.items()}
    return RecipeData(
        rounds,
        plain,
        hard,
        licences,
        whole,
        {each.name.removeprefix("case-"): load_set(cache, each) for each in CASE_SETS},
        tuple(_validations(cache, draw) for draw in range(1, FURTHER_DRAWS + 1)),
    )


def another_draw(wanted: StreamSet, draw: int) -> StreamSet:
    """A draw of a validation set: other scenes of the same recordings; draw 0 is the set itself."""
    if not draw:
        return wanted
    return replace(wanted, name=f"{wanted.name}-draw-{draw}", seed=wanted.seed + 1000 * draw)


def _further_sets() -> tuple[StreamSet, ...]:
    return tuple(another_draw(each, draw) for each in VALIDATION_SETS for draw in range(1, FURTHER_DRAWS + 1))


def _validations(cache: Path, draw: int) -> tuple[ValidationStreams, ValidationStreams]:
    """Plain and hard."""
    plain, plain_no_speech, hard, hard_no_speech = (
        load_set(cache, another_draw(each, draw)) for each in VALIDATION_SETS
    )
    return ValidationStreams(plain, plain_no_speech), ValidationStreams(hard, hard_no_speech)


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
    mixes = training_mixes(frozenset(settings.without), settings.noise_heard_db, TRAIN)
    return tuple(
        StreamSet(f"round-{index}", "train", mixes, count, STREAM_SECONDS, 100 + index)
        for index in range(settings.rounds)
    )


def _bank(cache: Path, side: Side) -> Bank:
    if side == "train":
        return Bank(cache / "bank", "train")
    return Bank(cache / "bank", "validation", without=NOT_IN_PLAIN if side == "plain" else frozenset())
