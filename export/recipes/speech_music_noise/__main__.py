"""python -m export.recipes.speech_music_noise: make the bundled models again, from nothing."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from export.recipes.speech_music_noise.build import build, build_further
from export.recipes.speech_music_noise.recipe_settings import NETWORK_SHAPES, NOISE_HEARD_DB, RecipeSettings
from export.recipes.speech_music_noise.scenes.cases import TRAINED_CASES
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
    parser.add_argument(
        "--without",
        action="append",
        choices=sorted(TRAINED_CASES),
        default=[],
        metavar="CASE",
        help="leave a case out of training, as a control of equal length; may be repeated: "
        + ", ".join(TRAINED_CASES),
    )
    parser.add_argument(
        "--noise-heard",
        type=float,
        default=NOISE_HEARD_DB,
        metavar="DB",
        help="noise further under another sound is not labelled in training (default: %(default)g)",
    )
    parser.add_argument(
        "--level-memory",
        type=int,
        default=0,
        metavar="FRAMES",
        help="networks take the running level of their input off it, with this memory (20 ms a frame); 0 = off",
    )
    parser.add_argument(
        "--further",
        type=float,
        metavar="MINUTES",
        help="train the files of --start further for so long, instead of new networks from nothing",
    )
    parser.add_argument(
        "--further-passes", type=int, metavar="N", help="the same, by passes through a round: repeats exactly"
    )
    parser.add_argument(
        "--start", type=Path, default=Path("assets"), help="folder of the files that --further begins with"
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
    for name in ("further", "further_passes"):
        if getattr(given, name) is not None and getattr(given, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} {getattr(given, name)}: must be above 0")
    if given.level_memory and not 10 <= given.level_memory <= 65536:
        parser.error(f"--level-memory {given.level_memory}: 0 (off) or 10 to 65536 frames")
    names = given.model or list(NETWORK_SHAPES)
    settings = RecipeSettings(
        hours=given.hours,
        rounds=given.rounds,
        without=tuple(sorted(set(given.without))),
        noise_heard_db=given.noise_heard,
        level_memory=given.level_memory,
    )
    settings = replace(
        settings,
        teacher_seeds=tuple(seed + given.seed for seed in settings.teacher_seeds),
        seeds={name: seed + given.seed for name, seed in settings.seeds.items()},
    )
    if given.passes is not None:
        settings = replace(settings, passes=dict.fromkeys(settings.passes, given.passes))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // given.jobs))
    where = (names, given.cache, given.recordings, settings, given.out, given.jobs)
    if given.further is None and given.further_passes is None:
        made = build(*where)
    else:
        made = build_further(*where, start=given.start, minutes=given.further, passes=given.further_passes)
    try:
        for name, figures in made:
            for side, part in figures.items():
                f1 = "  ".join(f"{kind} F1 {row['f1']:.3f}" for kind, row in part["frames"].items())
                false = f"false speech {part['false_speech_per_hour']:.1f}/h"
                print(f"{given.out / name}.onnx  {side}: {f1}  {false}", flush=True)
    except StreamClassifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; run it again to continue", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
