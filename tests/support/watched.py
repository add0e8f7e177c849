"""A Telemetry fed with made-up results, for tests of what a person sees."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console

from stream.decisions.spec import ClassRule, DetectorSpec
from stream.features.spec import FeatureSpec, MfccSpec
from stream.inference.card import ModelCard
from stream.messages import Chunk, Event, Gap, Result, Scores, SourceInfo, SourceState, Status
from stream.outputs.output_report import OutputReport
from stream.telemetry import Telemetry

RATE, HOP = 16000, 160
NOON = 1_790_000_000.0  # when streams begin, in seconds since 1970
LABELS = ("speech", "dog bark", "background")


class Watched:
    """A telemetry and the stream it watches: ``push`` moves on by as many hops as there are rows."""

    def __init__(
        self,
        labels: Sequence[str] = LABELS,
        spec: FeatureSpec | None = None,
        live: bool = True,
        **source: Any,
    ) -> None:
        quiet = {"background": ClassRule(enabled=False)} if "background" in labels else {}
        self.card = ModelCard(
            name="house sounds",
            labels=tuple(labels),
            activation="sigmoid",
            features=spec or MfccSpec(),
            detector=DetectorSpec(default=ClassRule(threshold=0.6), classes=quiet),
        )
        fields: dict[str, Any] = {
            "name": "USB mic",
            "sample_rate": 48000,
            "channels": 2,
            "channel": "1",
            "live": live,
        }
        self.live = live
        self.state: tuple[SourceState, str] = ("listening", "")
        self.end = 0
        self.now = 1000.0
        self.outputs: tuple[OutputReport, ...] = ()
        self.telemetry = Telemetry(
            self.card,
            SourceInfo(**(fields | source)),
            outputs=lambda: self.outputs,
            clock=lambda: self.now,
            wall=lambda: NOON + self.now - 1000.0,
        )
        self.lag = 0.012

    def push(
        self,
        probs: Any,
        *,
        samples: Any = None,
        features: Any = None,
        events: tuple[Event, ...] = (),
        gaps: tuple[Gap, ...] = (),
        warm: bool = True,
        busy: float = 1e-4,
        repaired: int = 0,
    ) -> None:
        """Rows of probabilities (T, C) that end with the samples (T * HOP,) pushed with them."""
        rows = np.atleast_2d(np.asarray(probs, np.float32))
        count = len(rows) * HOP
        start, self.end = self.end, self.end + count
        self.now += count / RATE
        scores = Scores(
            rows,
            start + np.arange(len(rows), dtype=np.int64) * HOP,
            np.full(len(rows), warm),
            self.card.labels,
            RATE,
            HOP,
        )
        sound = np.zeros(count, np.float32) if samples is None else np.asarray(samples, np.float32)
        frames = np.zeros((len(rows), self.card.features.width), np.float32) if features is None else features
        captured = self.now - self.lag if self.live else None
        self.status("listening")
        self.telemetry.chunk(Chunk(sound, start, RATE, captured))
        self.telemetry.result(
            Result(scores, frames, events, gaps, self.end, repaired, captured_at=captured, busy_seconds=busy)
        )

    def status(self, state: SourceState, detail: str = "") -> None:
        """The source changes its state, if it is another one."""
        if (state, detail) != self.state:
            self.state = (state, detail)
            self.telemetry.status(Status(state, self.end, RATE, detail))

    def skip(self, length: int) -> Gap:
        """Lose samples; the gap to give to the next push."""
        gap = Gap(self.end, length, RATE)
        self.end += length
        self.now += length / RATE
        return gap

    def gone(self, missing: int) -> None:
        """The source is gone, and so many samples are lost by now."""
        self.heartbeat("recovering", 0.0, "unplugged", missing)

    def heartbeat(self, state: SourceState, seconds: float, detail: str = "", missing: int = 0) -> None:
        """No sound for ``seconds``."""
        self.now += seconds
        self.status(state, detail)
        none = Scores(
            np.empty((0, len(self.card.labels)), np.float32),
            np.empty(0, np.int64),
            np.empty(0, np.bool_),
            self.card.labels,
            RATE,
            HOP,
        )
        empty = np.empty((0, self.card.features.width), np.float32)
        self.telemetry.chunk(Chunk(np.empty(0, np.float32), self.end, RATE, None, state, detail, missing))
        self.telemetry.result(Result(none, empty, end=self.end))


def event(number: int, label: str, onset: int, offset: int | None = None, peak: float = 0.9) -> Event:
    """A detection of ``label`` on the samples [onset, offset)."""
    return Event(number, label, onset, offset, peak, peak, RATE, offset or onset)


def busy_scene(labels: Sequence[str] = LABELS, **source: Any) -> Watched:
    """Forty seconds with everything in them: cold start, a gap, a finished and a running event, lively sound."""
    scene = Watched(labels, **source)
    rng = np.random.default_rng(3)
    columns = len(labels)

    def stretch(seconds: float, levels: dict[int, float], **more: Any) -> None:
        rows = round(seconds * RATE / HOP)
        probs = np.full((rows, columns), 0.05, np.float32)
        for column, level in levels.items():
            probs[:, column] = level
        features = (20 * rng.standard_normal((rows, scene.card.features.width))).astype(np.float32)
        scene.push(probs, samples=rng.normal(0, 0.1, rows * HOP), features=features, **more)

    stretch(12.0, {}, warm=False)
    stretch(6.0, {columns - 1: 0.7})
    gap = scene.skip(RATE)
    stretch(3.0, {0: 0.97}, gaps=(gap,), events=(event(0, labels[0], 19 * RATE),))
    stretch(10.0, {}, events=(event(0, labels[0], 19 * RATE, 22 * RATE, 0.97),), repaired=7)
    onset = scene.end
    stretch(8.0, {1: 0.83}, events=(event(1, labels[1], onset, None, 0.83),))
    return scene


def console(width: int, height: int, **more: object) -> Console:
    """A terminal of that size that writes into a StringIO."""
    options = {
        "file": io.StringIO(),
        "force_terminal": True,
        "color_system": "truecolor",
        "legacy_windows": False,
    }
    return Console(width=width, height=height, **(options | more))  # type: ignore[arg-type]
