"""Teachers, and what they teach: the training of one network of the recipe, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from export.models import FrameClassifier, ModelConfig, preset
from export.recipes.speech_music_noise.training.streams import Playlist, Programme
from export.recipes.speech_music_noise.training.network import fresh, judged, opinion, settle, train
from export.recipes.speech_music_noise.training.data import Data, load
from export.recipes.speech_music_noise.settings import DELAY, FEATURES, SHAPES, Plan
from export.recipes.speech_music_noise.sources.rules import KINDS
from export.training import FitConfig


class Lines:
    """A line on stderr after every pass, with the name of the network: several may be training at once."""

    def __init__(self, name: str) -> None:
        self.name, self.passes = name, 0

    def start_epoch(self, epoch: int, epochs: int, steps: int | None) -> None:
        self.passes = epochs

    def step(self, loss: float) -> None:
        pass

    def end_epoch(self, record: dict[str, float], best: bool) -> None:
        shown = "  ".join(
            f"{key.removeprefix('val_')} {value:.3f}" for key, value in record.items() if key.endswith("_f1")
        )
        score = f"loss {record['loss']:.4f}  score {record['val_score']:.4f}{'*' if best else ' '}"
        turn = f"pass {int(record['epoch']) + 1} of {self.passes}"
        print(f"{self.name}  {turn}  {score}  {shown}", file=sys.stderr, flush=True)


def configuration(name: str) -> ModelConfig:
    return preset("crnn", features=FEATURES.n_features, classes=len(KINDS), **SHAPES[name])


def teacher(cache: Path, plan: Plan, seed: int) -> float:
    """Train a teacher, or take it from ``cache``; the score of its best pass."""
    return _teacher(load(cache, plan), cache, plan, seed)[1]["val_score"]


def lecture(cache: Path, plan: Plan, turn: int) -> None:
    """Keep what the teachers say to a round."""
    data = load(cache, plan)
    models = [_teacher(data, cache, plan, seed)[0] for seed in plan.teachers]
    opinion(models, data.rounds[turn], _said(cache, turn))


def student(
    name: str, data: Data, cache: Path, plan: Plan, best_teacher: int
) -> tuple[FrameClassifier, dict[str, float]]:
    """Train one of the published networks; it and its figures."""
    seed = plan.seeds[name]
    model = fresh(configuration(name), data.rounds[0], seed)
    if name == "default":  # the teachers have its shape
        model = _teacher(data, cache, plan, best_teacher)[0]
    _learn(model, name, name, seed, data, cache, plan, taught=True)
    settle(model, _folder(cache, name, seed))
    judge = judged(data.plain.mixed, data.hard.mixed, FEATURES, DELAY)
    return model, {f"val_{key}": value for key, value in judge(model).items()}


def _teacher(data: Data, cache: Path, plan: Plan, seed: int) -> tuple[FrameClassifier, dict[str, float]]:
    model = fresh(configuration("default"), data.rounds[0], seed)
    return model, _learn(model, "teacher", f"teacher {seed}", seed, data, cache, plan, taught=False)


def _learn(
    model: FrameClassifier,
    role: str,
    shown: str,
    seed: int,
    data: Data,
    cache: Path,
    plan: Plan,
    *,
    taught: bool,
) -> dict[str, float]:
    """Leave the weights of the best pass in ``model``; its figures."""
    lessons = data.lessons(seed, plan.times[role])
    fitting = FitConfig(
        activation="sigmoid",
        epochs=len(lessons),
        learning_rate=plan.rates[role],
        warmup=0.3,
        average=plan.average,
        memory=plan.memory,
        monitor="score",
        seed=seed,
    )
    heard = [
        Playlist(
            streams, FEATURES, seed=seed, shake=1.5, narrow=0.3, delay=DELAY,
            teacher=opinion((), streams, _said(cache, turn)) if taught else None,
            trust=plan.trust,
        )
        for turn, streams in enumerate(data.rounds)
    ]  # fmt: skip
    programme = Programme(tuple(heard[turn] for turn in lessons))
    judge = judged(data.plain.mixed, data.hard.mixed, FEATURES, DELAY)
    return train(
        model, programme, judge, fitting, folder=_folder(cache, role, seed), report=Lines(shown)
    ).best


def _folder(cache: Path, role: str, seed: int) -> Path:
    return cache / "runs" / f"{role}-{seed}"


def _said(cache: Path, turn: int) -> Path:
    return cache / "runs" / f"taught-{turn}.npy"
