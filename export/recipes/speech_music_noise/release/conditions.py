"""Figures of merit on the 10 ms grid: F1 and AUC by class, silence, conditions, false events, onset delay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.evaluation.clips import roc_auc
from export.recipes.speech_music_noise.scenes.labels import GRID, runs
from export.recipes.speech_music_noise.sources.rules import KINDS
from stream.decisions.detector import Detector
from stream.decisions.spec import DetectorSpec
from stream.features.spec import MfccSpec
from stream.messages import Event, Scores

Probs = NDArray[np.float32]
Active = NDArray[np.bool_]
STEPS = np.arange(0.05, 0.96, 0.01)  # thresholds that are tried


def on_grid(probs: Probs, cells: int, spec: MfccSpec, delay: int = 0) -> Probs:
    """(..., T, C) frame scores -> (..., cells, C): for each 10 ms the frame whose middle is nearest.

    ``delay``: rows by which answers lag what they are about.
    """
    middle = np.arange(cells) * GRID + GRID // 2
    nearest = np.round((middle - spec.n_fft / 2) / spec.hop_length).astype(int) + delay
    return probs[..., np.clip(nearest, 0, probs.shape[-2] - 1), :]


def f1(said: Active, true: Active) -> float:
    both = float(np.sum(said & true))
    return 2 * both / max(float(np.sum(said)) + float(np.sum(true)), 1.0)


def best_threshold(score: NDArray[np.float32], true: Active, slack: float = 0.0) -> tuple[float, float]:
    """(threshold, F1): on a grid of hundredths, the highest whose F1 is within ``slack`` of the best."""
    found = np.array([f1(score >= step, true) for step in STEPS])
    at = int(np.argmax(found)) if not slack else int(np.flatnonzero(found >= found.max() - slack)[-1])
    return round(float(STEPS[at]), 2), float(found[at])


def frame_figures(probs: Probs, active: Active, thresholds: Sequence[float] | None = None) -> dict[str, Any]:
    """F1 and AUC of (n, 3) scores against (n, 3) truth; without thresholds each class at its best one."""
    out: dict[str, Any] = {}
    chosen = []
    for column, kind in enumerate(KINDS):
        score, true = probs[:, column], active[:, column]
        threshold = best_threshold(score, true)[0] if thresholds is None else thresholds[column]
        said = score >= threshold
        chosen.append(threshold)
        out[kind] = {
            "f1": f1(said, true),
            "auc": roc_auc(true, score),
            "threshold": threshold,
            "precision": float(np.sum(said & true) / max(np.sum(said), 1)),
            "recall": float(np.sum(said & true) / max(np.sum(true), 1)),
        }
    quiet = ~(probs >= np.array(chosen)).any(axis=1)
    out["silence"] = {"f1": f1(quiet, ~active.any(axis=1))}
    return out


def by_condition(
    probs: Probs, active: Active, segments: Sequence[Sequence[dict[str, Any]]], thresholds: Sequence[float]
) -> dict[str, dict[str, Any]]:
    """For each kind of segment (sources and ratio, (S, n, 3) scores and truth): share of 10 ms said right, by class.

    Where a class sounds it is recall; where it does not, the share of frames in which it is wrongly heard.
    """
    cells: dict[str, list[tuple[Probs, Active]]] = {}
    for stream, rows in enumerate(segments):
        for row in rows:
            part = slice(row["start"] // GRID, row["end"] // GRID)
            cells.setdefault(condition(row), []).append((probs[stream, part], active[stream, part]))
    table: dict[str, dict[str, Any]] = {}
    for name in sorted(cells):
        score = np.concatenate([piece[0] for piece in cells[name]])
        true = np.concatenate([piece[1] for piece in cells[name]])
        said = score >= np.array(thresholds)
        row_out: dict[str, Any] = {"seconds": round(len(true) * GRID / 16000)}
        for column, kind in enumerate(KINDS):
            if true[:, column].any():
                row_out[f"{kind} recall"] = float(said[:, column][true[:, column]].mean())
            if not true[:, column].all():
                row_out[f"{kind} false"] = float(said[:, column][~true[:, column]].mean())
        table[name] = row_out
    return table


def condition(segment: dict[str, Any]) -> str:
    """A segment's name in the table: its sources, and which five or ten dB its ratio lies in."""
    kinds = "+".join(segment["kinds"]) or "silence"
    if segment["ratio"] is None:
        return kinds
    steps = ((-99, 0), (0, 5), (5, 10), (10, 20.1))
    low, high = next(step for step in steps if step[0] <= segment["ratio"] < step[1])
    return f"{kinds} {'below 0' if low < 0 else f'{low} to {int(high)}'} dB"


def detect(probs: Probs, detector: DetectorSpec, spec: MfccSpec, delay: int = 0) -> list[Event]:
    """Events of one stream of (T, 3) frame scores by the runtime's detector: each as it began and as it ended.

    ``delay``: rows by which answers lag what they are about; the first of them are not used.
    """
    probs = probs[delay:]
    rows = len(probs)
    scores = Scores(
        np.ascontiguousarray(probs, np.float32),
        (np.arange(rows) * spec.hop_length + spec.n_fft // 2).astype(np.int64),
        np.ones(rows, bool),
        KINDS,
        spec.sample_rate,
        spec.hop_length,
    )
    lag = spec.n_fft - spec.n_fft // 2 + delay * spec.hop_length
    finder = Detector(detector, KINDS, spec.sample_rate, spec.hop_length, lag)
    return [*finder.push(scores), *finder.flush()]


def event_figures(events: Sequence[Sequence[Event]], active: Active, kind: str) -> dict[str, float]:
    """False events an hour, missed stretches and median onset delay of one class.

    The delay is from where the label begins to the sample at which the detector spoke, for stretches that no
    event was already open for. Stretches under 0.2 s are not asked for.

    Args:
        events: for each stream what ``detect`` gives.
        active: (S, n, 3) truth every 10 ms.
    """
    column = KINDS.index(kind)
    false, delays, stretches, missed = 0, [], 0, 0
    for found, true in zip(events, active[:, :, column], strict=True):
        decided = {event.id: event.decided for event in found if event.offset is None}
        spans = [
            (e.onset, e.offset, decided[e.id]) for e in found if e.label == kind and e.offset is not None
        ]
        false += sum(not true[onset // GRID : -(-offset // GRID)].any() for onset, offset, _ in spans)
        for start, end in runs(true):
            if end - start < 20:
                continue
            over = [span for span in spans if span[0] < end * GRID and span[1] > start * GRID]
            stretches += 1
            missed += not over
            fresh = [span[2] for span in over if span[0] >= (start - 10) * GRID]
            if len(fresh) == len(over) and fresh:
                delays.append((min(fresh) - start * GRID) / 16000)
    hours = active.shape[0] * active.shape[1] * GRID / 16000 / 3600
    return {
        "false_per_hour": false / hours,
        "missed_share": missed / max(stretches, 1),
        "onset_delay_median_s": float(np.median(delays)) if delays else float("nan"),
    }
