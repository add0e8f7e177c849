"""An evaluation as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.evaluation.evaluate import Evaluation
from export.metrics.clips import clip_scores, clip_truth
from export.metrics.frames import gridded
from export.pictures.confusion import draw_confusion
from export.pictures.detection import draw_det, draw_roc
from export.pictures.events import draw_events
from export.pictures.reliability import draw_reliability
from export.pictures.strip import draw_strip


def draw(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write every picture that applies into ``folder``; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    true, scores = _pairs(evaluation)
    labels = evaluation.labels
    made = [folder / "events.png", folder / "strip.png"]
    draw_events(evaluation.events, made[0])
    stream, found = evaluation.heard[0]
    draw_strip(
        stream, found, labels, made[1], detector=evaluation.rules, samples=evaluation.predictions.sound
    )
    clips = evaluation.report["carried"].get("clips", {})
    if "confusion" in clips:
        made.append(folder / "confusion.png")
        draw_confusion(np.asarray(clips["confusion"]), labels, made[-1], predicted=clips["predicted"])
    for name, plot in (("det.png", draw_det), ("roc.png", draw_roc), ("reliability.png", draw_reliability)):
        made.append(folder / name)
        plot(true, scores, labels, made[-1])
    return made


def _pairs(evaluation: Evaluation) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Truth and scores (n, C) with carried state: cells of 10 ms for strong labels, else recordings."""
    predictions, labels = evaluation.predictions.carried, evaluation.labels
    if "frames" in evaluation.report["carried"]:
        scores, truth = gridded(predictions, labels)
        return truth, scores
    return clip_truth(predictions, labels), clip_scores(predictions, evaluation.clip_rows)
