"""What was asked for: the options of listening, by their long names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stream.cli.sound_in import SoundIn


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(SoundIn):
    """The options of the root command, by their long names."""

    model: str
    provider: str
    threshold: tuple[str, ...]
    peak_threshold: tuple[str, ...]
    min_on: tuple[str, ...]
    min_off: tuple[str, ...]
    refractory: tuple[str, ...]
    smoothing: tuple[str, ...]
    group: tuple[str, ...]
    loud: float | None
    repair: str
    max_gap: float | None
    reset_after: float | None
    jsonl: str | None
    scores: bool
    onsets: bool
    heard: str
    screenshot: str | None
    verbose: bool
    no_audio: bool
    no_speech: bool
    outputs: Mapping[str, Any]
