"""Values of options: numbers within what any use of them can mean, and options that apply to what is listened to."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Collection
from typing import Any

import click

from stream.errors import UnreadableAudio, UsageError
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


# kind of input -> options that mean nothing to it, and why
_NOT_FOR = {
    "a file": ({"sample_rate", "format_", "channels", "when_late"}, "a file says its own rate and channels"),
    "a URL": ({"sample_rate", "format_", "channels", "when_late"}, "a stream says its own rate and channels"),
    "a simulated microphone": (
        {"sample_rate", "format_", "channels", "when_late"},
        "its recording says its rate and channels",
    ),
    "standard input": ({"when_late"}, "only a microphone runs on while classifying is late"),
    "a microphone": (
        {"fast", "format_", "channels"},
        "--fast is for recordings, --format and --channels are for raw PCM on standard input",
    ),
}


def check_input(text: str | None, demo: bool, given: Collection[str]) -> None:
    """Refuse an empty input, a folder, and options that do not apply to what is listened to.

    Args:
        text: what --input was given; None if it was not.
        demo: the bundled recording.
        given: names of the options on the command line.

    Raises:
        UsageError: naming the option and what it is for.
        UnreadableAudio: a folder.
    """
    if text is not None and not text.strip():
        raise UsageError(
            "--input '': is empty, perhaps an unset variable of the shell; give a file, URL or -, "
            "or leave --input out for the microphone"
        )
    if text is not None and os.path.isdir(text):
        raise UnreadableAudio(f"{text} is a folder: give one audio file", path=text)
    kind = _kind(text, demo)
    unfit, why = _NOT_FOR[kind]
    for name in given:
        if name in unfit:
            option = "--" + name.strip("_").replace("_", "-")
            raise UsageError(f"{option} does not apply to {kind}: {why}; leave it out")


def unfit_options(text: str | None, demo: bool) -> Collection[str]:
    """Names of the options that mean nothing to what is listened to."""
    unfit, _ = _NOT_FOR[_kind(text, demo)]
    return unfit


def _kind(text: str | None, demo: bool) -> str:
    if text is None:
        return "a file" if demo else "a microphone"
    if text.strip() == "-":
        return "standard input"
    if text.startswith("sim:"):
        return "a simulated microphone"
    if re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://", text):
        return "a URL"
    return "a file"
