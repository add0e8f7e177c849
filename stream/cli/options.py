"""What was asked for: the options of listening, by their long names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the root command, by their long names."""

    input: str | None
    device: str | None
    demo: bool
    sample_rate: int | None
    channel: str | None
    block_samples: int
    format: str | None
    insecure: bool
    channels: int
    fast: bool
    when_late: str
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
    outputs: Mapping[str, Any]
