"""What a model says when it is left on: events in silence, noise, the demo and other sound; and of held-out recordings.

    python -m tests.benchmarks.left_on MODEL.onnx [MODEL.onnx ...] [--data DATA --split test] [--minutes 10]

Each row is one kind of sound, each column one model: the events that it reports there, as ``stream-classify`` would.
The last rows are recordings of DATA in one stream, with pauses of 0.3 to 3 s: how many are found, and found twice.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from export.calibration.event_report import event_report
from export.evaluation.evaluate import never_events, select_recordings
from export.evaluation.predict import predict
from export.evaluation.streams import hear
from export.scenes.negatives import negative_streams
from stream.capture.files import read_audio
from stream.classifier import StreamClassifier
from stream.inference.session import Model

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo.ogg"
MINUTE = 60.0


def pink(rate: int, level: float, seed: int = 0) -> NDArray[np.float32]:
    """(n,) float32, a minute of noise whose power falls by 3 dB an octave, RMS ``level`` dBFS."""
    n = round(MINUTE * rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    sound = np.fft.irfft(spectrum, n)
    return np.asarray(sound / np.sqrt(np.mean(sound**2)) * 10 ** (level / 20), np.float32)


def sounds(model: Model, minutes: float) -> dict[str, NDArray[np.float32]]:
    """What is heard, by name."""
    rate = model.card.features.sample_rate
    other = negative_streams(
        "test", rate, minutes * 60, kinds=("speech", "music", "noise"), without=model.labels
    )
    return {
        "digital silence, 1 min": np.zeros(round(MINUTE * rate), np.float32),
        **{f"pink noise at {level} dBFS, 1 min": pink(rate, level) for level in (-60, -50, -40, -30, -20)},
        "the demo, 1 min": read_audio(DEMO, rate),
        **{f"other {each.kind}, {minutes:g} min": each.samples for each in other},
    }


def events(model: Model, sound: NDArray[np.float32]) -> int:
    """How many events the live classifier reports."""
    return sum(event.offset is not None for event in hear(StreamClassifier(model), sound).events)


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--data", type=click.Path(exists=True), help="Labelled recordings of the models' classes.")
@click.option("--split", default="test", show_default=True, help="Part of them.")
@click.option("--minutes", default=10.0, show_default=True, help="Of each kind of other sound.")
def main(models: tuple[Path, ...], data: str | None, split: str, minutes: float) -> None:
    """Count the events of models that are left on."""
    table = Table("events in", *(path.stem for path in models), box=None)
    loaded = [Model.load(path) for path in models]
    columns = [
        {name: str(events(model, sound)) for name, sound in sounds(model, minutes).items()}
        for model in loaded
    ]
    if data is not None:
        for model, column in zip(loaded, columns, strict=True):
            recordings = select_recordings(data, model, split, None)  # type: ignore[arg-type]  # checked there
            found = predict(model, recordings)
            rules = model.card.detector
            total = event_report([found.stream], model.labels, never_events(model.labels, rules)).total
            column[f"recordings ({split}): found once or more"] = f"{total.found}/{total.events}"
            column["  found twice"] = str(total.doubled)
            column["  wrong ones among them"] = f"{total.false['own']:g}"
    for name in columns[0]:
        table.add_row(name, *(column.get(name, "") for column in columns))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
