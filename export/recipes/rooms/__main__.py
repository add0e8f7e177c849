"""python -m export.recipes.rooms: make the bundled models again, from nothing."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from export.recipes.rooms.build import SHAPES, Plan, build, prepare
from export.training import RichReport
from stream.errors import StreamClassifyError


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m export.recipes.rooms",
        description="Gather free recordings from Debian's packages, compose labelled streams, train, export "
        "and measure the bundled models. What is done is kept in --cache; run it again to go on.",
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/rooms"), help="downloads, streams, runs (about 20 GB)"
    )
    parser.add_argument(
        "--recordings", type=Path, help="folder with ambience/, commands/, digits/ (each optional)"
    )
    parser.add_argument("--out", type=Path, default=Path("assets"), help="folder for the .onnx files")
    parser.add_argument(
        "--model", choices=sorted(SHAPES), action="append", help="only this one; may be repeated"
    )
    parser.add_argument("--hours", type=float, default=Plan.hours, help="of composed streams in a round")
    parser.add_argument(
        "--rounds", type=int, help="of newly composed streams in each set; default as bundled"
    )
    parser.add_argument(
        "--epochs", type=int, help="passes over each round, for every model; default as bundled"
    )
    parser.add_argument("--seed", type=int, help="of every model; default as bundled")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    names = given.model or list(SHAPES)
    plan = Plan(hours=given.hours)
    if given.rounds is not None:
        plan = replace(plan, rounds=(given.rounds,) * len(plan.rounds))
    if given.seed is not None:
        plan = replace(plan, seeds=dict.fromkeys(names, given.seed))
    if given.epochs is not None:
        plan = replace(plan, epochs=dict.fromkeys(names, (given.epochs,) * len(plan.rates)))
    try:
        data = prepare(given.cache, given.recordings, plan)
        given.out.mkdir(parents=True, exist_ok=True)
        for name in names:
            with RichReport() as shown:
                figures = build(name, data, plan, given.out, given.cache / "runs", shown)
            for where, part in figures.items():
                f1 = "  ".join(f"{kind} F1 {row['f1']:.3f}" for kind, row in part["frames"].items())
                false = f"false speech {part['false_speech_per_hour']:.1f}/h"
                print(f"{given.out / name}.onnx  {where}: {f1}  {false}")
    except StreamClassifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
