"""The recipe from nothing to proven model files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from export.models import FrameClassifier, ModelConfig, count_parameters, preset
from export.onnx import to_onnx
from export.recipes.rooms.bank import Bank
from export.recipes.rooms.calibrate import Heard, calibrate
from export.recipes.rooms.dataset import Playlist, Programme, Streams, Trial, make_streams
from export.recipes.rooms.gather import gather
from export.recipes.rooms.mix import NOT_PLAIN, PLAIN, PLAIN_QUIET, QUIET, TRAIN, VALIDATION, Mix
from export.recipes.rooms.report import report
from export.recipes.rooms.rules import KINDS
from export.recipes.rooms.tables import chapter
from export.recipes.rooms.training import fresh, judged, opinion, settle, train
from export.training import FitConfig, Report
from stream.features.spec import FeatureSpec
from stream.inference.card import ModelCard
from stream.inference.session import Model

# 20 ms between frames: half the cost of 10 ms, and speech, music and noise do not change faster.
FEATURES = FeatureSpec(n_fft=512, win_length=512, hop_length=320, n_mels=48, n_mfcc=48, f_min=20.0)
# Answers are about the sound of 40 ms ago: syllables are told from clicks by what follows them.
DELAY = 2
SHAPES: dict[str, dict[str, Any]] = {
    "default": {"hidden": 160, "layers": 1, "front": 5},
    "small": {"hidden": 56, "layers": 1, "front": 3},
}
DESCRIPTION = (
    "Tells speech, music and noise apart, several at once; nothing means silence. Singing counts as music. "
    "Causal, one answer every 20 ms."
)


@dataclass(frozen=True)
class Plan:
    """How much to make and how long to train.

    Training goes in four cycles, each with a set of newly composed rounds, at one learning rate that rises, then falls
    to a hundredth over the whole of the cycle. A cycle goes on from the best weights of the one before. What each plays
    is in ``Data.lessons``. In the last one, two networks of the default's shape that went through the others from
    different random weights are the teachers, of themselves and of the small network; what it ends with is the mean of
    the weights of its best and its last pass.

    Attributes:
        hours: of composed training streams in a round.
        rounds: of each set, every one with streams of its own.
        rates: highest learning rate of each cycle.
        epochs: model name -> passes, cycle by cycle; a model may leave out the last cycles.
        teachers: seeds of the teachers; their mean is taught.
        trust: share of the teachers in what is learnt, beside the labels.
        seeds: model name -> seed of its weights and of all that is drawn in training. The streams do not depend on
            it (round r of set s has the seed 100 s + r), but an even seed begins with the second set of rounds.
        average: decay of the running mean of the weights.
        memory: frames (20 ms) over which the recurrent layer may hold on to its state: without a limit some units
            remember for an hour (FitConfig.memory).
    """

    hours: float = 12.8
    rounds: tuple[int, ...] = (5, 5, 1, 4)
    rates: tuple[float, ...] = (2e-3, 1e-3, 8e-4, 8e-4)
    epochs: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"default": (4, 2, 2, 3), "small": (4, 2, 2, 3)}
    )
    teachers: tuple[int, ...] = (1, 2)
    trust: float = 0.5
    seeds: dict[str, int] = field(default_factory=lambda: {"default": 2, "small": 1})
    average: float = 0.998
    memory: float = 1000.0


@dataclass(frozen=True, eq=False)
class Data:
    """Training streams by set (one a cycle) and round, the two validations, and every source's licence."""

    sets: tuple[tuple[Streams, ...], ...]
    plain: Trial
    hard: Trial
    licences: dict[str, str]
    digest: str

    def number(self, streams: Streams) -> int:
        """100 s + r for round r of set s: the seed it was composed with."""
        return next(
            100 * number + rounds.index(streams)
            for number, rounds in enumerate(self.sets, start=1)
            if streams in rounds
        )

    def lessons(self, cycle: int, seed: int, passes: int) -> tuple[Streams, ...]:
        """What a cycle (0 to 3) plays, pass by pass.

        The first two: a set of their own, each round ``passes`` times. The third: the rounds of the first three sets,
        the newest first, and all of that again. The last: the first set once, then its own ``passes`` times over.
        """
        first, second, third, fourth = self.sets
        if cycle < 2:
            own = (first, second)[(seed - 1 + cycle) % 2]
            return tuple(streams for streams in own for _ in range(passes))
        if cycle == 2:
            return (*third, *first, *second) * passes
        return (*first, *fourth * passes)


def prepare(cache: Path, recordings: Path | None, plan: Plan) -> Data:
    """Gather the corpora and compose the streams; what is already in ``cache`` is kept."""
    banks = gather(cache, recordings)
    train_bank, validation_bank = Bank(banks, "train"), Bank(banks, "validation")
    plain_bank = Bank(banks, "validation", without=NOT_PLAIN)

    def streams(bank: Bank, mix: Mix, name: str, count: int, seconds: float, seed: int) -> Streams:
        folder = cache / "streams" / f"{name}-{count}x{seconds:g}s-{seed}-{FEATURES.digest}"
        return make_streams(bank, mix, FEATURES, folder, streams=count, seconds=seconds, seed=seed)

    count = round(plan.hours * 30)
    return Data(
        tuple(
            tuple(
                streams(train_bank, TRAIN, "train", count, 120.0, 100 * number + turn)
                for turn in range(rounds)
            )
            for number, rounds in enumerate(plan.rounds, start=1)
        ),
        Trial(
            streams(plain_bank, PLAIN, "plain", 20, 120.0, 7),
            streams(plain_bank, PLAIN_QUIET, "plain-quiet", 60, 180.0, 8),
        ),
        Trial(
            streams(validation_bank, VALIDATION, "hard", 30, 120.0, 7),
            streams(validation_bank, QUIET, "hard-quiet", 20, 180.0, 8),
        ),
        {**train_bank.licences, **validation_bank.licences},
        _digest(banks),
    )


