"""The recipe from nothing to proven model files, step by step."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from export.recipes.speech_music_noise.parallel import run_parallel
from export.recipes.speech_music_noise.recipe_settings import RecipeSettings
from export.recipes.speech_music_noise.release.publish import publish
from export.recipes.speech_music_noise.training.bundled import network_of
from export.recipes.speech_music_noise.training.data import load, prepare
from export.recipes.speech_music_noise.training.distillation import (
    example_of,
    runs_folder,
    train_published,
    train_teacher,
    write_teacher_targets,
)
from export.recipes.speech_music_noise.training.further import pass_seconds, train_further


def build(
    names: list[str], cache: Path, recordings: Path | None, settings: RecipeSettings, out: Path, jobs: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Gather, compose, train, calibrate, export and measure; each model's name and report when it is done.

    What is done is kept in ``cache``; a run that was stopped continues from there.

    Raises:
        DataError: a package or its recordings cannot be had.
        ExportError: training or export failed; that model is not written to ``out``.
    """
    prepare(cache, recordings, settings, jobs)
    out.mkdir(parents=True, exist_ok=True)
    tasks = [(cache, settings, seed) for seed in settings.teacher_seeds]
    scores = dict(zip(settings.teacher_seeds, run_parallel(jobs, train_teacher, tasks), strict=True))
    best = max(scores, key=lambda seed: scores[seed])
    print(f"teachers: {scores}", file=sys.stderr, flush=True)
    rounds = [(cache, settings, index) for index in range(settings.rounds)]
    for _ in run_parallel(jobs, write_teacher_targets, rounds):
        pass
    finishing = [(name, cache, settings, out, best) for name in names]
    yield from zip(names, run_parallel(jobs, finish, finishing), strict=True)


def finish(name: str, cache: Path, settings: RecipeSettings, out: Path, best_teacher: int) -> dict[str, Any]:
    """Train and publish one model; its report."""
    data = load(cache, settings)
    model, figures = train_published(name, data, cache, settings, best_teacher)
    return publish(name, model, data, settings, out, runs_folder(cache, settings), figures)


def build_further(
    names: list[str],
    cache: Path,
    recordings: Path | None,
    settings: RecipeSettings,
    out: Path,
    jobs: int,
    *,
    start: Path,
    minutes: float | None = None,
    passes: int | None = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Gather and compose, then train published models further and publish them; each model's name and report.

    Args:
        start: folder with the files that training goes on from, NAME.onnx.
        minutes: of training; how many passes that makes is measured, and said, for a control of equal length.
        passes: through one round each; instead of minutes.

    Raises:
        DataError, ExportError: see ``build``.
        ModelError: a file in ``start`` cannot be read.
    """
    prepare(cache, recordings, settings, jobs)
    out.mkdir(parents=True, exist_ok=True)
    tasks = [(name, cache, settings, out, start, minutes, passes) for name in names]
    yield from zip(names, run_parallel(jobs, finish_further, tasks), strict=True)


def finish_further(
    name: str,
    cache: Path,
    settings: RecipeSettings,
    out: Path,
    start: Path,
    minutes: float | None,
    passes: int | None,
) -> dict[str, Any]:
    """Train one published model further and publish it; its report."""
    data = load(cache, settings)
    if passes is None:
        model = network_of(start / f"{name}.onnx", example_of(data))
        seconds = pass_seconds(model, data)
        passes = max(1, round((minutes or 1.0) * 60 / seconds))
        print(
            f"{name}: a pass takes about {seconds:.0f} s: --further-passes {passes}",
            file=sys.stderr,
            flush=True,
        )
    model, figures = train_further(name, start / f"{name}.onnx", data, cache, settings, passes)
    return publish(name, model, data, settings, out, runs_folder(cache, settings), figures)
