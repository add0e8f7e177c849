"""The recipe from nothing to proven model files, step by step."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from export.recipes.speech_music_noise.parallel import at_once
from export.recipes.speech_music_noise.training.data import load, prepare
from export.recipes.speech_music_noise.training.distillation import lecture, student, teacher
from export.recipes.speech_music_noise.settings import Plan
from export.recipes.speech_music_noise.release.publish import publish


def build(
    names: list[str], cache: Path, recordings: Path | None, plan: Plan, out: Path, jobs: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Gather, compose, train, calibrate, export and measure; each model's name and report when it is done.

    What is done is kept in ``cache``; a run that was stopped goes on from there.

    Raises:
        DataError: a package or its recordings cannot be had.
        ExportError: training or export failed; that model is not written to ``out``.
    """
    prepare(cache, recordings, plan, jobs)
    out.mkdir(parents=True, exist_ok=True)
    scores = dict(
        zip(
            plan.teachers,
            at_once(jobs, teacher, [(cache, plan, seed) for seed in plan.teachers]),
            strict=True,
        )
    )
    best = max(scores, key=lambda seed: scores[seed])
    print(f"teachers: {scores}", file=sys.stderr, flush=True)
    for _ in at_once(jobs, lecture, [(cache, plan, turn) for turn in range(plan.rounds)]):
        pass
    tasks = [(name, cache, plan, out, best) for name in names]
    yield from zip(names, at_once(jobs, finish, tasks), strict=True)


def finish(name: str, cache: Path, plan: Plan, out: Path, best_teacher: int) -> dict[str, Any]:
    """Train and publish one model; its report."""
    data = load(cache, plan)
    model, figures = student(name, data, cache, plan, best_teacher)
    return publish(name, model, data, plan, out, cache / "runs", figures)
