"""python -m export.recipes.alarms: make the bundled model of alarms again, from nothing."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from export.recipes.alarm_ear.alarm_release import NAME, publish
from export.recipes.alarm_ear.alarm_report import chapter
from export.recipes.alarm_ear.alarm_settings import AlarmSettings
from export.recipes.alarm_ear.alarm_sources import gather
from export.recipes.alarm_ear.alarm_streams import streams_in
from export.recipes.alarm_ear.alarm_training import prepare, train
from stream.errors import StreamClassifyError


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m export.recipes.alarms",
        description="Synthesise smoke alarms, carbon monoxide alarms and other beeps over free recordings from "
        "Debian's packages, train, export and measure the bundled model alarms.onnx. What is done is kept in --cache; "
        "run it again to continue.",
    )
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/alarms"), help="downloads, streams, runs (about 8 GB)"
    )
    parser.add_argument("--recordings", type=Path, help="folder with ambience/ and urban/ (each optional)")
    parser.add_argument("--out", type=Path, default=Path("assets"), help="folder for alarms.onnx")
    parser.add_argument(
        "--hours", type=float, default=AlarmSettings.hours, help="of composed sound in a round"
    )
    parser.add_argument("--rounds", type=int, default=AlarmSettings.rounds, help="of composed sound")
    parser.add_argument("--passes", type=int, default=AlarmSettings.passes, help="through all rounds")
    parser.add_argument("--seed", type=int, default=AlarmSettings.seed)
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="processes at once")
    given = parser.parse_args()
    if streams_in(given.hours) < AlarmSettings.rows:
        parser.error(f"--hours {given.hours}: a round needs {AlarmSettings.rows} streams, 0.4 hours")
    for name in ("rounds", "passes", "jobs"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} {getattr(given, name)}: at least 1")
    settings = AlarmSettings(hours=given.hours, rounds=given.rounds, passes=given.passes, seed=given.seed)
    torch.set_num_threads(1)  # of so small a network more threads wait for one another
    try:
        gather(given.cache, given.recordings, given.jobs)
        prepare(given.cache, settings, given.jobs)
        model, training = train(given.cache, settings)
        given.out.mkdir(parents=True, exist_ok=True)
        card, figures = publish(model, given.cache, given.recordings, settings, given.out, training)
        print(chapter(card, figures))
        print(f"wrote {given.out / NAME}.onnx", file=sys.stderr)
    except StreamClassifyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; run it again to continue", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