def _digest(banks: Path) -> str:
    """Of every clip's place and side: sixteen hex digits that change when the sources do."""
    whole = hashlib.sha256()
    for index in sorted(banks.glob("*.json")):
        whole.update(index.name.encode() + index.read_bytes())
    return whole.hexdigest()[:16]


def configuration(name: str) -> ModelConfig:
    return preset("gru", features=FEATURES.n_features, classes=len(KINDS), **SHAPES[name])


def build(
    name: str, data: Data, plan: Plan, out: Path, runs: Path, shown: Report | None = None
) -> dict[str, Any]:
    """Train, calibrate, export and measure one model; its report, also written as tables beside the run.

    Raises:
        ExportError: training or export failed; nothing is written to ``out``.
    """
    last = len(plan.rates) - 1
    teachers = []
    if len(plan.epochs[name]) > last:
        teachers = [school("default", seed, data, plan, runs, shown, last)[0] for seed in plan.teachers]
    model, best = school(name, plan.seeds[name], data, plan, runs, shown, teachers=teachers)
    return publish(name, model, data, plan, out, runs, best)


def school(
    name: str,
    seed: int,
    data: Data,
    plan: Plan,
    runs: Path,
    shown: Report | None = None,
    cycles: int | None = None,
    teachers: Sequence[FrameClassifier] = (),
) -> tuple[FrameClassifier, dict[str, float]]:
    """A network after its first ``cycles`` cycles (None = all) and the figures of its best pass in the last of them.

    What ``runs`` holds of it is not done again. ``teachers`` teach the last cycle of the plan.
    """
    model = fresh(configuration(name), data.lessons(0, seed, 1)[0], seed)
    judge = judged(data.plain.mixed, data.hard.mixed, FEATURES, DELAY)
    best: dict[str, float] = {}
    for cycle, (rate, passes) in enumerate(zip(plan.rates, plan.epochs[name][:cycles], strict=False)):
        lessons = data.lessons(cycle, seed, passes)
        fitting = FitConfig(
            activation="sigmoid",
            epochs=len(lessons),
            learning_rate=rate,
            warmup=0.3,
            average=plan.average,
            memory=plan.memory,
            monitor="score",
            seed=seed + cycle,
        )
        taught = bool(teachers) and cycle == len(plan.rates) - 1
        heard = {
            streams: Playlist(
                streams, FEATURES, seed=seed + cycle, shake=1.5, narrow=0.3, delay=DELAY,
                teacher=opinion(teachers, streams, runs / f"taught-{data.number(streams)}.npy") if taught else None,
                trust=plan.trust,
            )
            for streams in dict.fromkeys(lessons)
        }  # fmt: skip
        programme = Programme(tuple(heard[streams] for streams in lessons))
        folder = runs / f"{name}-{seed}-{cycle + 1}"
        best = train(model, programme, judge, fitting, folder=folder, report=shown).best
        if taught:
            settle(model, folder)
            best = {**best, **{f"val_{name}": value for name, value in judge(model).items()}}
    return model, best


def publish(
    name: str, model: FrameClassifier, data: Data, plan: Plan, out: Path, runs: Path, training: dict[str, Any]
) -> dict[str, Any]:
    """Calibrate and export a trained network, measure the file, and put the figures into its card.

    Returns:
        "plain" and "hard" -> what ``report`` gives.
    """
    hours = plan.hours * sum(plan.rounds[: len(plan.epochs[name])])
    card = ModelCard(
        name=name, labels=KINDS, activation="sigmoid", features=FEATURES,
        detector=calibrate(
            Heard.of(model, data.plain, DELAY), Heard.of(model, data.hard, DELAY), FEATURES
        ),
        description=DESCRIPTION, author="stream-classify", licence="Apache-2.0",
        delay=DELAY, warmup=round(0.1 * FEATURES.frame_rate),
        sources=tuple(f"{source}: {licence}" for source, licence in sorted(data.licences.items())),
        provenance={
            "recipe": "python -m export.recipes.rooms",
            "seed": plan.seeds[name], "hours": hours, "corpora": data.digest,
            "network": json.loads(msgspec.json.encode(model.config)), "parameters": count_parameters(model),
            "training": {key: round(float(value), 5) for key, value in training.items()},
        },
    )  # fmt: skip
    draft = runs / f"{name}.onnx"
    to_onnx(model, draft, card, _example(data))
    measured = Model.load(draft, provider="cpu")
    figures = {"plain": report(measured, data.plain), "hard": report(measured, data.hard)}
    kept = {
        where: {
            key: part[key]
            for key in ("frames", "frames_after_8_h", "events", "false_speech_per_hour", "hours")
        }
        for where, part in figures.items()
    }
    metrics = _rounded({**kept["plain"], "hard": kept["hard"]})
    to_onnx(model, out / f"{name}.onnx", msgspec.structs.replace(card, metrics=metrics), _example(data))
    (runs / f"{name}-report.md").write_text(chapter(card, figures))
    return figures


def _example(data: Data) -> np.ndarray:
    """Real features, so that the proof runs where the model works and not where it saturates."""
    return data.plain.mixed.features[:2, :200].astype(np.float32)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
