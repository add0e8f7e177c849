"""A stretch of sound at a glance: waveform, then for each class labels, probability and events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.calibration.heard import HeardStream
from export.data.recording import Interval
from export.pictures.canvas import make_figure, save, short
from stream.decisions.spec import DetectorSpec

SECONDS = 60.0
_NAMED = {"speech": "#2b6cb0", "music": "#b7791f", "noise": "#718096"}
_PEAKS_PER_SECOND = 50


def draw_strip(
    stream: HeardStream,
    events: Sequence[Interval],
    labels: Sequence[str],
    path: Path,
    *,
    detector: DetectorSpec | None = None,
    samples: NDArray[np.float32] | None = None,
    begin: float = 0.0,
    seconds: float = SECONDS,
    title: str | None = None,
) -> None:
    """Known labels shaded, probability as a line, detected events as a bar, the level that makes an event dotted.

    Args:
        stream: what the model gave, and the truth.
        events: detected ones, in seconds of the stream.
        labels: of the model; classes that ``detector`` disables are drawn without events.
        path: of the PNG.
        detector: rules, for the dotted line.
        samples: (n,) of the stream, for the waveform.
        begin, seconds: which part is drawn.
        title: default says what is what.
    """
    rate = stream.sample_rate
    end = min(begin + seconds, stream.length / rate)
    times = stream.samples / rate
    inside = (times >= begin) & (times < end)
    wave = samples is not None
    figure = make_figure(11, 0.9 + (0.9 if wave else 0) + max(0.55, 2.6 / max(len(labels), 1)) * len(labels))
    ratios = ([1.0] if wave else []) + [1.0] * len(labels)
    rows = list(figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0])
    if samples is not None:
        block = max(1, rate // _PEAKS_PER_SECOND)
        part = samples[round(begin * rate) : round(end * rate)]
        peaks = np.abs(part[: len(part) // block * block].reshape(-1, block)).max(axis=1)
        axes = rows.pop(0)
        axes.fill_between(
            begin + np.arange(len(peaks)) * block / rate, -peaks, peaks, color="#4a5568", linewidth=0
        )
        axes.set_yticks([])
    for column, (label, axes) in enumerate(zip(labels, rows, strict=True)):
        colour = _NAMED.get(label, f"C{column % 10}")
        for known in stream.truth:
            if known.label == label and known.offset > begin and known.onset < end:
                axes.axvspan(
                    max(known.onset, begin), min(known.offset, end), color=colour, alpha=0.2, linewidth=0
                )
        axes.plot(times[inside], stream.probs[inside, column], color=colour, linewidth=0.9)
        if detector is not None and detector.rule(label).enabled:
            rule = detector.rule(label)
            level = rule.threshold if rule.peak_threshold is None else rule.peak_threshold
            axes.axhline(level, color="#a0aec0", linewidth=0.7, linestyle=":")
        for event in events:
            if event.label == label and event.offset > begin and event.onset < end:
                span = [max(event.onset, begin), min(event.offset, end)]
                axes.plot(span, [1.15, 1.15], color=colour, linewidth=4, solid_capstyle="butt")
        axes.set(ylim=(0, 1.28), yticks=[0, 1], xlim=(begin, end))
        axes.tick_params(axis="y", labelsize=7)
        axes.set_ylabel(short(label, 14), rotation=0, ha="right", va="center", fontsize=9)
    figure.suptitle(title or "shaded = known, line = probability, bar = detected event", fontsize=10)
    rows[-1].set_xlabel("seconds")
    save(figure, path)
