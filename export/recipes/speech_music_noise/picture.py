"""The demo recording with its known labels and a model's predictions, as a picture.

python -m export.recipes.speech_music_noise.picture --out assets/demo.png
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import soundfile

from export.calibration.heard import HeardStream
from export.data.recording import Interval
from export.pictures.strip import draw_strip
from stream.inference.session import Model
from stream.installation import asset
from stream.recording import classify


def draw(model: Model, path: Path) -> None:
    """Waveform, then a row for each class: known labels shaded, probability as a line, detected events as a bar."""
    samples, rate = soundfile.read(asset("demo.ogg"), dtype="float32")
    result = classify(asset("demo.ogg"), model)
    with asset("demo.tsv").open(newline="") as text:
        known = tuple(
            Interval(r["event_label"], float(r["onset"]), float(r["offset"]))
            for r in csv.DictReader(text, delimiter="\t")
        )
    events = [Interval(e.label, e.onset_s, e.offset_s) for e in result.events if e.offset_s is not None]
    scores = result.scores
    heard = HeardStream(
        scores.probs, scores.sample, scores.sample_rate, scores.hop, 0, len(samples), known, "own"
    )
    draw_strip(
        heard, events, model.labels, path,
        detector=model.card.detector, samples=samples, seconds=len(samples) / rate,
        title="demo.ogg: shaded = known, line = probability, bar = detected event",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default", choices=["default", "small"])
    parser.add_argument("--out", type=Path, default=Path("assets/demo.png"))
    given = parser.parse_args()
    draw(Model.bundled(given.model, provider="cpu"), given.out)


if __name__ == "__main__":
    main()
