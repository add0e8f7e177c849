"""Values of options: numbers within what any use of them can mean."""

from __future__ import annotations

import math
from typing import Any

import click

from stream.quantities import level_dbfs

LONGEST_SECONDS = 1e9  # 31 years: beyond it sample counts lose their meaning
LARGEST_BLOCK_SAMPLES = 1 << 24
SAMPLE_RATES = (1_000, 768_000)  # Hz, between which sound is sampled
MAX_CHANNELS = 1024


class Number(click.FloatRange):
    """A float in a range, and really a number: neither "nan", which compares with nothing, nor infinite."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class Level(click.ParamType):  # type: ignore[type-arg]  # older ones are not generic
    """A level in dBFS: -20dBFS, or -20."""

    name = "level"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return level_dbfs(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
