"""python -m export.recipes.speech_music_noise: make the bundled models again, from nothing."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from export.recipes.speech_music_noise.build import build
from export.recipes.speech_music_noise.recipe_settings import NETWORK_SHAPES, RecipeSettings
from export.recipes.speech_music_noise.training.data import streams_in
from export.training import LongStreamBatches
from stream.errors import StreamClassifyError


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m export.recipes.speech_music_noise",
        description="Gather free recordings from Debian's packages, compose labelled streams, train, export "
        "and measure the bundled models. What is done is kept in --cache; run it again to continue.",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("runs/speech_music_noise"),
        help="downloads, streams, runs (about 20 GB)",
    )
    parser.add_argument(
        "--recordings", type=Path, help="folder with ambience/, commands/, digits/ (each optional)"
    )
    parser.add_argument("--out", type=Path, default=Path("assets"), help="folder for the .onnx files")
    parser.add_argument(
        "--model", choices=sorted(NETWORK_SHAPES), action="append", help="only this one; may be repeated"
    )
    parser.add_argument(
        "--hours", type=float, default=RecipeSettings.hours, help="of composed streams in a round"
    )
    parser.add_argument("--rounds", type=int, default=RecipeSettings.rounds, help="of composed streams")
    parser.add_argument(
        "--passes",
        type=int,
        help="through every round, for every network; default as for the bundled ones",
    )
    parser.add_argument("--times", type=int, help=argparse.SUPPRESS)  # the old name of --passes
    parser.add_argument("--seed", type=int, default=0, help="added to the seed of every network")
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(2, os.cpu_count() or 1),
        help="processes at once (3 GB of memory each)",
    )
    given = parser.parse_args()
    if given.times is not None:
        print(
            "warning: --times is now called --passes; the next release no longer knows --times",
            file=sys.stderr,
        )
        given.passes = given.times
    # A pass plays 32 streams of two minutes side by side: of fewer it would make no batch.
    if streams_in(given.hours) < LongStreamBatches.rows:
        parser.error(
            f"--hours {given.hours}: a round needs {LongStreamBatches.rows} streams of 2 minutes, 1.1 hours"
        )
    for name in ("rounds", "passes", "jobs"):
        if getattr(given, name) is not None and getattr(given, name) < 1:
            parser.error(f"--{name} {getattr(given, name)}: at least 1")
    names = given.model or list(NETWORK_SHAPES)
    settings = RecipeSettings(hours=given.hours, rounds=given.rounds)
    settings = replace(
        settings,
        teacher_seeds=tuple(seed + given.seed for seed in settings.teacher_seeds),
        seeds={name: seed + given.seed for name, seed in settings.seeds.items()},
    )
    if given.passes is not None:
        settings = replace(settings, passes=dict.fromkeys(settings.passes, given.passes))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // given.jobs))
    try:
        for name, figures in build(names, given.cache, given.recordings, settings, given.out, given.jobs):
            for where, part in figures.items():
                f1 = "  ".join(f"{kind} F1 {row['f1']:.3f}" for kind, row in part["frames"].items())
                false = f"false speech {part['false_speech_per_hour']:.1f}/h"
                print(f"{given.out / name}.onnx  {where}: {f1}  {false}", flush=True)
    except StreamClassifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; run it again to continue", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
