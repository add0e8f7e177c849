"""Gathered sources and composed streams, made once and kept."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from export.recipes.speech_music_noise.parallel import at_once
from export.recipes.speech_music_noise.training.streams import Streams, Trial, make_streams, scenes
from export.recipes.speech_music_noise.settings import FEATURES, Plan
from export.recipes.speech_music_noise.scenes.compose import Scene
from export.recipes.speech_music_noise.scenes.mix import NOT_PLAIN, PLAIN, PLAIN_QUIET, QUIET, TRAIN, VALIDATION, Mix
from export.recipes.speech_music_noise.sources.bank import Bank
from export.recipes.speech_music_noise.sources.gather import gather

Side = Literal["train", "plain", "hard"]


@dataclass(frozen=True)
class Order:
    """A set of streams to compose: S of ``seconds`` each."""

    name: str
    side: Side
    mix: Mix
    streams: int
    seconds: float
    seed: int


TRIALS = (
    Order("plain", "plain", PLAIN, 20, 120.0, 7),
    Order("plain-quiet", "plain", PLAIN_QUIET, 60, 180.0, 8),
    Order("hard", "hard", VALIDATION, 30, 120.0, 7),
    Order("hard-quiet", "hard", QUIET, 20, 180.0, 8),
)


@dataclass(frozen=True, eq=False)
class Data:
    """Training streams by round, the two validations, and every source's licence."""

    rounds: tuple[Streams, ...]
    plain: Trial
    hard: Trial
    licences: dict[str, str]
    digest: str

    def lessons(self, seed: int, times: int) -> tuple[int, ...]:
        """The rounds to play, pass by pass: all of them ``times`` over, each time in another order."""
        rng = np.random.default_rng(seed)
        return tuple(int(turn) for _ in range(times) for turn in rng.permutation(len(self.rounds)))


def prepare(cache: Path, recordings: Path | None, plan: Plan, jobs: int) -> None:
    """Gather the corpora and compose all streams; what is already in ``cache`` is kept."""
    gather(cache, recordings, jobs)
    orders = (*_rounds(plan), *TRIALS)
    for order in at_once(jobs, compose_streams, [(cache, order) for order in orders]):
        hours = order.streams * order.seconds / 3600
        print(f"composed {order.name}: {hours:.1f} h", file=sys.stderr, flush=True)


def load(cache: Path, plan: Plan) -> Data:
    """What ``prepare`` made."""
    rounds = tuple(streams(cache, order) for order in _rounds(plan))
    plain, plain_quiet, hard, hard_quiet = (streams(cache, order) for order in TRIALS)
    sides = [_bank(cache, "train"), _bank(cache, "hard")]
    whole = hashlib.sha256("".join(bank.digest for bank in sides).encode()).hexdigest()[:16]
    licences = {source: licence for bank in sides for source, licence in bank.licences.items()}
    return Data(rounds, Trial(plain, plain_quiet), Trial(hard, hard_quiet), licences, whole)


def compose_streams(cache: Path, order: Order) -> Order:
    """Compose one set, unless it is there."""
    streams(cache, order)
    return order


def again(cache: Path, order: Order) -> Iterator[Scene]:
    """The scenes of a set once more, with their sound; the banks must be there."""
    bank = _bank(cache, order.side)
    return scenes(bank, order.mix, streams=order.streams, seconds=order.seconds, seed=order.seed)


def _rounds(plan: Plan) -> tuple[Order, ...]:
    count = round(plan.hours * 30)
    return tuple(
        Order(f"round-{turn}", "train", TRAIN, count, 120.0, 100 + turn) for turn in range(plan.rounds)
    )


def _bank(cache: Path, side: Side) -> Bank:
    if side == "train":
        return Bank(cache / "bank", "train")
    return Bank(cache / "bank", "validation", without=NOT_PLAIN if side == "plain" else frozenset())


def streams(cache: Path, order: Order) -> Streams:
    """One set, composed unless it is there."""
    bank = _bank(cache, order.side)
    made_of = hashlib.sha256(f"{order}{FEATURES.digest}{bank.digest}".encode()).hexdigest()[:12]
    folder = cache / "streams" / f"{order.name}-{made_of}"
    return make_streams(
        bank, order.mix, FEATURES, folder, streams=order.streams, seconds=order.seconds, seed=order.seed
    )
