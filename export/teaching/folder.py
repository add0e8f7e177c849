"""The folder beside a taught model: its examples as they were given, so that more can be added and some taken away.

    mine.onnx
    mine.taught/
        mydog/…flac            a folder for each sound
        _not_/…flac            what was taken for one of them and is none
        _quiet_/…rows          quiet hours, see quiet_hours.py

Whoever deletes a recording in it and teaches anything again has unlearnt it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from export.teaching.examples import Example, audio_files, read_examples
from stream.errors import OutputError

WRONG, QUIET = "_not_", "_quiet_"


def folder_of(model: Path) -> Path:
    """Where the examples of a taught model are."""
    return model.with_suffix(".taught")


def known_sounds(folder: Path) -> list[str]:
    """Names of the sounds that have examples, in order."""
    if not folder.is_dir():
        return []
    return sorted(
        p.name
        for p in folder.iterdir()
        if p.is_dir() and p.name not in (WRONG, QUIET) and any(p.glob("*.flac"))
    )


def examples_in(folder: Path, label: str, sample_rate: int) -> list[Example]:
    """The examples that are kept of a sound; none is none."""
    place = folder / label
    return (
        read_examples(audio_files([place]), sample_rate)
        if place.is_dir() and any(place.glob("*.flac"))
        else []
    )


def new_examples(folder: Path | None, label: str, examples: Sequence[Example]) -> list[Example]:
    """Those that are not kept yet, each once. None = nothing is kept."""
    new: dict[str, Example] = {}
    for example in examples:
        new.setdefault(_digest(example), example)
    return [
        example
        for name, example in new.items()
        if folder is None or not (folder / label / f"{name}.flac").exists()
    ]


def keep(folder: Path, label: str, examples: Sequence[Example], sample_rate: int) -> int:
    """Write examples; how many were new. The same sound is kept once.

    Raises:
        OutputError: they cannot be written.
    """
    place, new = folder / label, 0
    try:
        place.mkdir(parents=True, exist_ok=True)
        for example in examples:
            file = place / f"{_digest(example)}.flac"
            if not file.exists():
                soundfile.write(file, np.clip(example.samples, -1, 1), sample_rate, subtype="PCM_24")
                new += 1
    except (OSError, soundfile.SoundFileError) as error:
        raise OutputError(
            f"{place}: examples cannot be written: {error}; choose another place with -o"
        ) from None
    return new


def forget(folder: Path, label: str) -> None:
    """Delete the examples of a sound."""
    for file in (folder / label).glob("*.flac"):
        file.unlink()


def _digest(example: Example) -> str:
    return hashlib.sha256(np.ascontiguousarray(example.samples).tobytes()).hexdigest()[:12]
