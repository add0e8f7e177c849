"""Which options apply to what is listened to."""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from stream.errors import UnreadableAudio, UsageError

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
    kind = kind_of_input(text, demo)
    unfit, why = _NOT_FOR[kind]
    for name in given:
        if name in unfit:
            option = "--" + name.strip("_").replace("_", "-")
            raise UsageError(f"{option} does not apply to {kind}: {why}; leave it out")


def unfit_options(text: str | None, demo: bool) -> Collection[str]:
    """Names of the options that mean nothing to what is listened to."""
    unfit, _ = _NOT_FOR[kind_of_input(text, demo)]
    return unfit


def kind_of_input(text: str | None, demo: bool) -> str:
    """What ``text``, or the bundled recording, is: "a file", "a URL", "a microphone" …"""
    if text is None:
        return "a file" if demo else "a microphone"
    if text.strip() == "-":
        return "standard input"
    if text.startswith("sim:"):
        return "a simulated microphone"
    if re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://", text):
        return "a URL"
    return "a file"
