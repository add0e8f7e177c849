"""Pictures are written for few and many classes, for names of any kind, and where there is little to draw."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from export.calibration import HeardStream, event_report, heard_events
from export.calibration.event_report import rate
from export.calibration.table import event_caption, event_table
from export.data.recording import Interval
from export.pictures.confusion import draw_confusion
from export.pictures.curves import draw_curves
from export.pictures.detection import draw_det, draw_roc
from export.pictures.events import draw_events
from export.pictures.reliability import draw_reliability
from export.pictures.strip import draw_strip
from stream.decisions.spec import DetectorSpec
from tests.support.extras import needs

needs("matplotlib", "sklearn", "scipy")

NAMES = ("zero", "one", "a rather long name of a class", "$x_1$", "vier\n", "五", "[red]six", "7", "8", "9")


def png_size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def heard(classes: int, kind: str = "own") -> HeardStream:
    rng = np.random.default_rng(0)
    probs = rng.uniform(0, 0.3, (6000, classes)).astype(np.float32)
    truth = []
    for k in range(classes):
        probs[300 * k + 20 : 300 * k + 80, k] = 0.9
        truth.append(Interval(NAMES[k], 3.0 * k, 3.0 * k + 1))
    events = tuple(truth) if kind == "own" else ()
    samples = 200 + 160 * np.arange(6000, dtype=np.int64)
    return HeardStream(probs, samples, 16000, 160, 200, 960_000, events, kind)


@pytest.mark.parametrize("classes", [1, 3, 10])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_every_picture_for_few_and_many_classes(tmp_path: Path, classes: int) -> None:
    labels = NAMES[:classes]
    streams = [heard(classes), heard(classes, "noise"), heard(classes, "silence")]
    found = [heard_events(stream, labels, DetectorSpec()) for stream in streams]
    draw_events(event_report(zip(streams, found, strict=True), labels), tmp_path / "events.png")
    draw_strip(
        streams[0],
        found[0],
        labels,
        tmp_path / "strip.png",
        detector=DetectorSpec(),
        samples=np.zeros(960_000, np.float32),
    )
    rng = np.random.default_rng(1)
    true = np.eye(classes, dtype=bool)[rng.integers(classes, size=200)]
    true[0] = False
    scores = np.clip(0.5 * true + rng.uniform(0, 0.6, true.shape), 0, 1)
    for plot in (draw_det, draw_roc, draw_reliability):
        plot(true, scores, labels, tmp_path / f"{plot.__name__}.png")
    table = np.concatenate([np.eye(classes, dtype=int) * 9 + 1, np.full((classes, 1), 2)], axis=1)
    draw_confusion(table, labels, tmp_path / "confusion.png", predicted=[*labels, "nothing"])
    history = [
        {"epoch": float(e), "loss": 1 / (e + 1), "val_loss": 2 / (e + 1), "val_f1": 0.5, "val_f1_alone": 0.4}
        | {f"val_f1_{label}": 0.1 for label in labels}
        for e in range(3)
    ]
    draw_curves(history, tmp_path / "curves.png", best=1.0)
    made = sorted(tmp_path.iterdir())
    assert len(made) == 7
    assert all(min(png_size(path)) > 200 for path in made)


def test_pictures_of_nothing_say_so(tmp_path: Path) -> None:
    labels = ("a", "b")
    one_class = np.ones((4, 2), bool)
    for plot in (draw_det, draw_roc, draw_reliability):
        plot(one_class, np.full((4, 2), 0.5), labels, tmp_path / f"{plot.__name__}.png")
    draw_curves([], tmp_path / "none.png")
    draw_curves([{"epoch": 0.0, "loss": 1.0}], tmp_path / "curves.png")
    draw_events(event_report([], labels), tmp_path / "events.png")
    draw_confusion(np.zeros((2, 2), np.int64), labels, tmp_path / "confusion.png")
    assert len(list(tmp_path.iterdir())) == 7


def test_what_is_drawn_of_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are named, epochs count from 1, and the best one is marked."""
    drawn = []
    monkeypatch.setattr("export.pictures.curves.save", lambda figure, path: drawn.append(figure))
    history = [
        {"epoch": float(e), "loss": 1.0, "val_loss": 2.0, "val_accuracy": 0.5, "val_accuracy_alone": 0.4}
        for e in range(4)
    ]
    draw_curves(history, tmp_path / "x.png", best=2.0)
    left, right = drawn[0].axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == [
        "training",
        "validation",
        "best: epoch 3",
    ]
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        "accuracy, state carried",
        "accuracy, each recording alone",
        "best: epoch 3",
    ]
    assert left.lines[0].get_xdata().tolist() == [1, 2, 3, 4]


def test_det_and_roc_show_the_corner_that_holds_the_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr("export.pictures.detection.save", lambda figure, path: drawn.append(figure))
    true = np.arange(2000)[:, None] < 1000
    scores = np.where(true, 0.8, 0.2).astype(float)
    scores[:5], scores[-5:] = 0.1, 0.9
    draw_roc(true, scores, ("a",), tmp_path / "x.png")
    draw_det(true, scores, ("a",), tmp_path / "x.png")
    roc, det = drawn[0].axes[0], drawn[1].axes[0]
    assert roc.get_xlim()[1] < 0.1
    assert roc.get_ylim()[0] > 0.8
    assert det.get_xlim()[1] < 0  # standard deviations: below one half
    assert len(det.get_xticks()) >= 3


def test_a_confusion_matrix_shows_shares_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr("export.pictures.confusion.save", lambda figure, path: drawn.append(figure))
    draw_confusion(
        np.array([[3, 1, 0], [0, 0, 0]]), ("a", "b"), tmp_path / "x.png", predicted=("a", "b", "nothing")
    )
    axes = drawn[0].axes[0]
    assert [text.get_text() for text in axes.texts] == ["75 %", "3", "25 %", "1"]
    assert axes.get_title().endswith("3 of 4 right")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a"]


def test_the_table_fits_eighty_columns() -> None:
    from rich.console import Console

    labels = NAMES
    streams = [heard(10), *(heard(10, kind) for kind in ("speech", "music", "noise", "silence"))]
    report = event_report([(s, heard_events(s, labels, DetectorSpec())) for s in streams], labels)
    console = Console(width=80, force_terminal=False, file=io.StringIO())
    console.print(event_table(report))
    console.print(event_caption(report), highlight=False)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= 80
    assert " ".join(lines[0].split()) == "events found missed twice delay p90 speech music noise silence own"
    assert any(line.startswith("[red]six") for line in lines)
    assert any(line.split()[:3] == ["all", "10/10", "0"] for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (3.14, "3.1"), (47.2, "47"), (999, "999"), (1234, "1.2k"), (61234, "61.2k")],
)
def test_rates_are_short(value: float, text: str) -> None:
    assert rate(value) == text
