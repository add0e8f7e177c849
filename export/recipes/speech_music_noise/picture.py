"""The demo recording with its known labels and a model's predictions, as a picture.

python -m export.recipes.speech_music_noise.picture --out assets/demo.png
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from stream.inference.session import Model
from stream.installation import asset
from stream.recording import classify

COLOURS = {"speech": "#2b6cb0", "music": "#b7791f", "noise": "#718096"}


def draw(model: Model, path: Path) -> None:
    """Waveform, then a row for each class: known labels shaded, probability as a line, detected events as a bar."""
    import matplotlib

    matplotlib.use("Agg")
    import soundfile
    from matplotlib import pyplot

    samples, rate = soundfile.read(asset("demo.ogg"), dtype="float32")
    result = classify(asset("demo.ogg"), model)
    with asset("demo.tsv").open(newline="") as text:
        known = [
            (float(r["onset"]), float(r["offset"]), r["event_label"])
            for r in csv.DictReader(text, delimiter="\t")
        ]
    figure, rows = pyplot.subplots(
        1 + len(model.labels), 1, sharex=True, figsize=(10, 5), height_ratios=[1.2, *[1] * len(model.labels)]
    )
    block = rate // 50
    peaks = np.abs(samples[: len(samples) // block * block].reshape(-1, block)).max(axis=1)
    rows[0].fill_between(np.arange(len(peaks)) / 50, -peaks, peaks, color="#4a5568", linewidth=0)
    rows[0].set_yticks([])
    rows[0].set_title("demo.ogg: shaded = known, line = probability, bar = detected event", fontsize=10)
    for column, (label, axes) in enumerate(zip(model.labels, rows[1:], strict=True)):
        colour = COLOURS.get(label, "#2d3748")
        for onset, offset, name in known:
            if name == label:
                axes.axvspan(onset, offset, color=colour, alpha=0.18, linewidth=0)
        axes.plot(result.scores.seconds, result.probs[:, column], color=colour, linewidth=0.8)
        axes.axhline(model.card.detector.rule(label).threshold, color="#a0aec0", linewidth=0.6, linestyle=":")
        for event in result.events:
            if event.label == label and event.offset_s is not None:
                axes.plot(
                    [event.onset_s, event.offset_s],
                    [1.09, 1.09],
                    color=colour,
                    linewidth=4,
                    solid_capstyle="butt",
                )
        axes.set(ylim=(0, 1.18), yticks=[0, 1], ylabel=label, xlim=(0, len(samples) / rate))
    rows[-1].set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default", choices=["default", "small"])
    parser.add_argument("--out", type=Path, default=Path("assets/demo.png"))
    given = parser.parse_args()
    draw(Model.bundled(given.model, provider="cpu"), given.out)


if __name__ == "__main__":
    main()
