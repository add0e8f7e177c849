"""Readings: how a running stream stands at one moment, everything a dashboard draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.messages import Event, SourceInfo, SourceState
from stream.outputs.output_report import OutputReport


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """Immutable and self-contained. C classes, W columns of stream time (oldest first), B bands of the spectrogram.

    Attributes:
        version: grows whenever anything was seen; equal versions are equal readings.
        source, model, provider: what is listened to, the model's name, where it runs.
        model_rate: sample rate of the model, Hz.
        labels: C class names.
        thresholds: (C,) float32; NaN for a class whose rule is not enabled.
        probs: (C,) float32, the newest probabilities; NaN before the first.
        peaks: (C,) float32, peak hold: stands for 1 s of stream time, then falls by 0.5 a second.
        column_seconds: stream seconds a column covers.
        newest_column: absolute number of the last column; column n covers
            [n, n + 1) * column_seconds. The arrays end with it.
        timeline: (C, W) float32, the highest probability in each column; NaN where there is none.
        active: (C, W) bool, an event of the class was on.
        gaps: (W,) bool, samples are missing from the column.
        cold: (W,) bool, the model was not warm.
        spectrum: (B, W) float32, mean energy in dB, lowest band first; NaN where there is none.
        rms_dbfs, peak_dbfs: level of the last 0.3 s, highest sample of the last second; full scale = 0.
        clipped: a sample reached full scale within the last second of stream time.
        centres: (B,) float64, Hz, the middle of each band.
        events: newest first; one with ``offset`` None is still on.
        began: the time of day at which each of ``events`` began, as 14:03:21; "" for recordings.
        latency_p50_ms, latency_p99_ms: compute time of a push; NaN before the first.
        real_time_factor: compute seconds per second of sound; NaN before the first.
        lag_seconds: age of the newest sound when its result was ready; for files, how far behind schedule.
        lost_samples, missing_samples: never arrived; arrived invalid for too long to repair. At the model's rate.
        gap_count, repaired_samples: as the names say, since the start. A gap counts while it lasts.
        open_gap_seconds: how long it is by now; 0 where there is none.
        stale: no sound comes: probabilities and level are about the past.
        warm: the newest row came from a warm model.
        stream_seconds: position in the stream, gaps included.
        state, state_seconds, state_detail: what the source is doing, for how long (wall clock), and why.
        outputs: how each output is doing.
    """

    version: int
    source: SourceInfo
    model: str
    provider: str
    model_rate: int
    labels: tuple[str, ...]
    thresholds: NDArray[np.float32]
    probs: NDArray[np.float32]
    peaks: NDArray[np.float32]
    column_seconds: float
    newest_column: int
    timeline: NDArray[np.float32]
    active: NDArray[np.bool_]
    gaps: NDArray[np.bool_]
    cold: NDArray[np.bool_]
    spectrum: NDArray[np.float32]
    centres: NDArray[np.float64]
    rms_dbfs: float
    peak_dbfs: float
    clipped: bool
    events: tuple[Event, ...]
    began: tuple[str, ...]
    latency_p50_ms: float
    latency_p99_ms: float
    real_time_factor: float
    lag_seconds: float
    lost_samples: int
    missing_samples: int
    gap_count: int
    open_gap_seconds: float
    stale: bool
    repaired_samples: int
    warm: bool
    stream_seconds: float
    state: SourceState
    state_seconds: float
    state_detail: str
    outputs: tuple[OutputReport, ...] = ()
